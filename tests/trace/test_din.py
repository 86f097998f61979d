"""Import of Dinero's din: lengths by what follows, no sizes, and when it is believed to be din."""

import gzip

import pytest
from kit.importing import imported

from mmuexp.errors import TraceError
from mmuexp.guest import Op

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC
TEXT = "2 401000 8b45\n0 7ffe0010\n2 401003\n1 7ffe0012 x\n2 401003\n4 0\n2 40100a\n2 401019\n2 401029"


def test_rows_by_hand(tmp_path):
    rows, done, trace = imported(tmp_path, TEXT, name="t.din")
    assert rows == [
        (EXEC, 0x401000, 4, 2),  # 3 bytes to the next one, and 1 of the last: the same address again follows
        (LOAD, 0x7FFE0010, 1, 1),
        (STORE, 0x7FFE0012, 1, 2),
        (EXEC, 0x401003, 23, 3),  # 7, 15, and 1: 16 bytes are no instruction
        (EXEC, 0x401029, 1, 1),
    ]
    keys = trace.metadata
    assert (keys["sizes"], keys["code"], keys["left_out_records"]) == ("unknown", "lengths unknown", "1")
    assert done.remarks == ("the last line has no end: it may be cut",)
    assert imported(tmp_path, TEXT, name="t.din", size=4)[0][1] == (LOAD, 0x7FFE0010, 4, 1)


def test_a_run_that_is_full_knows_its_last_length(tmp_path):
    text = "".join(f"2 {0x1000 + 2 * at:x}\n" for at in range(66))
    rows, *_ = imported(tmp_path, text, name="t.din")
    assert rows == [(EXEC, 0x1000, 128, 64), (EXEC, 0x1080, 3, 2)]


def test_data_alone_has_no_code(tmp_path):
    _, _, trace = imported(tmp_path, "0 10\n1 0x20\n", name="t.din")
    assert trace.metadata["code"] == "none"


def test_the_suffix_or_the_user_tells(tmp_path):
    for name in ("t.din", "T.DIN", "t.din.gz"):
        data = gzip.compress(TEXT.encode()) if name.endswith("gz") else TEXT
        assert imported(tmp_path, data, name=name)[1].format == "din"
    assert imported(tmp_path, TEXT, from_format="din")[1].format == "din"
    with pytest.raises(TraceError, match="looks like Dinero's din, which the content does not tell; say so: "):
        imported(tmp_path, TEXT)
    with pytest.raises(TraceError, match="looks like Ramulator's"):
        imported(tmp_path, "0 8192\n1 20846400\n")
    assert imported(tmp_path, "r 10 4\ni 20 2\n", name="t.din")[1].format == "xdin"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 10\n6 20\n", "line 2 '6 20' is not a line of Dinero din: expected '0|1|2 HEX'"),
        ("0 10\n0\n", "line 2 '0' is not a line"),
        ("0 10\n02 20\n", "line 2 '02 20' is not a line"),
        ("0 10\n0 20x\n", "line 2 '0 20x' is not a line"),
        ("0 10\nr 20 4\n", "line 2 'r 20 4' is a line of xdin; say so: from_format='xdin'"),
        ("\0\0\0\1", "is not text: Dinero's binary form cuts addresses to 32 bits"),
    ],
)
def test_what_is_refused(tmp_path, text, says):
    with pytest.raises(TraceError) as refused:
        imported(tmp_path, text, name="t.din")
    assert says in str(refused.value)
