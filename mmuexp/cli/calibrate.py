"""`mmuexp calibrate`."""

import os
from contextlib import ExitStack

import click

from mmuexp.cli import output


@click.command(short_help="Measure this host's prices, and write them as a host profile.")
@click.option(
    "-o",
    "paths",
    metavar="FILE",
    multiple=True,
    help="Write the profile to FILE.toml, or to stdout (-); every round to FILE.csv; repeatable.",
)
@click.option("--rounds", type=click.IntRange(3, 10_000), metavar="N", default=15, help="Measure N times.  [15]")
def command(paths, rounds) -> None:
    """Measure what this host takes for a signal, a map, a fault, an instruction, and write it as a host profile.

    \b
    Examples:
      mmuexp calibrate
      mmuexp calibrate --rounds 3 -o -
      mmuexp calibrate -o mine.toml -o rounds.csv

    Unless -o names another place, the profile goes to the user's configuration folder as `here`, and `--host here`
    takes its prices. Figures are medians of rounds on synthetic streams; the profile holds their ranges, the kernel,
    the processor and the date.
    """
    from mmuexp.live.calibrate import calibrate, profile_text, rounds_text
    from mmuexp.price.host import CALIBRATED, user_folder
    from mmuexp.render.export import Output

    writers = {
        ".toml": lambda found: profile_text(found).encode(),
        ".csv": lambda found: rounds_text(found).encode(),
    }
    named = [path for path in paths if path != output.STDOUT]
    to_stdout = len(named) < len(paths)
    here = None
    if not to_stdout and not any(path.lower().endswith(".toml") for path in named):
        _make_folder(str(user_folder()))
        here = str(user_folder() / f"{CALIBRATED}.toml")
    with ExitStack() as stack:
        files = []
        for path in [*named, *([here] if here else [])]:
            files.append(Output(path, writers))
            stack.callback(files[-1].discard)
        with output.progress_bar() as progress:
            found = calibrate(rounds=rounds, progress=progress)
        output.save_all(files, found)
    for path in [CALIBRATED] if here else [path for path in named if path.lower().endswith(".toml")]:
        output.say(f"`--host {path}` takes these prices")
    click.echo(profile_text(found) if to_stdout else _table(found), nl=not to_stdout)


def _make_folder(folder: str) -> None:
    from mmuexp.errors import MmuexpError

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        what = f"cannot be made: {(error.strerror or str(error)).lower()}"
        raise MmuexpError(what, where=folder, todo="set XDG_CONFIG_HOME, or say -o FILE.toml") from None


def _table(found) -> str:
    lines = [found.about]
    for name, figure in found.figures.items():
        ranged = f"{figure.low_ns:,.2f} to {figure.high_ns:,.2f}"
        lines.append(f"  {name:24} {figure.ns:13,.2f} ns  {ranged:>28}  {figure.how}")
    return "\n".join(lines)
