"""Import of Dinero's xdin: sizes in hex, flushes, and the way from an export back."""

import pytest
from kit.importing import imported
from kit.traces import columns_of, write

from mmuexp.errors import TraceError
from mmuexp.guest import Op
from mmuexp.trace.export import export

LOAD, STORE, EXEC, FLUSH, FLUSH_PAGE = Op.LOAD, Op.STORE, Op.EXEC, Op.FLUSH, Op.FLUSH_PAGE


def test_rows_by_hand(tmp_path):
    text = (
        "r 1000 10\nW 0x2000 4 a remark\ni 401000 3\nI 401003 A\nr 3000 60\n"
        "m 0 0\nc 10 4\nv 0 0\nv 1ff0 20\nV 5000 1000\nv 10 0\nr 10 0\n"
    )
    rows, _, trace = imported(tmp_path, text)
    assert rows == [
        (LOAD, 0x1000, 16, 0),
        (STORE, 0x2000, 4, 0),
        (EXEC, 0x401000, 13, 2),
        (LOAD, 0x3000, 64, 2), (LOAD, 0x3040, 32, 2),
        (FLUSH, 0, 0, 0),
        (FLUSH_PAGE, 0x1000, 0, 0), (FLUSH_PAGE, 0x2000, 0, 0),
        (FLUSH_PAGE, 0x5000, 0, 0),
        (LOAD, 0x10, 1, 2),
    ]  # fmt: skip
    keys = trace.metadata
    assert keys["left_out_records"] == "3" and "code" not in keys
    assert (keys["sizes"], keys["unknown_sizes"]) == ("partly", "1")


def test_sizes_and_lengths_are_known(tmp_path):
    _, _, trace = imported(tmp_path, "i 10 2\nr 20 4\n")
    assert "sizes" not in trace.metadata and "code" not in trace.metadata and "guest" not in trace.metadata


def test_a_range_of_pages_is_dropped_page_by_page(tmp_path):
    rows, *_ = imported(tmp_path, "r 1 1\nv 10000000 40000000\nr 1 1\n")
    assert len(rows) == 2 + (1 << 18)
    assert rows[1] == (FLUSH_PAGE, 0x10000000, 0, 0) and rows[-2] == (FLUSH_PAGE, 0x4FFFF000, 0, 0)
    for size in ("100000001", "ffffffffffffffff"):
        with pytest.raises(TraceError, match=r"line 2 'v 0 .*' drops more than 1,048,576 pages; 'v 0 0' drops all"):
            imported(tmp_path, f"r 1 1\nv 0 {size}\n")


def test_what_was_exported_comes_back(tmp_path):
    rows = [(EXEC, 0x1000, 7, 3), (LOAD, 0x2000, 64, 2), (STORE, 0x2FFE, 4, 3), (EXEC, 0x9000, 2, 1)]
    export(write(tmp_path / "t.arrow", columns_of(rows)), str(tmp_path / "t.xdin"))
    assert imported(tmp_path, (tmp_path / "t.xdin").read_text())[0] == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("r 10 4\nr 10\n", "line 2 'r 10' is not a line of Dinero xdin: expected 'r|w|i|m|c|v HEX HEXSIZE'"),
        ("r 10 4\nx  10 4\n", "line 2 'x  10 4' is not a line"),
        ("r 10 4\nr 10 4x\n", "line 2 'r 10 4x' is not a line"),
        ("r 10 4\n2 401000\n", "is not a line of xdin, but perhaps of din; say so: from_format='din'"),
        ("r 10 4\ni 10 0\n", "line 2 has an instruction of 0 bytes"),
        ("r 10 4\nr 10 10000\n", "line 2 has more than 65,535 bytes"),
        ("r 10 4\nr 10 fffffffffffffff\n", "line 2 has more than 65,535 bytes"),
    ],
)
def test_what_is_refused(tmp_path, text, says):
    with pytest.raises(TraceError) as refused:
        imported(tmp_path, text)
    assert says in str(refused.value)
