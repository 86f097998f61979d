"""Where a replay is cut (`--warmup`, `--every`), and how many windows a result may hold."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mmuexp.arguments import whole_number
from mmuexp.errors import UsageError, option

MAX_ROWS = 5_000  # of windows and schemes in a result: some 10 KB each until they are written


class Cuts(NamedTuple):
    """`warmup` rows come first and are not counted; from there on windows are `every` rows each.

    With `halves` a trace without either is also cut in its middle: its second half is counted by itself, too.
    """

    warmup: int = 0
    every: int | None = None
    halves: bool = False

    def rows(self, in_all: int) -> Iterator[int]:
        """After how many rows a trace of `in_all` is cut, in ascending order."""
        if self.warmup:
            yield self.warmup
        if self.every is not None:
            yield from range(self.warmup + self.every, in_all + 1, self.every)
        elif self.halves and not self.warmup and in_all > 1:
            yield in_all // 2


def given_cuts(every: Any = None, warmup: Any = None, *, live: bool = False) -> Cuts:
    """Where a replay is cut; a whole trace is also cut in its middle. Raises UsageError."""
    every = whole_number(every, "every", "give whole rows")
    warmup = whole_number(warmup, "warmup", "give whole rows")
    if every is not None and every < 1:
        raise UsageError(f"a window of {every} rows", where=option("every"), todo="give at least 1")
    if warmup is not None and warmup < 0:
        raise UsageError(f"a warm-up of {warmup} rows", where=option("warmup"), todo="give 0 or more")
    if live and every:
        todo = f"leave {option('every', '')} out, or {option('live', '')}"
        raise UsageError("windows are not measured", where=option("live"), todo=todo)
    return Cuts(warmup or 0, every, halves=True)


def check_cuts(sizes: Sequence[tuple[str, int, int]], cuts: Cuts) -> None:
    """`sizes` are (trace, rows, schemes). Raises UsageError where a warm-up leaves nothing, or windows are too many.

    Memory must not grow with a trace's length: windows are held until they are written.
    """
    for trace, rows, _ in sizes:
        if cuts.warmup and cuts.warmup >= rows:
            what = f"{cuts.warmup:,} rows of warm-up leave nothing of {trace}, which has {rows:,}"
            todo = f"give at most {rows - 1:,}" if rows > 1 else "leave it out"
            raise UsageError(what, where=option("warmup"), todo=todo)
    left = [(rows - cuts.warmup, schemes) for _, rows, schemes in sizes]
    every = cuts.every
    if every is None or _windows(left, every) <= MAX_ROWS:
        return
    least, most = every, max(rows for rows, _ in left)  # of the smallest window that is possible, bisected
    while least < most:
        middle = (least + most) // 2
        if _windows(left, middle) > MAX_ROWS:
            least = middle + 1
        else:
            most = middle
    what = f"windows of {every:,} rows are {_windows(left, every):,} for all schemes, more than {MAX_ROWS:,}"
    raise UsageError(what, where=option("every"), todo=f"give at least {least:,}, or fewer schemes")


def _windows(sizes: Sequence[tuple[int, int]], every: int) -> int:
    return sum(-(-rows // every) * schemes for rows, schemes in sizes)
