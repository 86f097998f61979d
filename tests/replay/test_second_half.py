"""What the second half of the rows costs, alone: exact counts, a line of the table, a sentence where it differs."""

import pytest
from kit.cli import refused_manifest
from kit.traces import ROWS, columns_of, random_trace, write_trace
from truth.schemes import NAMES

from mmuexp.analysis.compare import compare, sweep
from mmuexp.render.export import Output
from mmuexp.render.sentence import half_sentence
from mmuexp.render.summary import summaries
from mmuexp.result.saved import load
from mmuexp.result.table import HALF, Result, rows_of
from mmuexp.trace import TraceWriter


@pytest.mark.parametrize("rows", [2, 3, 999, 3_001])
def test_it_is_what_a_warm_up_of_the_first_half_leaves(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 500)
    path = str(tmp_path / "t.arrow")
    with TraceWriter(path, mode="user", metadata={}) as writer:
        writer.append(columns_of(random_trace(7, 3_001, "user")[:rows]))
    rest = compare(path, NAMES, warmup=rows // 2).frame
    for jobs in (1, 3):
        whole = compare(path, NAMES, jobs=jobs).frame
        assert list(whole["second_half_accesses"]) == list(rest["accesses"])
        assert list(whole["second_half_ns"]) == pytest.approx(list(rest["access_ns"]))


@pytest.mark.parametrize("options", [{"every": 5}, {"warmup": 1}, {"every": 5, "warmup": 1}])
def test_of_a_part_it_is_not_known(trace, options):
    frame = compare(trace, ["softmmu"], **options).frame
    assert frame[HALF].isna().all().all()
    assert compare(trace, ["softmmu"], **options).manifest["second_half"] == []


def test_one_row_has_no_halves_and_a_program_elsewhere_tells_none(tmp_path):
    one = write_trace(tmp_path / "one.arrow", rows=1)
    assert compare(one, ["softmmu"]).frame[HALF].isna().all().all()
    two = write_trace(tmp_path / "two.arrow", rows=2)
    assert sweep("load_seed=0,1", two, strategy="softmmu").frame[HALF].isna().all().all()
    assert list(sweep("tlb_bits=7,8", two).frame["second_half_accesses"]) == [1, 1]


def row(ns: float, half: float | None, rows: int = 100) -> dict:
    return {"access_ns": ns, "second_half_ns": half, "rows": rows}


@pytest.mark.parametrize(
    ("table", "reference", "said"),
    [
        ({"soft": (100, 50), "map": (50, 25)}, "soft", ""),  # 2 times in both
        ({"soft": (100, 50), "map": (50, 23)}, "soft", ""),  # 8 % more
        ({"soft": (110, 50), "map": (50, 5)}, "soft", "map's accesses cost 10.00 times less than soft's: --warmup 50"),
        ({"soft": (80, 10), "map": (50, 10)}, "soft", "map's accesses cost as much as soft's: --warmup 50"),
        ({"soft": (100, 5), "map": (50, 10)}, "soft", "soft's accesses cost least, 2.00 times less than map's"),
        ({"soft": (10, 2), "map": (50, 4), "b": (90, 90)}, "soft", "soft's accesses cost 2.00 times less than map's"),
        ({"soft": (100, 50), "map": (50, None)}, "soft", ""),  # an older result
        ({"soft": (100, 50), "map": (50, 0)}, "soft", ""),  # no access at all in it
        ({"map": (50, 1)}, "map", ""),
    ],
)
def test_it_is_said_where_it_differs(table, reference, said):
    told = half_sentence([row(*both) for both in table.values()], list(table), reference)
    assert told.startswith(f"In the second half of the rows alone {said}") if said else told == ""


def test_table_and_sentence(cli, tmp_path):
    """A program that touches all its pages first, and then the same one again and again."""
    first = [(0, 0x10000 + (page << 12), 4, 1) for page in range(200)]
    path = write_trace(tmp_path / "t.arrow", (*first, *[(0, 0x10000, 4, 1)] * 200))
    done = cli("compare", path, "-s", "softmmu", "-s", "qemu-fast")
    table = done.out.split("\n\n")[1]
    (line,) = (line for line in table.splitlines() if line.startswith("  second half alone"))
    assert "reference" in line
    assert "In the second half of the rows alone qemu-fast's accesses cost least" in done.words
    assert "--warmup 200 counts from there" in done.words
    assert "second half" not in cli("compare", path, "-s", "softmmu", "-s", "qemu-fast", "--warmup", "200").out
    page = tmp_path / "p.html"
    cli("compare", path, "-s", "softmmu", "-s", "qemu-fast", "-o", page)
    assert "In the second half of the rows alone" in page.read_text()


@pytest.mark.parametrize("wrong", [3, [3], [{"trace": "t"}], [{"trace": "t", "strategy": "s", "counts": {"a": -1}}]])
def test_a_manifest_that_is_wrong_is_one_line(cli, trace, tmp_path, wrong):
    assert "second_half" in refused_manifest(cli, trace, tmp_path, second_half=wrong)


def test_an_older_result_without_it_is_shown(trace, tmp_path):
    result = compare(trace, ["softmmu", "map-block"])
    assert len(rows_of(result.frame)) == 2
    assert result.frame["rows"].iloc[0] == len(ROWS)
    older = Result(result.kind, result.frame.drop(columns=HALF), result.manifest)
    Output(str(tmp_path / "old.json")).save(older)
    (shown,) = summaries(load(str(tmp_path / "old.json")))
    assert not [cells for cells in shown.cells if "second half" in cells[0]]
    assert "second half" not in shown.sentence
