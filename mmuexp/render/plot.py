"""A sweep as bars in plain text: how long each value takes, and how much of that in the kernel."""

from collections.abc import Sequence

from mmuexp.render.sentence import Line
from mmuexp.render.words import duration

WIDTH = 48


def bars(lines: Sequence[Line], *, unicode: bool = True) -> str:
    """One bar a run, the longest WIDTH characters: emulator instructions dark, kernel time light."""
    longest = max((line.ns for line in lines), default=0)
    if not longest:
        return ""
    dark, light = ("█", "░") if unicode else ("#", ".")
    label = max(len(line.name) for line in lines)
    found = []
    for line in lines:
        whole = round(WIDTH * line.ns / longest)
        kernel = round(WIDTH * line.kernel / longest)
        bar = dark * (whole - kernel) + light * kernel
        found.append(f"{line.name:>{label}} {bar.ljust(WIDTH)} {duration(line.ns)}")
    found.append(f"{'':>{label}} {dark} emulator instructions  {light} host kernel")
    return "\n".join(found)
