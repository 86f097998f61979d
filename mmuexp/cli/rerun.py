"""`mmuexp rerun`."""

import sys
from pathlib import Path

import click

from mmuexp.cli.console import say, stdout_console
from mmuexp.cli.options import store_option
from mmuexp.cli.output import say_what_is_from_store
from mmuexp.cli.progress import progress_bar, tell_of_compiling


@click.command()
@click.argument("folders", metavar="[FOLDER]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing: compare with what is there, and exit with 3 if it differs.")
@click.option("--saved", is_flag=True, help="Do not replay: make the report and chart from the tables that are there.")
@click.option(
    "--reprice", is_flag=True, help="Do not replay: price the counts that are there anew, and write all again."
)
@click.option(
    "--all", "all_", is_flag=True, help="All experiments of FOLDER; as with --saved where a recording is not here."
)
@store_option
def command(folders, check, saved, reprice, all_, store) -> int:
    """Make the results of an experiment's folder again, or check them.

    \b
    Examples:
      mmuexp rerun results/page-crossing --check
      mmuexp rerun --all --check --saved

    The folder's experiment.toml holds the question, the command and the answer, whose figures are expressions over the
    counts; counts.csv, its manifest, report.md and chart.svg are made from it. results/README.md says how to write one.
    With --check the exit code is 3 if an integer differs, if the report is stale, or if what the answer rests on does
    not hold. --all without FOLDER takes results/.
    """
    from mmuexp.errors import MmuexpError
    from mmuexp.rerun.index import INDEX, index_text, is_index, write_index
    from mmuexp.rerun.rerun import HOME, experiments, find

    if saved and reprice:
        raise click.UsageError("--saved and --reprice exclude each other: the one keeps the prices, the other does not")
    if not folders and not all_:
        raise click.UsageError("no FOLDER is named; give one, or --all for those of results/")
    homes = [find(folder) for folder in folders or (HOME,)] if all_ else []
    chosen = [one for home in homes for one in experiments(home)] if all_ else [find(folder) for folder in folders]
    if not chosen:
        raise click.UsageError(f"{homes[0]} holds no experiment")
    tell_of_compiling()
    failed = broken = 0
    for folder in dict.fromkeys(chosen):
        try:
            with progress_bar() as progress:
                outcome = _rerun(folder, check, saved, reprice, all_, store, progress)
        except MmuexpError as error:
            if not all_:
                raise
            say(str(error))
            broken += 1
            continue
        failed += outcome.failed
        _tell(outcome, check)
    for home in dict.fromkeys([*homes, *(folder.parent for folder in chosen)]):
        if not is_index(home / INDEX):
            continue
        if not check:
            say(f"wrote {_short(write_index(home))}")
        elif (home / INDEX).read_text(encoding="utf-8", errors="replace") != index_text(home):
            say(f"{_short(home / INDEX)} is stale; `mmuexp rerun` writes it anew")
            failed += 1
    return 3 if failed else 1 if broken else 0


def _rerun(folder, check: bool, saved: bool, reprice: bool, all_: bool, store: bool, progress):
    from mmuexp.rerun.command import MissingRecording
    from mmuexp.rerun.rerun import rerun

    try:
        return rerun(folder, check=check, saved=saved, reprice=reprice, store=store, progress=progress)
    except MissingRecording as error:
        if not all_:
            raise
        say(str(error))
        return rerun(folder, check=check, saved=True)


def _tell(outcome, check: bool) -> None:
    from mmuexp.render.diff import headline, print_diff

    say_what_is_from_store(one.manifest for one in outcome.results.values())
    for path in outcome.written:
        say(f"wrote {_short(path)}")
    for name, found in outcome.differences.items():
        say(f"{outcome.name}, {name}.csv: {headline(found)}")
        if found:
            print_diff(found, stdout_console())
            sys.stdout.flush()
    if check and not outcome.differences and not outcome.failed:
        say(f"{outcome.name}: the report is what its saved counts say")
    for line in outcome.troubles:
        say(f"{outcome.name}: {line}")


def _short(path: str | Path) -> str:
    """As one would type it from here."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else str(path)
