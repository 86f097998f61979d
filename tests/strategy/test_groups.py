"""Schemes that are named together: `-s mail`, `-s today`, `-s all`."""

import pytest
from kit.traces import columns_of, write_trace
from truth.rows import micro

import mmuexp
from mmuexp.errors import UsageError
from mmuexp.price.verdict import Line
from mmuexp.render.sentence import today_sentence
from mmuexp.strategy.registry import GROUPS, all_strategies, default_strategies, given_schemes, schemes_for
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


def test_the_default_table_says_what_else_there_is(cli, tmp_path):
    path = write_trace(tmp_path / "t.arrow", [(0, 0x1000, 4, 1)] * 40)
    said = cli("compare", path).words
    there_is = (
        "-s today, what emulators are built with now, in their usual settings (fastmem, page-table, softmmu-qemu10)"
    )
    assert there_is in said
    assert (
        "-s mail, the four schemes of 2004, some in several settings (softmmu, byte-lookup, map-block, qemu-fast)"
        in said
    )
    assert "-s all, every scheme." in said
    named = cli(
        "compare", path, *(word for spec in named_ones("user") for word in ("-s", spec)), "-o", tmp_path / "n.csv"
    )
    assert "There is more to compare" not in named.words
    cli("compare", path, "-o", tmp_path / "d.csv")
    assert "There is more to compare" in cli("export", tmp_path / "d.csv", "--format", "md").words


def named_ones(mode):
    return [str(strategy) for strategy in default_strategies(mode)]


@pytest.mark.parametrize(
    ("times", "today", "said"),
    [
        (
            {"a": 10.0, "b": 20.0, "c": 30.0},
            {"b", "c"},
            "Of what emulators are built with now b costs least here: 20.0 ns.",
        ),
        ({"a": 10.0, "b": 20.0}, {"b"}, "b, 20.0 ns, is the only one here that emulators are built with now: -s today"),
        ({"a": 10.0, "b": 20.0}, {"a"}, ""),  # the winner, which the sentence before names
        ({"a": 10.0, "b": 10.0}, {"b"}, ""),  # no price tells them apart
        ({"a": 10.0, "b": 20.0}, set(), ""),
    ],
)
def test_the_best_of_today_is_named_where_another_wins(times, today, said):
    told = today_sentence([Line(name, ns, 0.0, 0) for name, ns in times.items()], today)
    assert told.startswith(said) if said else told == ""


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
