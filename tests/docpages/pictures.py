"""Pictures that a page's commands draw: `docs/NAME.svg`."""

import re
from pathlib import Path

from .pages import ROOT


def drawn(folder: Path) -> list[str]:
    """What the commands wrote to docs/ in the scratch folder."""
    return sorted(f"docs/{path.name}" for path in (folder / "docs").glob("*.svg"))


def data(svg: str) -> list[str]:
    """Vega's description of each mark, axis and legend: the figures, whatever the fonts and the version of Vega."""
    return sorted(re.findall(r'aria-label="([^"]*)"', svg))


def is_stale(folder: Path, name: str) -> bool:
    kept = ROOT / name
    return not kept.exists() or data(kept.read_text()) != data((folder / name).read_text())
