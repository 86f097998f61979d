"""`mmuexp calibrate`."""

import os

import click

from mmuexp.cli import options, output
from mmuexp.cli.console import say
from mmuexp.cli.progress import progress_bar


@click.command()
@options.out_option("Write the profile to FILE.toml, or to stdout (-); every round to FILE.csv; repeatable.")
@click.option("--rounds", type=click.IntRange(3, 10_000), metavar="N", default=15, help="Measure N times.  [15]")
def command(outputs, rounds) -> None:
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
    from mmuexp.live.calibrate import calibrate, profile_text, rounds_text, table_text
    from mmuexp.price.host import CALIBRATED, user_folder

    profiles = [path for path in outputs if path.lower().endswith(".toml")]
    to_stdout = output.STDOUT in outputs
    if not profiles and not to_stdout:
        _make_folder(str(user_folder()))
        outputs, profiles = [*outputs, str(user_folder() / f"{CALIBRATED}.toml")], [CALIBRATED]
    writers = {
        ".toml": lambda found: profile_text(found).encode(),
        ".csv": lambda found: rounds_text(found).encode(),
    }

    def print_table(found, _console) -> None:
        click.echo(table_text(found))

    with output.saving(outputs, "toml" if to_stdout else None, writers, print_table, always=True) as save:
        with progress_bar() as progress:
            found = calibrate(rounds=rounds, progress=progress)
        save(found)
    for path in profiles:
        say(f"`--host {path}` takes these prices")


def _make_folder(folder: str) -> None:
    from mmuexp.errors import MmuexpError, reason_of

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        todo = "set XDG_CONFIG_HOME, or say -o FILE.toml"
        raise MmuexpError(f"cannot be made: {reason_of(error)}", where=folder, todo=todo) from None
