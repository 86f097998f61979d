"""A pool or a table that is too small for a guest is told in one line, with the parameter that helps."""

from pathlib import Path

import pytest
from kit.cli import refused_manifest
from kit.places import HONEST_FILE
from kit.traces import write_trace

from mmuexp.analysis.compare import compare, sweep
from mmuexp.analysis.pressure import SHARE
from mmuexp.errors import MmuexpError
from mmuexp.result.table import rows_of
from mmuexp.strategy.registry import parse_spec

HONEST = HONEST_FILE
BLOCKS = [(0, block << 16, 4, 1) for block in range(1, 101)]  # a load in each of 100 blocks of 64 KiB


@pytest.fixture
def wide(tmp_path) -> str:
    return write_trace(tmp_path / "wide.arrow", BLOCKS, repeat=10)


def told(path: str, *specs: str) -> dict[str, dict]:
    return {one["strategy"]: one for one in compare(path, [*specs]).manifest["pressure"]}


def test_the_parameter_and_a_larger_value(wide):
    found = told(wide, "map-block", "map-block,pool_blocks=100", "map-block,pool_blocks=1024")
    assert found.keys() == {"map-block"}
    one = found["map-block"]
    assert (one["column"], one["count"]) == ("evictions", 1000 - 64)  # fifo: each load finds its block given up
    assert (one["parameter"], one["value"], one["larger"]) == ("pool_blocks", "64", "1024")
    assert told(wide, "map-block,pool_blocks=1024") == {}  # what is advised helps


def test_the_share_by_hand(wide):
    (row,) = rows_of(compare(wide, ["map-block"]).frame)
    share = row["evictions"] * row["kernel_ns"] / row["faults"] / row["access_ns"]
    assert told(wide, "map-block")["map-block"]["share"] == pytest.approx(share)
    assert share > SHARE


def test_what_costs_little_is_no_word_worth(tmp_path):
    rows = [*BLOCKS[:65], *[BLOCKS[64]] * 60_000]
    path = write_trace(tmp_path / "calm.arrow", rows)
    assert rows_of(compare(path, ["map-block"]).frame)[0]["evictions"] == 1
    assert told(path, "map-block") == {}


@pytest.mark.parametrize(
    ("spec", "parameter", "larger"),
    [
        ("map-block,pool_blocks=3", "pool_blocks", "48"),
        ("map-block,pool_mib=2", "pool_mib", "32"),  # in force where it is not 0
        ("map-block,map_block_bits=22,pool_blocks=60", "pool_blocks", "960"),
        ("byte-lookup,entries=9", "entries", "144"),
        ("byte-lookup,entries=50", "entries", "255"),  # the most that there is
    ],
)
def test_of_what_is_in_force(wide, spec, parameter, larger):
    rows = [(0, page << 22, 4, 1) for page in range(1, 101)]
    path = wide if "22" not in spec else write_trace(Path(wide).parent / "far.arrow", rows, repeat=10)
    assert [(one["parameter"], one["larger"]) for one in told(path, spec).values()] == [(parameter, larger)]


def test_a_larger_one_is_one_that_there_may_be(tmp_path):
    rows = [(0, place << 12, 4, 1) for place in range(1, 5_000)]
    path = write_trace(tmp_path / "many.arrow", rows, repeat=3)
    (one,) = told(path, "map-block,map_block_bits=12,pool_blocks=4000,map_pages=1").values()
    assert parse_spec(f"map-block,map_block_bits=12,pool_blocks={one['larger']}").blocks > 4000


def test_where_nothing_helps_that_is_said(cli, tmp_path):
    path = write_trace(tmp_path / "t.arrow", [(0, page << 12, 4, 1) for page in range(1, 401)], repeat=5)
    (one,) = told(path, "byte-lookup").values()
    assert (one["parameter"], one["value"], one["larger"]) == ("entries", "255", None)
    done = cli("compare", path, "-s", "softmmu", "-s", "byte-lookup")
    assert "entries=255 is too small for this guest, and the most that there is; no parameter helps." in done.words
    done = cli("compare", path, "-s", "byte-lookup,entries=100")
    assert "entries=100 is too small for this guest; try entries=255." in done.words


def test_the_line_of_the_table_and_the_note(cli, wide, trace):
    done = cli("compare", wide, "-s", "softmmu", "-s", "map-block")
    (line,) = (line for line in done.out.splitlines() if line.startswith("evictions"))
    assert line.split()[1:] == ["-", "936"]
    assert "map-block: 936 evictions, some " in done.words
    assert "pool_blocks=64 is too small for this guest; try pool_blocks=1024." in done.words
    assert "evictions" in cli("compare", wide, "--every", "500", "-s", "map-block").out
    assert "evictions" not in cli("compare", trace).out
    swept = sweep("pool_blocks=8,64", wide)
    assert "pressure" not in swept.manifest or swept.manifest["pressure"] == []  # there the parameter is what is asked


def own(tmp_path, line: str) -> str:
    text = HONEST.read_text()
    assert "Event.TLB_FILLS" in text and '    name = "honest"\n' in text
    text = text.replace('    name = "honest"\n', f'    name = "honest"\n    size: int = param(3, {line})\n')
    text = text.replace("\nclass ", "\nfrom mmuexp.strategy import param\n\n\nclass ")
    (tmp_path / "own.py").write_text(text)
    return str(tmp_path / "own.py")


@pytest.mark.parametrize(("unit", "larger"), [("entries", "48"), ("log2 entries", "7")])
def test_somebodys_scheme_says_what_helps(wide, tmp_path, unit, larger, plain_python):
    """A count with a price of its own: tlb_fills."""
    spec = own(tmp_path, f'minimum=1, maximum=100, unit="{unit}", helps="tlb_fills"')
    (one,) = told(wide, spec).values()
    assert (one["column"], one["parameter"], one["larger"]) == ("tlb_fills", "size", larger)


def test_a_parameter_that_helps_what_is_not_counted_is_told(tmp_path):
    with pytest.raises(MmuexpError, match=r"strategy honest: size helps 'misses', which it does not count"):
        parse_spec(own(tmp_path, 'minimum=1, maximum=9, helps=("tlb_fills", "misses")'))


@pytest.mark.parametrize("wrong", [3, [3], [{"trace": "t", "strategy": "s", "column": "c", "count": "x", "share": 1}]])
def test_a_manifest_that_is_wrong_is_one_line(cli, trace, tmp_path, wrong):
    assert "pressure" in refused_manifest(cli, trace, tmp_path, pressure=wrong)
