"""What is timed is the scheme's: pages of an engine's own tables are there before its rows run."""

from pathlib import Path

import numpy as np
import pytest
from kit.replays import SCHEMES
from truth.schemes import EMPTY

from mmuexp.guest import PAGE_BYTES, USER, Columns, Op
from mmuexp.live.process import Engine
from mmuexp.strategy.registry import parse_spec

PLACES = 24  # pages far from each other, so that whatever a table keeps of one lies in a page of its own
APART_BYTES = 32 << 20


def minor_faults(engine: Engine) -> int:
    stat = Path(f"/proc/{engine._process.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[7])


def taken(spec: str | None, rows: Columns) -> int:
    """Pages that the host gives the process while it replays the rows, the planning included, which all engines do."""
    with Engine(None if spec is None else parse_spec(spec), "user", checked=False) as engine:
        before = minor_faults(engine)
        engine.feed(rows)
        return minor_faults(engine) - before


@pytest.mark.parametrize("spec", [name for name in SCHEMES if "maps" not in EMPTY[name]])
def test_a_first_fault_takes_no_pages_of_the_engines_own(spec):
    """The bare loop touches what all engines share. Beyond it, a scheme takes a page for each that it maps, and touches
    one of a table of its own."""
    vaddr = (0x1000000 + np.arange(PLACES) * APART_BYTES).astype("u4")
    ones = np.ones(PLACES)
    rows = Columns(
        vaddr, np.zeros(PLACES, "u4"), (4 * ones).astype("u2"), ones.astype("u1"),
        np.full(PLACES, Op.STORE).astype("u1"), np.full(PLACES, USER, "u1"),
    )  # fmt: skip
    assert vaddr[-1] % PAGE_BYTES == 0
    assert taken(spec, rows) - taken(None, rows) <= 2 * PLACES + 8
