"""One list of events: whatever is in it, counted and declared reaches tables, files, texts and the live engine."""

import csv

import pytest
from kit.places import RESULTS, ROOT
from kit.planted import Planted
from kit.traces import columns_of, load, store, write

from mmuexp.events import SHAPE, SUMS, Event, Group
from mmuexp.replay.survey import Survey
from mmuexp.result.table import COLUMNS, COUNTS, LIVE, OTHERS, WINDOW, columns_in_order

LAST = """
    @property
    def column(self)"""


def test_every_event_has_a_column_and_a_count():
    assert len(COLUMNS) == len(set(COLUMNS)) == len(OTHERS) + len(Event)
    assert {event.column for event in Event} <= set(COUNTS)
    assert [COLUMNS[event.place] for event in Event] == [event.column for event in Event]


def test_help_lists_every_column_once(cli):
    listed = [line.split() for line in cli("help", "columns").out.splitlines() if line.startswith("  ")]
    names = [name for line in listed for name in line]
    assert len(names) == len(set(names))
    assert {*COLUMNS, *LIVE, WINDOW, "victim_hits"} <= set(names)


def test_what_the_rows_tell_is_counted_for_every_trace():
    assert {*SHAPE, *SUMS} <= set(Survey("user").counts())


def test_the_table_grows_at_its_end_only():
    for file in RESULTS.glob("*/counts.csv"):
        with file.open() as lines:
            saved = next(csv.reader(lines))
        known = [name for name in saved if name in COLUMNS]
        if saved[2] == "rows":  # a table of compare or sweep
            assert known == COLUMNS[: len(known)], file


def test_the_example_for_contributors_has_the_next_place():
    assert f"Group.TLB, {len(COLUMNS)}, " in (ROOT / "CONTRIBUTING.md").read_text()


def test_a_sum_is_of_its_group():
    assert {e.column for e in Event if e.group is Group.FAULT} == {c for c in COLUMNS if c.startswith("faults_")}
    assert {e.column for e in Event if e.group is Group.CALL} == {c for c in COUNTS if c.endswith("p_calls")} | {
        "mprotect_calls"
    }


@pytest.mark.parametrize("place", [len(COLUMNS) + 1, 16])
def test_a_place_that_leaves_a_gap_or_is_taken_is_refused(place):
    class Odd:
        column, place = "odd", 0

    Odd.place = place
    with pytest.raises(ValueError, match="behind the last column"):
        columns_in_order(OTHERS, [*Event, Odd])


def test_a_planted_event_reaches_table_csv_and_texts(tmp_path):
    """It is counted in the emulator and declared by a scheme; no other file is told of it."""
    line = f'    TLB_LOOKUPS = Group.TLB, {len(COLUMNS)}, "lookups of the helper"\n'
    copy = Planted(
        tmp_path,
        {
            "mmuexp/events.py": (LAST, line + LAST),
            "mmuexp/emulator/tlb.py": (
                "    tag = page + 1\n    t.touched[store, i] = 1\n    if (t.write",
                "    tag = page + 1\n    n[Event.TLB_LOOKUPS] += 1\n    t.touched[store, i] = 1\n    if (t.write",
            ),
            "strategies/softmmu.py": ("meanings(CODE) | {", 'meanings(CODE) | {Event.TLB_LOOKUPS: "lookups"} | {'),
        },
    )
    trace = write(tmp_path / "t.arrow", columns_of([load(0x1000), load(0x1FFE), store(0x2000)]))
    told = copy.mmuexp("compare", trace, "-s", "softmmu", "-s", "byte-lookup", "--format", "csv")
    softmmu, other = csv.DictReader(told.splitlines())
    assert list(softmmu) == [*COLUMNS, "tlb_lookups"]
    assert (softmmu["tlb_lookups"], softmmu["tlb_fills"]) == ("4", "3")
    assert other["tlb_lookups"] == ""
    assert "tlb_lookups" in copy.mmuexp("strategy", "show", "softmmu")
    saved = str(tmp_path / "r.json")
    copy.mmuexp("compare", trace, "-s", "softmmu", "-o", saved, "--fail-if", "tlb_lookups < 1")
    assert copy.mmuexp("export", saved, "--format", "csv").splitlines()[0].endswith(",tlb_lookups")
    done = copy.python("-m", "mmuexp", "verify", trace, "-s", "softmmu")  # its C half does not count it yet
    assert (done.returncode, " ".join(done.stdout.split()).count("tlb_lookups 4 / 0")) == (3, 1)
