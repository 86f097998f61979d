"""How many windows (`--every`) a result may hold."""

from collections.abc import Sequence

from mmuexp.errors import UsageError, option

MAX_ROWS = 5_000  # of windows and schemes in a result: some 10 KB each until they are written


def check_windows(sizes: Sequence[tuple[int, int]], every: int | None) -> None:
    """Memory must not grow with a trace's length: windows are held until they are written.

    `sizes` are (rows, schemes) of each trace. Raises UsageError where the windows are too many.
    """
    if every is None or _windows(sizes, every) <= MAX_ROWS:
        return
    least, most = every, max(rows for rows, _ in sizes)  # of the smallest window that is possible, bisected
    while least < most:
        middle = (least + most) // 2
        if _windows(sizes, middle) > MAX_ROWS:
            least = middle + 1
        else:
            most = middle
    what = f"windows of {every:,} rows are {_windows(sizes, every):,} for all schemes, more than {MAX_ROWS:,}"
    raise UsageError(what, where=option("every"), todo=f"give at least {least:,}, or fewer schemes")


def _windows(sizes: Sequence[tuple[int, int]], every: int) -> int:
    return sum(-(-rows // every) * schemes for rows, schemes in sizes)
