"""`mmuexp calibrate`."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import ClassVar

import click

from mmuexp.cli import output


@click.command(short_help="Measure this host's prices, and write them as a host profile.")
@click.option("-o", "path", metavar="FILE", help="Write the profile to FILE.toml, or to stdout (-).")
@click.option("--rounds", type=click.IntRange(3, 10_000), metavar="N", default=15, help="Measure N times.  [15]")
def command(path, rounds) -> None:
    """Measure what this host takes for a signal, a map, a fault, an instruction, and write it as a host profile.

    \b
    Examples:
      mmuexp calibrate
      mmuexp calibrate --rounds 3 -o -

    The profile goes to the user's configuration folder as `here`, and `--host here` takes its prices. Figures are
    medians of rounds on synthetic streams; the profile holds their spread, the kernel, the processor and the date.
    """
    from mmuexp.export import Output
    from mmuexp.host import CALIBRATED, user_folder
    from mmuexp.live.calibrate import calibrate, profile_text

    class ProfileFile(Output):
        writers: ClassVar[Mapping[str, Callable]] = {".toml": lambda found: profile_text(found).encode()}

    target = path or str(user_folder() / f"{CALIBRATED}.toml")
    with ExitStack() as stack:
        file = None
        if target != output.STDOUT:
            if path is None:
                _make_folder(str(user_folder()))
            file = ProfileFile(target)
            stack.callback(file.discard)
        with output.progress_bar() as progress:
            found = calibrate(rounds=rounds, progress=progress)
        if file is None:
            click.echo(profile_text(found), nl=False)
            return
        file.save(found)
    output.say(f"wrote {target}; `--host {CALIBRATED if path is None else target}` takes these prices")
    click.echo(_table(found))


def _make_folder(folder: str) -> None:
    from mmuexp.errors import MmuexpError

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        what = f"cannot be made: {(error.strerror or str(error)).lower()}"
        raise MmuexpError(what, where=folder, todo="set XDG_CONFIG_HOME, or say -o FILE.toml") from None


def _table(found) -> str:
    lines = [found.about]
    for name, figure in {**found.prices, **found.also}.items():
        lines.append(f"  {name:18} {figure.ns:12,.2f} ns  ± {figure.spread_ns:10,.2f}  {figure.how}")
    return "\n".join(lines)
