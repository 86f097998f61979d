"""How our charts look: no frame, a light grid, muted axes, few round numbers."""

import json
from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # vl-convert brings the first, so files have the same widths
ROOM = 1.3  # an SVG file leaves its texts so much room: DejaVu Sans, all that some machines have, is that much wider
SIZES = {"fontSize", "labelFontSize", "titleFontSize", "labelLimit"}  # all that say how wide a text is


def ticks(distinct: Sequence[float]) -> list[float]:
    """Of a logarithmic axis: 1, 2 and 5 of each power of ten, or the powers alone where there are many; 0 if it is."""
    positive = [value for value in distinct if value > 0] or [1]
    first, last = floor(log10(positive[0])), ceil(log10(positive[-1]))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    lowest = max((tick for tick in ticks if tick <= positive[0]), default=ticks[0])
    highest = min((tick for tick in ticks if tick >= positive[-1]), default=ticks[-1])
    kept = [tick for tick in ticks if lowest <= tick <= highest]
    return [0, *kept] if distinct and distinct[0] <= 0 else kept


def number_format(values: Sequence[Any], fine: str = ",.3~r") -> str:
    """d3's: whole numbers with commas, very large ones with a letter, others to some digits."""
    if values and all(float(value).is_integer() for value in values):
        return ",d" if fine != ",.3~r" or max(map(abs, values)) < 1e6 else "~s"
    return fine if values and max(map(abs, values)) < 1e6 else "~s"


def enlarged(spec: Any, by: float) -> Any:
    """The specification with the sizes of its texts times `by`."""
    if isinstance(spec, list):
        return [enlarged(part, by) for part in spec]
    if not isinstance(spec, dict):
        return spec
    return {key: value * by if key in SIZES else enlarged(value, by) for key, value in spec.items()}


def in_a_row(names: Sequence[str], width: int) -> int:
    """How many entries of a legend fit beside each other: each takes its symbol, and 9 pixels a character at most."""
    return max(1, width // (40 + 9 * max(map(len, names))))


def config() -> dict[str, Any]:
    """Our theme, theme.json, as Vega-Lite takes it: no frame, light grid, muted axes."""
    return {"font": FONT, **json.loads(Path(__file__).with_name("theme.json").read_text(encoding="utf-8"))}
