"""A layout that cannot serve a trace: shown by default, it is left out with a remark; asked for, it is an error."""

import csv
import io
import json

import pytest
from kit.cli import one_line
from kit.traces import system_rows, write

import mmuexp
from mmuexp.analysis import passes
from mmuexp.errors import SchemeStopped
from mmuexp.guest import Op
from mmuexp.result.saved import load
from mmuexp.strategy.registry import default_strategies

PATCHED = "qemu-fast,kernel_offset=0x30000000"
OTHERS = [str(s) for s in default_strategies("system") if str(s) != PATCHED]

# under kernel_offset page 0x90001 moves down to where page 0x60001 is
MEETING = system_rows(
    (Op.MAP, 0x90001000, 12, 0, 0, 0x11),
    (Op.STORE, 0x90001000, 4, 1),
    (Op.MAP, 0x60001000, 12, 0, 0, 0x12),
    (Op.LOAD, 0x60001000, 4, 1),
    (Op.LOAD, 0x90001000, 4, 1),
)
APART = system_rows((Op.MAP, 0x1000, 12, 0, 0, 0x11), (Op.LOAD, 0x1000, 4, 1))
WHY = "row 3: virtual page 0x60001 and another virtual page come to lie at one host page with kernel_offset=0x30000000"


@pytest.fixture
def meeting(tmp_path):
    return write(tmp_path / "meeting.arrow", MEETING, mode="system")


@pytest.fixture
def apart(tmp_path):
    return write(tmp_path / "apart.arrow", APART, mode="system")


def test_by_default_the_rest_of_the_table_comes(cli, meeting):
    done = cli("compare", meeting, "--format", "csv")
    assert done.code == 0
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["strategy"] for row in rows] == OTHERS
    assert {row["rows"] for row in rows} == {"5"}
    assert one_line(done.err) == f"mmuexp: {meeting}: {PATCHED} is left out, it cannot serve this trace: {WHY}"


def test_the_others_count_what_they_count_alone(meeting):
    whole = mmuexp.compare(meeting).set_index("strategy")
    alone = mmuexp.compare(meeting, OTHERS).set_index("strategy")
    assert whole.equals(alone)


@pytest.mark.parametrize("asked", [["-s", PATCHED], ["-s", "softmmu", "-s", PATCHED], ["--reference", PATCHED]])
def test_asked_for_it_is_an_error(cli, meeting, asked):
    done = cli("compare", meeting, *asked)
    assert (done.code, done.out) == (1, "")
    assert WHY in one_line(done.err)


def test_a_sweep_asks_for_it_too(cli, meeting):
    done = cli("sweep", "kernel_offset=0,0x30000000", "--trace", meeting)
    assert (done.code, done.out) == (1, "")
    assert WHY in one_line(done.err)


def test_the_notebook_finds_it_in_the_manifest(meeting, apart):
    frame = mmuexp.compare([meeting, apart])
    assert frame.attrs["manifest"]["left_out"] == [{"trace": meeting, "strategy": PATCHED, "why": WHY}]
    assert list(frame[frame["trace"] == meeting]["strategy"]) == OTHERS
    assert set(frame[frame["trace"] == apart]["strategy"]) == {PATCHED, *OTHERS}
    assert mmuexp.compare(apart).attrs["manifest"]["left_out"] == []
    with pytest.raises(SchemeStopped, match="row 3"):
        mmuexp.compare(meeting, [PATCHED])


def test_it_has_no_window_either(meeting):
    frame = mmuexp.compare(meeting, every=2)
    assert PATCHED not in set(frame["strategy"])
    assert frame.groupby("strategy")["rows"].sum().to_dict() == dict.fromkeys(OTHERS, 5)


def test_in_a_pass_of_its_own(meeting, monkeypatch):
    """A pass may lose its only scheme."""
    growing = iter(range(0, 1 << 40, passes.SCHEMES_BYTES + 1))
    monkeypatch.setattr(passes, "resident_bytes", lambda: next(growing))
    assert list(mmuexp.compare(meeting)["strategy"]) == OTHERS


def test_outputs_say_so_and_come_back(cli, meeting, tmp_path):
    file, page = tmp_path / "result.json", tmp_path / "result.md"
    assert cli("compare", meeting, "-o", file, "-o", page, "--format", "table").code == 0
    remark = f"{PATCHED} is left out, it cannot serve this trace: {WHY}."
    assert remark in " ".join(cli.out.split())
    assert remark in page.read_text()
    assert load(str(file)).manifest["left_out"][0]["strategy"] == PATCHED
    document = json.loads(file.read_text())
    document["manifest"]["left_out"][0]["why"] = 1
    file.write_text(json.dumps(document))
    assert cli("export", file, "--format", "md").code == 1
    assert "why of left_out is not text" in one_line(cli.err)


def test_a_row_that_nobody_can_serve_is_an_error(cli, tmp_path):
    bad = write(tmp_path / "bad.arrow", system_rows((Op.LOAD, 0x1000, 4, 1)), mode="system")
    assert cli("compare", bad).code == 1
