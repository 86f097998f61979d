"""Says how wide plain text is, and folds lines and cells of a table into that width; nothing is ever cut off."""

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

PAGE = 120  # characters: as wide as text is where there is neither a terminal nor COLUMNS to ask
LEAST = 40  # whoever asks for less gets this


def page_width() -> int:
    """Return COLUMNS, or the width of the terminal, or PAGE where stdout is not one."""
    return max(LEAST, shutil.get_terminal_size((PAGE, 0)).columns)


def broadest(text: str) -> int:
    """Return the width of the longest line of a text."""
    return max(map(cell_len, text.split("\n")))


def pieces(text: str) -> list[str]:
    """Split a text where a line may break: behind spaces, and behind the commas of a spec and the slashes of a path.

    The comma within a number is not such a place.
    """
    return re.split(r"(?<=[ /])(?=[^ ])|(?<=,)(?=[^\d\s])", text)


def fold(text: str, width: int) -> str:
    """Return the text in lines of at most `width`; a piece that is longer is broken anywhere."""
    return "\n".join(line for whole in text.split("\n") for line in _folded(whole, width))


def _folded(text: str, width: int) -> Iterator[str]:
    if cell_len(text) <= width:
        yield text
        return
    line = ""
    for piece in pieces(text):
        if cell_len(line + piece.rstrip()) > width:
            if line:
                yield line.rstrip()
            *whole, line = chop_cells(piece, width)
            yield from whole
        else:
            line += piece
    yield line.rstrip()


def wrapped(lines: Iterable[str]) -> str:
    """Join plain lines, as wide as the page; what is wrapped hangs below the second column, if the line has columns."""
    width, found = page_width(), []
    for line in lines:
        columns = re.match(r" *(\S+( \S+)* {2,})?", line)
        hang = " " * min(columns.end() if columns else 0, width // 2)
        rest = textwrap.wrap(
            line, width, subsequent_indent=hang, drop_whitespace=True, replace_whitespace=False, break_on_hyphens=False
        )
        found += rest if len(line) > width else [line]
    return "\n".join(found)
