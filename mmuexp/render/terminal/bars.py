"""Draws the runs of a sweep as bars in plain text."""

from collections.abc import Sequence

from mmuexp.price.verdict import Line
from mmuexp.render.terminal.wrap import PAGE, fold
from mmuexp.render.words import duration

WIDTH = 48
TIME = 10  # characters of a duration with the spaces around it, at most


def bars(lines: Sequence[Line], *, unicode: bool = True, width: int = PAGE) -> str:
    """Draw a bar for each run, in `width` characters: emulator instructions dark, kernel time light.

    The longest bar is WIDTH long, or shorter beside long names; a name folds where it would leave no room for bars.
    """
    longest = max((line.ns for line in lines), default=0)
    if not longest:
        return ""
    dark, light = ("█", "░") if unicode else ("#", ".")
    names = [fold(line.name, width // 2).split("\n") for line in lines]
    label = max(len(part) for name in names for part in name)
    room = min(WIDTH, width - label - TIME)
    found = []
    for line, (name, *more) in zip(lines, names, strict=True):
        whole = round(room * line.ns / longest)
        kernel = round(room * line.kernel / longest)
        bar = dark * (whole - kernel) + light * kernel
        found.append(f"{name:>{label}} {bar.ljust(room)} {duration(line.ns)}")
        found += [f"{part:>{label}}" for part in more]
    found.append(f"{'':>{label}} {dark} emulator instructions  {light} host kernel")
    return "\n".join(found)
