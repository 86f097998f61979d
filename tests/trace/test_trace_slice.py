"""`mmuexp trace slice`: a slice is the rows asked for, of the original recording, whatever it was cut from."""

import pytest
from kit.traces import SYSTEM, program_rows, read, same, write

from mmuexp.guest import Columns, Op
from mmuexp.trace import digest, open_trace
from mmuexp.trace.info import info
from mmuexp.trace.rewrite import slice_trace

META = {"mmuexp.format": "1", "mmuexp.mode": "user"}


def test_slice_of_slices_in_user_mode(tmp_path, cli):
    rows = program_rows(10_000)
    path = write(tmp_path / "t.arrow", rows, command="ls", licence="CC0")
    done = cli("trace", "slice", path, "1000:9000", "-o", tmp_path / "a.arrow")
    assert done.code == 0 and done.out == "" and "8,000 rows" in done.err
    assert cli("trace", "slice", tmp_path / "a.arrow", "100:-100", "-o", tmp_path / "b.arrow").code == 0
    trace = open_trace(tmp_path / "b.arrow")
    assert same(read(trace), Columns(*(column[1100:8900] for column in rows)))
    assert trace.window == (1100, 7800) and trace.complete == "yes" and trace.metadata["licence"] == "CC0"
    assert trace.metadata["slice_of"] == f"a.arrow rows 100:7900 sha256 {digest(tmp_path / 'a.arrow')}"


def known_at(columns: Columns, row: int) -> dict[int, int]:
    known: dict[int, int] = {}
    for op, vaddr, page in zip(columns.op[:row], columns.vaddr[:row], columns.page[:row], strict=True):
        if op == Op.MAP:
            known[int(vaddr)] = int(page)
        elif op == Op.FLUSH:
            known.clear()
        elif op == Op.FLUSH_PAGE:
            known.pop(int(vaddr) & ~4095, None)
    return known


@pytest.mark.parametrize("start", range(12))
def test_a_slice_of_a_system_trace_begins_with_what_is_known(tmp_path, start):
    path = write(tmp_path / "t.arrow", SYSTEM, "system")
    done = slice_trace(path, start, 12, str(tmp_path / "s.arrow"))
    got, known = read(open_trace(tmp_path / "s.arrow")), known_at(SYSTEM, start)
    assert done == (12 - start, len(known), (start, 12 - start))
    assert dict(zip(got.vaddr[: len(known)].tolist(), got.page[: len(known)].tolist(), strict=True)) == known
    assert (got.op[: len(known)] == Op.MAP).all()
    assert same(Columns(*(c[len(known) :] for c in got)), Columns(*(c[start:] for c in SYSTEM)))
    info(tmp_path / "s.arrow")  # its rows are without error


def test_a_slice_of_a_slice_of_a_system_trace(tmp_path):
    path = write(tmp_path / "t.arrow", SYSTEM, "system")
    slice_trace(path, 3, 12, str(tmp_path / "a.arrow"))  # 2 MAP rows, then rows 3 to 11
    slice_trace(tmp_path / "a.arrow", 4, 9, str(tmp_path / "b.arrow"))  # its rows 4 to 8 are rows 5 to 9
    trace = open_trace(tmp_path / "b.arrow")
    assert trace.window == (5, 5)
    once = slice_trace(path, 5, 10, str(tmp_path / "c.arrow"))
    assert once.window == (5, 5) and same(read(trace), read(open_trace(tmp_path / "c.arrow")))
    # from its own MAP rows on: they are not rows of the recording
    slice_trace(tmp_path / "a.arrow", 1, 4, str(tmp_path / "d.arrow"))
    trace = open_trace(tmp_path / "d.arrow")
    assert trace.window == (3, 2) and trace.file_rows == 4


def test_a_slice_keeps_why_its_end_was_cut_short(tmp_path):
    from mmuexp.trace import TraceWriter

    with TraceWriter(tmp_path / "t.arrow", mode="user", metadata={}) as writer:
        writer.append(program_rows(100))
        writer.close(complete="cut short: ^C", window=(50, 100))
    slice_trace(tmp_path / "t.arrow", 0, 50, str(tmp_path / "a.arrow"))
    slice_trace(tmp_path / "t.arrow", 50, 100, str(tmp_path / "b.arrow"))
    a, b = open_trace(tmp_path / "a.arrow"), open_trace(tmp_path / "b.arrow")
    assert (a.complete, a.window, b.complete, b.window) == ("yes", (50, 50), "cut short: ^C", (100, 50))
