"""`mmuexp store`: what is kept of counts, so that the same rows are not replayed twice."""

import json
from typing import Any

import click

from mmuexp.cli.console import say
from mmuexp.cli.options import format_option
from mmuexp.cli.progress import progress_bar, tell_of_compiling
from mmuexp.errors import shown


@click.group()
def command() -> None:
    """Say what is kept of counts, forget it, or check it by replays.

    \b
    Examples:
      mmuexp store info
      mmuexp store verify --sample 3

    compare, sweep, misses, claims and rerun keep what they count, and take it again where recording, scheme and
    sources are the same; --no-store replays. It is a file in the cache folder, or $MMUEXP_STORE. Recordings of other
    tools are imported when a command is given one, and kept beside it while their files stay as they are.
    """


def _database() -> Any:
    """Open the store; None, and a line that says so, where counts are not kept."""
    from mmuexp.store.database import Database, store_path

    path = store_path()
    if path is None:
        say("no counts are kept: MMUEXP_STORE is empty")
        return None
    tell_of_compiling()
    return Database(path)


@command.command(short_help="How much is kept, and where.")
@format_option(("table", "json"), default="table")
def info(format_: str) -> None:
    """Tell how much is kept, and where.

    \b
    Examples:
      mmuexp store info
      mmuexp store info --format json
    """
    from mmuexp.trace import foreign

    database, imports = _database(), foreign.held()
    held = None
    if database is not None:
        with database:
            held = database.held()
    if format_ == "json":
        click.echo(json.dumps({**(vars(held) if held else {}), "imports": imports._asdict()}, indent=2))
        return
    if held is not None:
        click.echo("store    " + json.dumps(held.path)[1:-1])
        click.echo(f"         {held.entries:,} runs, {_size(held)}; `mmuexp store clear` forgets them")
    click.echo("imports  " + json.dumps(imports.path)[1:-1])
    click.echo(f"         {imports.imports:,} recordings of other tools, {_size(imports)}; forgotten likewise")


def _size(held: Any) -> str:
    return f"{held.size_bytes / 1e6:,.1f} MB of at most {held.limit_bytes / 1e6:,.0f}"


@command.command(short_help="Forget all counts and imports.")
def clear() -> None:
    """Forget all counts and imports; what is asked for again is replayed, and imported.

    \b
    Examples:
      mmuexp store clear
      mmuexp store clear && mmuexp compare
    """
    from mmuexp.trace import foreign

    database, entries = _database(), 0
    if database is not None:
        with database:
            entries = database.held().entries
            database.clear()
    imports = foreign.clear()
    told = f" and {imports:,} {'import' if imports == 1 else 'imports'}" if imports else ""
    say(f"forgot {entries:,} {'run' if entries == 1 else 'runs'}{told}")


@command.command(short_help="Replay a sample of what is kept, and compare.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", default=5, help="Replay N runs, by chance.  [5]")
def verify(sample: int) -> int:
    """Replay a sample of what is kept, and compare.

    \b
    Examples:
      mmuexp store verify
      mmuexp store verify --sample 20

    What differs is forgotten, and the exit code is 3. A run whose recording, scheme or mmuexp is another by now cannot
    be counted again, and is never given out either.
    """
    from mmuexp.analysis.recount import DIFFERS, recount

    database = _database()
    if database is None:
        return 0
    outcomes: dict[str, int] = {}
    with database, progress_bar() as progress:
        for one in recount(database.sample(sample), progress):
            why = f": {one.why}" if one.why else ""
            click.echo(f"{one.outcome:<10} {one.spec} on {json.dumps(one.path)[1:-1]}{shown(why)}")
            outcomes[one.outcome] = outcomes.get(one.outcome, 0) + 1
            if one.outcome == DIFFERS:
                database.drop(one.entry.identity)
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    say(f"of {sum(outcomes.values()):,} runs {told}" if outcomes else "no run is kept yet")
    return 3 if DIFFERS in outcomes else 0
