"""What the second half of a recording says of the winner: by then a program touches few pages for the first time."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmuexp.render.sentence import CLOSE
from mmuexp.result.table import access_ns

DIFFERS = 0.1  # the ratio of the second half, against that of the whole, from which on it is told


def half_sentence(rows: Sequence[Mapping[str, Any]], names: Sequence[str], reference: str) -> str:
    """One sentence where the second half of the rows, alone, has another winner or another ratio; else nothing.

    The ratio is that to the run called `reference`; where that one wins, to the next best.
    """
    whole = {name: access_ns(row) for name, row in zip(names, rows, strict=True)}
    half = {name: row.get("second_half_ns") for name, row in zip(names, rows, strict=True)}
    if len(rows) < 2 or not all(whole.values()) or not all(half.values()):
        return ""
    best, then = min(whole, key=whole.__getitem__), min(half, key=half.__getitem__)
    beside = f"--warmup {rows[0]['rows'] // 2} counts from there"
    if half[then] * (1 + CLOSE) < half[best]:
        ratio = f"{half[best] / half[then]:.2f} times less than {best}'s"
        return f"In the second half of the rows alone {then}'s accesses cost least, {ratio}: {beside}."
    other = reference if reference in whole and reference != best else min(set(whole) - {best}, key=whole.__getitem__)
    now, later = whole[other] / whole[best], half[other] / half[best]
    if abs(later / now - 1) <= DIFFERS:
        return ""
    times = f"{later:.2f} times less than {other}'s" if later > 1 + CLOSE else f"as much as {other}'s"
    return f"In the second half of the rows alone {best}'s accesses cost {times}: {beside}."
