"""Every design that an author may look for stands in the list, under its usual name, as a spec that runs."""

import pytest
from kit.places import ROOT
from kit.replays import run
from truth.rows import micro

from mmuexp.strategy.designs import DESIGNS, names_of
from mmuexp.strategy.registry import all_strategies, parse_spec

PAGE = ROOT / "docs" / "todays-schemes.md"


@pytest.mark.parametrize("spec", list(dict.fromkeys(one.spec for one in DESIGNS)))
def test_each_spec_is_canonical_and_runs(spec):
    """Two loads and a store of a RAM page that holds a block, and a load of a device, which no scheme can overlook."""
    assert str(parse_spec(spec)) == spec
    counts = run(micro("M1000>50 X1000 L1100 S1104 L1108 iL5000"), spec, "system")
    assert (counts["accesses"], counts["io_accesses"], counts["translations"]) == (4, 1, 1)
    assert sum(counts.get(name, 0) for name in ("faults_io", "faults_softmmu", "slow_io")) > 0


def test_names_are_unique_and_of_schemes():
    """A scheme need be nobody's: then it has none."""
    assert len({one.name for one in DESIGNS}) == len(DESIGNS)
    assert {one.spec.partition(",")[0] for one in DESIGNS} <= set(all_strategies())
    assert names_of("softmmu-qemu10") == ["QEMU, system mode"]


def test_the_page_lists_them_all():
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    told = {cells[0].removeprefix("| "): cells[2].strip("`") for cells in rows if len(cells) > 3}
    assert {one.name: one.spec for one in DESIGNS}.items() <= told.items()


def test_commands_name_them(cli):
    listed = cli("strategy", "list").words
    assert all(one.name in listed for one in DESIGNS)
    shown = cli("strategy", "show", "fastmem").words
    assert "Dolphin GameCube, Wii: fastmem,patch=memory,remember=0,map=accessed,flush=diff" in shown
