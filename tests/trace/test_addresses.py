"""Import of address lists: the shapes that courses hand out, and what is said of columns that do not fit."""

import pytest
from kit.importing import imported

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import Op

LOAD, STORE = Op.LOAD, Op.STORE


@pytest.mark.parametrize(
    ("text", "options", "rows"),
    [
        ("00418f2c R\n00418F30 w\n", {"columns": "ao"}, [(LOAD, 0x418F2C, 1, 0), (STORE, 0x418F30, 1, 0)]),
        ("w 40051a00\r\n", {"columns": "oa"}, [(STORE, 0x40051A00, 1, 0)]),
        ("l 0x140b3c20\ns 0X140b3c20 \n", {"columns": "oa"}, [(LOAD, 0x140B3C20, 1, 0), (STORE, 0x140B3C20, 1, 0)]),
        ("l 0xDEADBEEF 4\n", {"columns": "oa-"}, [(LOAD, 0xDEADBEEF, 1, 0)]),
        ("l 0xDEADBEEF 12\n", {"columns": "oas"}, [(LOAD, 0xDEADBEEF, 12, 0)]),
        ("W 3212859348\n", {"columns": "oa", "decimal": True}, [(STORE, 3212859348, 1, 0)]),
        ("0 R 10\n0 M 1f\n", {"columns": "toa"}, [(LOAD, 0x10, 1, 0), (LOAD, 0x1F, 1, 0), (STORE, 0x1F, 1, 0)]),
        ("# a remark\n\n W 0x7ffe0010\n", {"columns": "oa"}, [(STORE, 0x7FFE0010, 1, 0)]),
        ("IFETCH,0x10,8\nLoad,0x20,8\nst ,0x28, 100\n", {"columns": "oas"},
         [(LOAD, 0x20, 8, 0), (STORE, 0x28, 64, 0), (STORE, 0x68, 36, 0)]),
        ("0x401000: R 0x20\n", {"columns": "-oa"}, [(LOAD, 0x20, 1, 0)]),
        ("R 00000000000000000010\n", {"columns": "oa"}, [(LOAD, 0x10, 1, 0)]),  # zeros in front are no bits
    ],
)  # fmt: skip
def test_shapes(tmp_path, text, options, rows):
    found, done, trace = imported(tmp_path, text, **options)
    assert found == rows and done.format == "addresses"
    assert trace.metadata["code"] == "none" and trace.metadata["columns"] == options["columns"]
    assert trace.metadata.get("sizes") == (None if "s" in options["columns"] else "unknown")
    assert trace.complete != "yes"  # nothing in a list tells


def test_what_is_left_out_is_counted(tmp_path):
    text = "i 10\nr 20\nAddress list\n"
    _, _, trace = imported(tmp_path, text, columns="oa", skip_foreign=True)
    assert (trace.metadata["left_out_records"], trace.metadata["left_out_lines"]) == ("1", "1")


def test_threads(tmp_path):
    text = "0 R 10\n0x1f W 20\n0 R 30\n"
    with pytest.raises(TraceError, match=r"holds 2 threads: 0 \(2 accesses\), 31 \(1 accesses\)"):
        imported(tmp_path, text, columns="toa")
    assert [row[1] for row in imported(tmp_path, text, columns="toa", thread=0)[0]] == [0x10, 0x30]
    assert [row[1] for row in imported(tmp_path, text, columns="toa", interleave=True)[0]] == [0x10, 0x20, 0x30]
    many = "".join(f"{thread} R 10\n" for thread in range(5000))
    with pytest.raises(TraceError, match="line 4,097 '4096 R 10' is of another thread after 4,096"):
        imported(tmp_path, many, columns="toa")


def test_addresses_of_digits_alone_raise_a_question(tmp_path):
    said = "no address has a letter: if they are decimal"
    assert any(said in one for one in imported(tmp_path, "W 12859348\n", columns="oa")[1].remarks)
    assert imported(tmp_path, "W 1285934a\n", columns="oa")[1].remarks == ()
    assert imported(tmp_path, "W 12859348\n", columns="oa", decimal=True)[1].remarks == ()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("oax", "has 'x', which is not a column; name each column in its order: a address, o operation"),
        ("oao", "has 'o' twice"),
        ("a", "has no 'o'"),
        ("o", "has no 'a'"),
        ("oa" + "-" * 19, "more than 20 columns"),
    ],
)
def test_columns_that_are_none(tmp_path, columns, says):
    with pytest.raises(UsageError, match=says):
        imported(tmp_path, "r 10\n", columns=columns)


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("r 10\nl 0xDEADBEEF  4\n", "oa", "line 2 'l 0xDEADBEEF  4' has 3 columns, where .* names 2; .*: oa-$"),
        ("r 10\nr\n", "oa", "line 2 'r' has 1 column, where"),
        ("10 r\n", "oa", r"line 1 '10 r' has no operation \(r l read .*\) in column 1"),
        ("r 10\nr xyz\n", "oa", "line 2 'r xyz' has no hexadecimal address in column 2"),
        ("r 10 x\nr 1,,2\n", "oa-", "line 2 'r 1,,2' has 4 columns"),
        ("r 10 x\n", "oas", "has no decimal number of bytes in column 3"),
        ("x r 10\n", "toa", "line 1 'x r 10' has no number of a thread in column 1"),
        ("r 10\nr 11112222333344445\n", "oa", "line 2 'r 11112222333344445' is not a line of address list"),
    ],
)
def test_what_is_refused(tmp_path, text, columns, says):
    with pytest.raises(TraceError, match=says):
        imported(tmp_path, text, columns=columns)
    assert not (tmp_path / "t.arrow").exists()


def test_decimal_addresses_with_letters_are_refused(tmp_path):
    with pytest.raises(TraceError, match="line 1 'r 1f' has no decimal address in column 2"):
        imported(tmp_path, "r 1f\n", columns="oa", decimal=True)


def test_an_address_list_needs_its_columns(tmp_path):
    with pytest.raises(UsageError, match="an address list needs"):
        imported(tmp_path, "r 10\n", from_format="addresses")
