"""Schemes that are named together: `-s mail`, `-s today`, `-s all`."""

import pytest
from kit.traces import columns_of
from truth.rows import micro

import mmuexp
from mmuexp.errors import UsageError
from mmuexp.strategy.registry import GROUPS, all_strategies, given_schemes, schemes_for
from mmuexp.trace import TraceWriter

MAIL = ["softmmu", "byte-lookup", "map-block", "map-block,pool_blocks=1024", "qemu-fast"]
AS_IN_PROGRAMS = "fastmem,patch=never,map=known,dirty=none"


def named(given, mode, address_bits=32):
    return [str(strategy) for strategy in schemes_for(given_schemes(given), mode, address_bits)]


def test_the_four_of_the_mail_and_those_of_today():
    assert named("mail", "user") == MAIL
    assert named("today", "user") == ["fastmem", AS_IN_PROGRAMS, "page-table", "softmmu-qemu10"]
    assert named("Today", "system") == [
        "fastmem",
        "fastmem,patch=code,flush=diff,code=block",
        "fastmem,patch=memory,remember=0,map=accessed,flush=diff",
        "page-table",
        "softmmu-qemu10",
        "views",
    ]


@pytest.mark.parametrize("mode", ["user", "system"])
def test_all_is_every_scheme_once(mode):
    together = named(["all", "mail", "softmmu"], mode)
    assert len(together) == len(set(together))
    assert {*named("mail", mode), *named("today", mode)} <= set(together)
    classes = {strategy.partition(",")[0] for strategy in together}
    assert set(all_strategies()) - classes == ({"views"} if mode == "user" else set())


def test_a_group_stands_where_it_is_named():
    assert named(["page-table", "mail", "fastmem"], "user") == ["page-table", *MAIL, "fastmem"]


def test_each_scheme_of_ours_is_of_a_group():
    assert {cls.GROUP for cls in all_strategies().values()} == {*GROUPS} - {"all"}


def test_a_group_is_no_reference():
    with pytest.raises(UsageError, match="no strategy is called 'today'"):
        mmuexp.compare(reference="today")


def write_system(path, text):
    with TraceWriter(str(path), mode="system", metadata={"guest": "i386"}) as writer:
        writer.append(columns_of(micro(text)))
        writer.close()


def test_what_a_trace_lacks_is_told(cli, tmp_path):
    text = "F0 M1000>50 L1000 iL5000 iL5000 F0 M1000>50 L1000"
    write_system(tmp_path / "a.arrow", text)
    said = " ".join(cli("compare", tmp_path / "a.arrow", "-s", "fastmem", "-s", "views").out.split())
    assert "views: the trace tells no values of CR3" in said
    assert "fastmem: device accesses faulted, and none was patched" in said
    write_system(tmp_path / "b.arrow", "FA M1000>50 X1000 L1000 iL5000@1 FB M1000>50 L1000")
    said = cli("compare", tmp_path / "b.arrow", "-s", "fastmem", "-s", "views").out
    assert "tells no values" not in said
    assert "none was patched" not in said
