"""What a page is made of: headings, texts, tables that sort, charts, details to open. page.py sets them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A table's cell: what it says, the number that it sorts by, `mark` ("", "best" or "warn"), and where on this page
    it leads ("#id")."""

    text: str
    value: float | int | None = None
    mark: str = ""
    href: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading of level 2 or 3; level 2 stands in the list of contents, and `id` is its anchor."""

    text: str
    level: int = 2
    id: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs; a `kind` of "lead" is larger, "note" smaller, "verdict" stands out, "code" is set as it is."""

    paragraphs: str | Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of str, int, float, None or Cell. Columns whose values are numbers stand right and sort by value.

    units     one a column, shown under its head ("" for none)
    best      numbers of the rows that win
    sortable  off for a table of two columns of words, or one whose rows have an order that means something
    csv       the exact data as a frame, and `name` what its file is called
    groups    (head, columns below it), from the left, over all columns; "" heads none
    wrap      cells of words may break, so that more columns are seen at once
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    units: Sequence[str] = ()
    caption: str = ""
    best: frozenset[int] | set[int] = frozenset()
    sortable: bool = True
    csv: pd.DataFrame | None = None
    name: str = "table"
    groups: Sequence[tuple[str, int]] = ()
    wrap: bool = False


@dataclass(frozen=True)
class Chart:
    """An altair chart of chart_of, the frame behind it (downloads as NAME.csv), what it shows in words, a caption."""

    chart: Any
    frame: pd.DataFrame
    alt: str
    caption: str = ""
    name: str = "chart"


@dataclass(frozen=True)
class Details:
    """Sections that open when asked for."""

    summary: str
    sections: Sequence[Any] = field(default_factory=tuple)


def anchor(heading: Heading) -> str:
    """The id of a heading: its own, or made of its words."""
    words = "".join(c if c.isalnum() else " " for c in heading.text.lower()).split()
    return heading.id or "-".join(words[:8]) or "section"
