"""Prints tables as text, never wider than the page: long words fold, and columns without room go into a block below."""

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from mmuexp.render.terminal.wrap import broadest, fold, pieces

GAP = 2  # between columns
WORDS = 24  # a column of words keeps this width, if it has it
Cell = str | Text


def print_table(
    console: Console,
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    left: Collection[int] = (0,),
    keys: int = 1,
    indent: int = 0,
    head_style: str = "bold",
    row_styles: Sequence[str] = (),
    column_styles: Sequence[str] = (),
) -> None:
    """Print a table without lines. `left` are the columns set left; the first `keys` stand in every block again.

    A row that is empty in a later block is left out of that block.
    """
    columns = [[head, *(row[at] for row in rows)] for at, head in enumerate(heads)]
    room = console.width - indent
    widths = _widths([[str(cell) for cell in column] for column in columns], left, keys, room)

    def print_row(cells: Sequence[Text], block: Sequence[int], *, bottom: bool = False) -> None:
        """Print the cells of one block of columns; short cells stand at the top of tall ones, or at the `bottom`."""
        folded = {at: fold(cells[at].plain, widths[at]).split("\n") for at in block}
        height = max(map(len, folded.values()))
        for number in range(height):
            line = Text(" " * indent)
            for at in block:
                lines = folded[at]
                which = number - (height - len(lines) if bottom else 0)
                text = lines[which] if 0 <= which < len(lines) else ""
                room = " " * (widths[at] - cell_len(text))
                line.append("" if at in left else room).append(text, cells[at].style)
                line.append((room if at in left else "") + " " * GAP)
            line.rstrip()
            console.print(line, no_wrap=True, overflow="ignore", crop=False)

    for number, block in enumerate(_blocks(widths, keys, room)):
        if number:
            console.print()
        print_row([Text(head, head_style) for head in heads], block, bottom=True)
        for row, style in zip(rows, row_styles or [""] * len(rows), strict=True):
            if number and not any(str(row[at]).strip() for at in block[keys:]):
                continue
            styles = column_styles or [style] * len(row)
            cells = [c if isinstance(c, Text) else Text(c, style) for c, style in zip(row, styles, strict=True)]
            print_row(cells, block)


def print_text(console: Console, text: Text, indent: int = 0) -> None:
    """Print a sentence or a title in lines of the console's width, without blanks at their ends."""
    for line in text.wrap(console, console.width - indent):
        line.rstrip()
        console.print(Text(" " * indent).append_text(line), no_wrap=True)


def table_width(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how wide a table is with nothing folded."""
    return _sum([max(map(broadest, column)) for column in zip(heads, *rows, strict=True)])


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _widths(columns: Sequence[Sequence[str]], left: Collection[int], keys: int, room: int) -> list[int]:
    """Return the widths of the texts, or less where that makes one block, or where a column has no room alone."""
    found = [max(map(broadest, column)) for column in columns]
    if _sum(found) <= room:
        return found
    found = [
        max(*(broadest(piece.rstrip()) for piece in pieces(head)), *map(broadest, cells), 1) for head, *cells in columns
    ]
    least = list(found)
    for at in sorted(left, key=lambda at: -found[at]):
        over = max(0, _sum(least) - room)
        least[at] = max(min(WORDS, least[at]), least[at] - over)
    if _sum(least) <= room:
        return least
    own = max(1, room // 2 // keys - GAP)
    found = [min(width, own) if at < keys else width for at, width in enumerate(found)]
    most = max(1, room - sum(found[:keys]) - GAP * keys)
    return [width if at < keys else min(width, most) for at, width in enumerate(found)]


def _blocks(widths: Sequence[int], keys: int, room: int) -> list[list[int]]:
    """Return the numbers of the columns of each block."""
    found = [list(range(keys))]
    for at in range(keys, len(widths)):
        if len(found[-1]) > keys and _sum([widths[n] for n in (*found[-1], at)]) > room:
            found.append(list(range(keys)))
        found[-1].append(at)
    return found
