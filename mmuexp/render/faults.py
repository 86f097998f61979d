"""Shows people what a run's faults add up to: by cause, and the pages and blocks that cause most."""

import numpy as np
from rich.console import Console
from rich.text import Text

from mmuexp.analysis.faults import Listed
from mmuexp.render import words
from mmuexp.render.terminal.grid import print_table, print_text

Counted = tuple[np.ndarray, np.ndarray]  # int64[things] and their faults by cause, int64[things, causes]


def print_faults(listed: Listed, top: int, console: Console) -> None:
    """Print the totals, and the `top` pages and blocks with most faults."""
    sums, declared = listed.sums, listed.declared
    pages, by_page = sums.by_page()
    blocks = sums.by_block()
    total = sums.total
    print_text(console, Text(_title(listed, len(pages), None if blocks is None else len(blocks[0])), style="bold"))
    if total:
        _print_sums(listed, top, console, (pages, by_page), blocks)
    for note in declared.notes if sums.causes else ():
        console.print()
        print_text(console, Text(note, style="dim"))


def _print_sums(listed: Listed, top: int, console: Console, pages: Counted, blocks: Counted | None) -> None:
    """Print the faults by cause, by page and by block. Causes of which the trace tells nothing have no column."""
    sums, unknown = listed.sums, listed.declared.unknown
    total, by_cause = sums.total, sums.by_cause()
    known = [at for at, column in enumerate(by_cause) if column not in unknown]
    named = {column: column.removeprefix("faults_") for column in by_cause}
    console.print()
    lines = [
        (named[column], words.UNKNOWN, "") if column in unknown else (named[column], f"{n:,}", _share(n, total))
        for column, n in by_cause.items()
    ]
    print_table(console, ["cause", "faults", "share"], [*lines, ("all", f"{total:,}", "")])
    heads = [name for column, name in named.items() if column not in unknown]
    for what, width, found in (("page", 5, pages), ("block", 1, blocks)):
        if found is not None:
            console.print()
            print_text(console, Text(_heading(what, len(found[0]), found[1][:top], total)))
            shown = _lines(width, found[0][:top], found[1][:top, known], total)
            print_table(console, [what, "faults", "share", *heads], shown)


def _title(listed: Listed, pages: int, blocks: int | None) -> str:
    total = listed.sums.total
    title = f"{listed.label}: {listed.rows:,} rows, {listed.sums.strategy}: "
    if not listed.sums.causes:
        return f"{title}no host faults; the scheme has none, every access is checked in code"
    if not total:
        return f"{title}no host faults{' that it tells of' if listed.declared.missing else ''}"
    where = words.many(pages, "page") + ("" if blocks is None else f" of {words.many(blocks, 'block')}")
    at_least = "at least " if listed.declared.missing else ""
    return f"{title}{at_least}{words.many(total, 'host fault')}, on {where}"


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.1f} %"


def _heading(what: str, known: int, shown: np.ndarray, total: int) -> str:
    if len(shown) == known:
        return f"By {what}:"
    return f"The {words.many(len(shown), what)} with most faults, {_share(int(shown.sum()), total)} of all:"


def _lines(width: int, numbers: np.ndarray, counts: np.ndarray, total: int) -> list[list[str]]:
    """`numbers` int64[shown] in hexadecimal digits, at least `width`; `counts` int64[shown, causes]."""
    lines = []
    for number, row in zip(numbers.tolist(), counts.tolist(), strict=True):
        whole = sum(row)
        lines.append([f"0x{number:0{width}x}", f"{whole:,}", _share(whole, total), *(f"{n:,}" for n in row)])
    return lines
