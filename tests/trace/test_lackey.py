"""Import of valgrind's lackey text: blocks by hand, splitting, rebasing, and every refusal."""

import gzip
import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from kit.importing import imported as imported_from

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import Op
from mmuexp.trace.importers import layers
from mmuexp.trace.importers import rows as builder
from mmuexp.trace.importers.work import import_trace

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC


def imported(folder, text, **given):
    return imported_from(folder, text, from_format="lackey", **given)


def test_blocks_by_hand(tmp_path):
    rows, done, trace = imported(
        tmp_path,
        "==7== Lackey, an example Valgrind tool\n"
        "==7== Using Valgrind-3.19.0 and LibVEX; rerun with -h\n"
        "==7== Command: ./prog a b\n"
        "--7-- a remark\n"
        " L 00002000,4\n"  # before any instruction: position unknown
        "I  00001000,3\n"
        "I  00001003,2\n"
        " L be000000,8\n"
        " S BE000008,4\n"
        "I  00001005,5\n"
        " M 0000300f,2\n"
        "I  00001000,3\n"  # a jump back
        "I  00001000,3\n"  # and again, as rep does
        " S 00004000,1\r\n"
        "\n"
        "==7== Exit code:       0\n",
    )
    assert rows == [
        (LOAD, 0x2000, 4, 0),
        (EXEC, 0x1000, 10, 3),
        (LOAD, 0xBE000000, 8, 2),
        (STORE, 0xBE000008, 4, 2),
        (LOAD, 0x300F, 2, 3),
        (STORE, 0x300F, 2, 3),
        (EXEC, 0x1000, 3, 1),
        (EXEC, 0x1000, 3, 1),
        (STORE, 0x4000, 1, 1),
    ]
    assert (done.units, done.unit, done.moved) == (16, "line", [])
    assert trace.metadata["command"] == "./prog a b" and trace.metadata["recorder_version"] == "Valgrind-3.19.0"
    assert trace.metadata["split_records"] == "0" and trace.complete == "yes" and trace.window == (0, 9)


def test_a_block_has_at_most_64_instructions(tmp_path):
    text = "".join(f"I  {0x1000 + 2 * i:08x},2\n S 00009000,4\n" for i in range(130))
    rows, *_ = imported(tmp_path, text)
    blocks = [row for row in rows if row[0] == EXEC]
    assert blocks == [(EXEC, 0x1000, 128, 64), (EXEC, 0x1080, 128, 64), (EXEC, 0x1100, 4, 2)]
    assert [row[3] for row in rows if row[0] == STORE] == [*range(1, 65), *range(1, 65), 1, 2]


def test_a_block_lies_within_2_pages(tmp_path):
    start = 0x1FF0  # 16 bytes of one page, then 4096 of the next: 274 instructions of 15 bytes reach 0x2fff
    sizes = [4096, 15, 3]
    text, at = "", start
    for size in sizes:
        text += f"I  {at:x},{size}\n"
        at += size
    rows, *_ = imported(tmp_path, text)
    # 0x1ff0 + 4096 = 0x2ff0; + 15 = 0x2fff still within; + 3 would end in a third page
    assert rows == [(EXEC, 0x1FF0, 4111, 2), (EXEC, 0x2FFF, 3, 1)]


def test_records_over_64_bytes_are_split_and_counted(tmp_path):
    rows, _, trace = imported(tmp_path, "I  1000,3\n L 2000,64\n S 3000,65\n M 4000,130\n")
    assert rows == [
        (EXEC, 0x1000, 3, 1),
        (LOAD, 0x2000, 64, 1),
        (STORE, 0x3000, 64, 1), (STORE, 0x3040, 1, 1),
        (LOAD, 0x4000, 64, 1), (LOAD, 0x4040, 64, 1), (LOAD, 0x4080, 2, 1),
        (STORE, 0x4000, 64, 1), (STORE, 0x4040, 64, 1), (STORE, 0x4080, 2, 1),
    ]  # fmt: skip
    assert trace.metadata["split_records"] == "2"


def test_addresses_wrap_at_4_gib(tmp_path):
    rows, *_ = imported(tmp_path, "I  fffffffe,4\nI  00000002,1\n L ffffffff,8\n S ffffffe0,96\n")
    assert rows[0] == (EXEC, 0xFFFFFFFE, 5, 2)
    assert rows[1:] == [(LOAD, 0xFFFFFFFF, 8, 2), (STORE, 0xFFFFFFE0, 64, 2), (STORE, 0x20, 32, 2)]


def test_rebase_moves_regions_in_order_of_first_touch(tmp_path):
    text = "I  555500001000,3\n S 7fff10000008,8\n L 000000123456,4\nI  555500001003,3\n L 7fff1fffffff,1\n"
    rows, done, trace = imported(tmp_path, text, rebase=True)
    assert rows == [
        (EXEC, 0x00001000, 6, 2),
        (STORE, 0x10000008, 8, 1),
        (LOAD, 0x20123456, 4, 1),
        (LOAD, 0x1FFFFFFF, 1, 2),
    ]
    assert done.moved == [(0x555500000000, 0), (0x7FFF10000000, 0x10000000), (0, 0x20000000)]
    assert trace.metadata["rebase"] == "0x555500000000->0x0 0x7fff10000000->0x10000000 0x0->0x20000000"


def test_rebase_says_when_nothing_moved(tmp_path):
    *_, done, trace = imported(tmp_path, "I  1000,3\n L 10000000,4\n", rebase=True)
    assert done.moved == [] and trace.metadata["rebase"] == "nothing moved"


def test_a_record_across_a_regions_end(tmp_path):
    # neighbours stay neighbours: nothing is cut
    rows, _, trace = imported(tmp_path, " L 7fff0ffffffc,8\n", rebase=True)
    assert rows == [(LOAD, 0x0FFFFFFC, 8, 0)] and trace.metadata["rebase_cut_records"] == "0"
    # the upper region came first: the bytes go to two places
    text = " L 7fff10000000,4\n S 7fff0ffffffc,8\nI  7fff0ffffffe,5\nI  7fff10000003,2\n L 7fff10000000,4\n"
    rows, _, trace = imported(tmp_path, text, rebase=True)
    assert rows == [
        (LOAD, 0x00000000, 4, 0),
        (STORE, 0x1FFFFFFC, 4, 0), (STORE, 0x00000000, 4, 0),
        (EXEC, 0x1FFFFFFE, 2, 1), (EXEC, 0x00000000, 5, 1), (LOAD, 0x00000000, 4, 1),
    ]  # fmt: skip
    assert trace.metadata["rebase_cut_records"] == "2"


def test_16_regions_fit_and_a_17th_does_not(tmp_path):
    lines = [f" L {0x7000_0000_0000 + (i << 28):x},4\n" for i in range(17)]
    rows, *_ = imported(tmp_path, "".join(lines[:16]), rebase=True)
    assert [row[1] >> 28 for row in rows] == list(range(16))
    with pytest.raises(TraceError, match="line 17 has address 0x700100000000, in the 17th region"):
        imported(tmp_path, "".join(lines), name="u.txt", rebase=True)


@pytest.mark.parametrize("ending", ["gz", "zst", "txt"])
def test_compressed_text_from_a_file_and_from_stdin(tmp_path, monkeypatch, ending):
    text = b"==1== x\n" + b"".join(b"I  %08x,3\n L %08x,4\n" % (i * 16, i * 64) for i in range(100_000))
    half = len(text) // 2
    zstd = pa.Codec("zstd")
    data = {
        "gz": gzip.compress(text[:half]) + gzip.compress(text[half:]),  # several members are one text
        "zst": b"".join(zstd.compress(part, asbytes=True) for part in (text[:half], text[half:])),
        "txt": text,
    }[ending]
    rows, done, _ = imported(tmp_path, data, name=f"t.{ending}")
    assert done.units == 200_001 and len(rows) == 200_000
    assert rows[-2:] == [(EXEC, 99_999 * 16, 3, 1), (LOAD, 99_999 * 64, 4, 1)]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert import_trace("-", str(tmp_path / "u.arrow")).rows == 200_000
    assert (tmp_path / "u.arrow").read_bytes() == (tmp_path / "t.arrow").read_bytes()
    if ending != "txt":
        with pytest.raises(TraceError, match="does not decompress"):
            imported(tmp_path, data[: len(data) * 3 // 4], name=f"cut.{ending}")


def test_where_the_text_is_cut_into_chunks_does_not_matter(tmp_path, monkeypatch):
    r = np.random.default_rng(1)
    lines, at = [], 0x1000
    for _ in range(3000):
        at = at if r.random() < 0.9 else int(r.integers(0, 1 << 32))
        size = int(r.integers(1, 16))
        lines.append(f"I  {at & 0xFFFFFFFF:08x},{size}\n")
        at = (at + size) & 0xFFFFFFFF
        for _ in range(int(r.integers(0, 3))):
            lines.append(f" {r.choice(list('LSM'))} {int(r.integers(0, 1 << 32)):08x},{int(r.integers(1, 300))}\n")
    text = "".join(lines)
    whole, done, _ = imported(tmp_path, text)
    monkeypatch.setattr(layers, "CHUNK_BYTES", 97)
    monkeypatch.setattr(builder, "OUT_ROWS", 4096)
    monkeypatch.setattr(builder, "MOST_EVENTS", 4200)  # 4096 places are kept free for a line
    assert imported(tmp_path, text)[:2] == (whole, done)
    assert whole == by_hand(lines)


def by_hand(lines) -> list[tuple[int, int, int, int]]:
    """The same, one record at a time in plain Python."""
    rows, block, after = [], None, None
    for line in lines:
        kind, (address, size) = line[:2].strip(), line[3:].split(",")
        address, size = int(address, 16), int(size)
        if kind == "I":
            fits = block is not None and rows[block][3] < 64 and (rows[block][1] & 4095) + rows[block][2] + size <= 8192
            if not (fits and address == after):
                block = len(rows)
                rows.append([EXEC, address, 0, 0])
            rows[block][2] += size
            rows[block][3] += 1
            after = address + size
            continue
        for op in {"L": (LOAD,), "S": (STORE,), "M": (LOAD, STORE)}[kind]:
            position = 0 if block is None else rows[block][3]
            for start in range(0, size, 64):
                rows.append([op, (address + start) & 0xFFFFFFFF, min(64, size - start), position])
    return [tuple(row) for row in rows]


def test_a_block_without_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "OUT_ROWS", 4096)
    rows, *_ = imported(tmp_path, "I  1000,3\n" + " L 2000,4\n" * 20_000 + "I  1003,3\n L 3000,4\n")
    assert len(rows) == 20_003 and rows[0] == (EXEC, 0x1000, 3, 1) and rows[-1] == (LOAD, 0x3000, 4, 1)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("I  1000,3\nhello\n", 2, "is not a line of valgrind lackey"),
        ("I 1000,3\n", 1, "is not a line of valgrind lackey"),
        ("==1== x\n L 1000\n", 2, "' L 1000' has no size: the file holds pages, not accesses"),
        (
            "I  1000,3\n L 1000\n",
            2,
            "' L 1000' is not a line of valgrind lackey: expected 'I  ADDR,SIZE' or ' L|S|M ADDR,SIZE'",
        ),
        (" L ,4\n", 1, "is not a line of valgrind lackey"),
        (" L 1000,\n", 1, "is not a line of valgrind lackey"),
        (" L 1000,0\n", 1, "is not a line of valgrind lackey"),
        (" L 1000,4x\n", 1, "is not a line of valgrind lackey"),
        (" X 1000,4\n", 1, "is not a line of valgrind lackey"),
        (" L 0123456789abcdef0,4\n", 1, "is not a line of valgrind lackey"),
        (" L 1000,9999999\n", 1, "is not a line of valgrind lackey"),
        (" L 1000,4", 1, None),  # a last line without its end is whole
        (" L 1000,4\n L 10", 2, "' L 10' ends within a line: it was cut"),
        (" L 1000,70000\n", 1, "more than 65,535 bytes"),
        ("I  1000,5000\n", 1, "or 4,096 of code"),
        ("x" * 3_000_000, 1, "is not a line of valgrind lackey"),
        ("", 1, "is empty"),
        ("ARROW1", 1, "is an Arrow file"),
    ],
)
def test_refusals_name_the_line_and_leave_nothing(tmp_path, text, line, says):
    if says is None:
        assert imported(tmp_path, text)[0] == [(LOAD, 0x1000, 4, 0)]
        return
    with pytest.raises(TraceError) as caught:
        imported(tmp_path, text)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    if "is empty" not in says and "Arrow" not in says:
        assert f"t.txt: line {line} " in str(caught.value) and caught.value.todo
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_paths(tmp_path):
    with pytest.raises(TraceError, match="cannot be read: no such file"):
        import_trace(str(tmp_path / "none"), str(tmp_path / "t.arrow"))
    with pytest.raises(TraceError, match="is a folder"):
        import_trace(str(tmp_path), str(tmp_path.parent / "t.arrow"))


NO_ACCESS = {
    "banner": "==1== Lackey\n==1== \n",
    "line": "\n",
    "gz-banner": gzip.compress(b"==1== x\n"),
}


@pytest.mark.parametrize("text", NO_ACCESS.values(), ids=NO_ACCESS)
def test_a_text_without_an_access_is_refused(tmp_path, text):
    with pytest.raises(TraceError, match=r"holds no access.*was valgrind run with --trace-mem=yes"):
        imported(tmp_path, text)
    assert not list(tmp_path.glob("*.arrow*"))


def test_the_text_is_not_overwritten(tmp_path, monkeypatch):
    path, other = tmp_path / "log", tmp_path / "link"
    path.write_text("I  0400,3\n")
    os.link(path, other)
    for source, output in ((path, path), (path, other), ("-", path)):
        with open(path) as file, pytest.raises(UsageError, match="is what is to be imported"):
            monkeypatch.setattr("sys.stdin", file)
            import_trace(str(source), str(output), rebase=True)
    assert path.read_text() == "I  0400,3\n" and len(os.listdir(tmp_path)) == 2
