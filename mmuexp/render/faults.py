"""What a run's faults add up to, for people: by cause, and the pages and blocks that cause most."""

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmuexp.faultlog import Listed, takes_faults
from mmuexp.render.table import PLAIN_WIDTH

GAP = 2


def print_faults(listed: Listed, top: int, console: Console) -> None:
    """Print the totals, and the `top` pages and blocks with most faults."""
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    sums = listed.sums
    pages, by_page = sums.by_page()
    blocks = sums.by_block()
    total = sums.total
    console.print(Text(_title(listed, len(pages), None if blocks is None else len(blocks[0])), style="bold"))
    if not total:
        return
    named = [sums.strategy.column_of(cause).removeprefix("faults_") for cause in sums.causes]
    console.print()
    console.print(_causes(dict(zip(named, sums.by_cause().values(), strict=True)), total))
    for what, width, found in (("page", 5, (pages, by_page)), ("block", 1, blocks)):
        if found is not None:
            console.print()
            console.print(Text(_heading(what, len(found[0]), found[1][:top], total)))
            console.print(_table(what, width, found[0][:top], found[1][:top], named, total))


def _title(listed: Listed, pages: int, blocks: int | None) -> str:
    strategy, total = listed.sums.strategy, listed.sums.total
    title = f"{listed.label}: {listed.rows:,} rows, {strategy}: "
    if not takes_faults(strategy):
        return f"{title}no host faults; the scheme has none, every access is checked in code"
    if not total:
        return f"{title}no host faults"
    where = f"{_many(pages, 'page')}" + ("" if blocks is None else f" of {_many(blocks, 'block')}")
    return f"{title}{_many(total, 'host fault')}, on {where}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %"


def _heading(what: str, known: int, shown: np.ndarray, total: int) -> str:
    if len(shown) == known:
        return f"By {what}:"
    return f"The {_many(len(shown), what)} with most faults, {_share(int(shown.sum()), total)} of all:"


def _new(*left: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for name in left:
        table.add_column(name, no_wrap=True)
    return table


def _causes(counts: dict[str, int], total: int) -> Table:
    table = _new("cause")
    table.add_column("faults", justify="right")
    table.add_column("share", justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}", _share(count, total))
    table.add_row("all", f"{total:,}", "")
    return table


def _table(what: str, width: int, numbers: np.ndarray, counts: np.ndarray, named: list[str], total: int) -> Table:
    """`numbers` int64[shown] in hexadecimal digits, at least `width`; `counts` int64[shown, causes]."""
    table = _new(what)
    for name in ("faults", "share", *named):
        table.add_column(name, justify="right")
    for number, row in zip(numbers.tolist(), counts.tolist(), strict=True):
        all_of_it = sum(row)
        table.add_row(f"0x{number:0{width}x}", f"{all_of_it:,}", _share(all_of_it, total), *(f"{n:,}" for n in row))
    return table
