"""What all importers share: compression, what a file is recognized by, options, regions that are moved."""

import bz2
import gzip
import io
import lzma
import random
import struct
import time
import zlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from kit.importing import imported, snappy_frames, zipped

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import Op
from mmuexp.trace.importers import layers, rows_scan
from mmuexp.trace.importers.work import import_trace

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC
TEXT = b"".join(b"I  %08x,3\n L %08x,4\n" % (i * 16, i * 64) for i in range(40_000))


def arrow(codec: str):
    def pack(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as file:
            file.write(data)
        return sink.getvalue().to_pybytes()

    return pack


PACKED = {
    "gzip": gzip.compress,
    "zstd": arrow("zstd"),
    "lz4": arrow("lz4"),
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zlib": zlib.compress,
    "zlib-1": lambda data: zlib.compress(data, 1),
    "zlib-9": lambda data: zlib.compress(data, 9),
    "snappy": snappy_frames,
    "gzip in xz": lambda data: lzma.compress(gzip.compress(data)),
    "zstd in zlib in snappy": lambda data: snappy_frames(zlib.compress(arrow("zstd")(data))),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_compression_is_taken_off_by_what_the_bytes_say(tmp_path, monkeypatch, pack):
    plain, *_ = imported(tmp_path, TEXT)
    data = pack(TEXT)
    assert imported(tmp_path, data, name="no-suffix")[0] == plain
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert import_trace("-", str(tmp_path / "u.arrow")).rows == len(plain)


@pytest.mark.parametrize("name", [name for name in PACKED if " in " not in name])
def test_what_is_cut_does_not_decompress(tmp_path, name):
    data = PACKED[name](TEXT)
    for keep in (len(data) * 3 // 4, len(data) - 3):
        with pytest.raises(TraceError, match=f"does not decompress as {name.partition('-')[0]}: .*; copy it again"):
            imported(tmp_path, data[:keep])


@pytest.mark.parametrize("name", ["xz", "bzip2", "gzip", "zstd", "lz4"])
def test_several_streams_behind_each_other_are_one_file(tmp_path, name):
    half = len(TEXT) // 2
    parts = [PACKED[name](part) for part in (TEXT[:half], TEXT[half:])]
    assert imported(tmp_path, (b"\0" * 8 if name == "xz" else b"").join(parts))[0] == imported(tmp_path, TEXT)[0]


def test_a_bomb_takes_little_memory(tmp_path):
    """A gigabyte of blank lines in a megabyte: its size is nowhere in memory."""
    line = b"\n" * (1 << 20)
    packed = gzip.compress(line * 64)
    for _ in range(2):
        packed = gzip.compress(packed)
    (tmp_path / "bomb").write_bytes(packed)
    biggest = 0
    with open(tmp_path / "bomb", "rb") as file:
        stream, names = layers.peeled(layers.Stream(layers.of_file(file)), "bomb")
        for chunk in stream:
            biggest = max(biggest, len(chunk))
    assert names == ["gzip"] * 3 and biggest <= layers.CHUNK_BYTES
    for _ in range(2):
        packed = gzip.compress(packed)
    with pytest.raises(TraceError, match="compressed more than 4 times"):
        imported(tmp_path, packed)


def test_a_snappy_block_that_lies_is_refused(tmp_path):
    data = bytearray(snappy_frames(TEXT[:70000]))
    data[21] ^= 1  # the first block's checksum
    with pytest.raises(TraceError, match="another checksum"):
        imported(tmp_path, bytes(data))
    huge = layers.SNAPPY_HEAD + b"\2" + (6).to_bytes(3, "little") + b"\xff\xff\xff\xff\x0f\0"
    with pytest.raises(TraceError, match="a block says that it holds more than 65,536 bytes"):
        imported(tmp_path, huge)


def test_a_zip_is_joined_in_the_order_of_its_directory_or_refused(tmp_path, monkeypatch):
    half = len(TEXT) // 2
    data = zipped(chunk_0001=TEXT[:half], chunk_0000=TEXT[half:])
    assert imported(tmp_path, data)[0] == imported(tmp_path, TEXT)[0]
    others = {"sequence1": "'sequence1', a template of", "7": "'7', a schedule of threads", "a.txt": "'a.txt' in it"}
    for name, says in others.items():
        with pytest.raises(TraceError, match=f"is a zip with {says}"):
            imported(tmp_path, zipped(chunk_0000=TEXT, **{name: b"x"}))
    with pytest.raises(TraceError, match="is a zip in gzip"):
        imported(tmp_path, gzip.compress(data))
    with pytest.raises(TraceError, match="does not decompress as zip"):
        imported(tmp_path, data[: len(data) // 2])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(TraceError, match="stdin: is a zip, which cannot be read as it comes"):
        import_trace("-", str(tmp_path / "u.arrow"))


@pytest.mark.parametrize("name", PACKED)
def test_damaged_files_are_one_error_or_a_trace(tmp_path, name):
    chance, data = random.Random(name), PACKED[name](TEXT[:20_000])
    began = time.monotonic()
    for _ in range(15):
        bad = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            imported(tmp_path, bytes(bad[: chance.randint(4, len(bad))]))
        except TraceError as error:
            assert "\n" not in str(error)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello\tworld  x\n", r"line 1 is 'hello\\tworld  x', which no format begins with"),
        (b"\n# a comment\n" + b"y" * 50, r"line 3 is '" + "y" * 40 + r"'\.\.\., which no format begins with"),
        (bytes(range(1, 33)) + bytes(100), r"begins with the bytes 01 02 03 .*, as no format does"),
        (b"ARROW1\0\0", "is an Arrow file; a trace needs no import"),
        (struct.pack("<QQ", 0xC080000000000002, 0xC400000000000040), "is a raw recording of drmemtrace; .*drraw2trace"),
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), r"holds nothing: it is empty once it is decompressed \(gzip\)"),
        (zipped(), "is a zip with nothing in it"),
        (" L 1000,4\n".encode("utf-16"), "is text in UTF-16.*iconv"),
        (b"\xef\xbb\xbf L 1000,4\n", "is text behind a byte order mark"),
    ],
)
def test_what_is_no_format_is_described(tmp_path, data, says):
    with pytest.raises(TraceError, match=says):
        imported(tmp_path, data, from_format=None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"thread": 1}, "thread= is not for lackey|thread=True is not for lackey"),
        ({"interleave": True}, "interleave=True is not for lackey"),
        ({"size": 8}, "is not for lackey"),
        ({"rebase": "1MiB"}, "'1MiB' is not a size of regions to move; there are 256MiB and 16MiB"),
    ],
)
def test_an_option_that_the_format_does_not_take_is_refused(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        imported(tmp_path, TEXT, **options)


WIDE = [" L 1000,4", "I  ffffffff81000ff0,8", "I  ffffffff81000ff8,8", " S ffffffff81001000,8", " L ffffffffffffffff,1"]


def test_addresses_of_64_bits_are_as_recorded(tmp_path):
    rows, _, trace = imported(tmp_path, "\n".join(WIDE))
    kernel = 0xFFFFFFFF81000FF0
    assert rows == [(LOAD, 0x1000, 4, 0), (EXEC, kernel, 16, 2), (STORE, kernel + 16, 8, 2), (LOAD, 2**64 - 1, 1, 2)]
    assert trace.address_bits == 64 and "guest" not in trace.metadata and "rebase" not in trace.metadata
    *_, trace = imported(tmp_path, " L ffffffff,1\n")
    assert trace.address_bits == 32


def test_the_first_of_them_may_come_late(tmp_path, monkeypatch):
    """Once rows of 32 bits are written, a file is read again; stdin cannot be."""
    monkeypatch.setattr("mmuexp.trace.importers.rows.BATCH_ROWS", 1000)
    monkeypatch.setattr("mmuexp.trace.importers.rows.OUT_ROWS", 8192)
    monkeypatch.setattr("mmuexp.trace.importers.rows.MOST_EVENTS", 8192)
    text = "".join(f" L {i:x},4\n" for i in range(30_000)) + " S 7ffe10c8f000,8\n"
    rows, done, trace = imported(tmp_path, text)
    assert len(rows) == done.units == 30_001 and trace.address_bits == 64
    assert rows[-2:] == [(LOAD, 29_999, 4, 0), (STORE, 0x7FFE10C8F000, 8, 0)]
    (tmp_path / "t.arrow").unlink()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    late = r"line 30,001 has address 0x7ffe10c8f000, the first beyond 32 bits; name a file, .* rebase=True"
    with pytest.raises(TraceError, match=late):
        import_trace("-", str(tmp_path / "t.arrow"))
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("\n".join(WIDE).encode())))
    assert import_trace("-", str(tmp_path / "t.arrow")).rows == 4


def test_smaller_regions_can_be_moved_and_the_error_offers_them(tmp_path):
    text = b"".join(b" L %x,4\n" % (0x7000_0000_0000 + (i << 30)) for i in range(20))
    offer = "17th region of 256 MiB; 16 fit into 4 GiB, and there are 20 in all; .*16MiB .there are 20 of 16 MiB"
    with pytest.raises(TraceError, match="line 17 has address 0x700400000000, in the " + offer):
        imported(tmp_path, text, rebase=True)
    rows, done, trace = imported(tmp_path, text, rebase="16MiB")
    assert [row[1] for row in rows] == [i << 24 for i in range(20)]
    assert done.moved[1] == (0x700040000000, 1 << 24) and len(trace.metadata["rebase"].split()) == 20
    text = b"".join(b" L %x,4\n" % (0x7000_0000_0000 + (i << 28)) for i in range(300))
    with pytest.raises(TraceError, match="257th region of 16 MiB; 256 fit into 4 GiB, and there are 300 in all"):
        imported(tmp_path, text, rebase="16MiB")
    text = b"".join(b" L %x,4\n" % (0x7000_0000_0000 + (i << 28)) for i in range(70_000))
    with pytest.raises(TraceError, match=r"line 17 .*there are more than 65,536 in all"):
        imported(tmp_path, text, rebase=True)


def resolved(*events: tuple[int, int], final: bool = True):
    kinds = np.array([kind for kind, _ in events], np.uint8)
    addresses, sizes = np.array([at for _, at in events], np.int64), np.zeros(len(events), np.int32)
    ready = rows_scan.resolve(kinds, addresses, sizes, len(events), final)
    return ready, list(zip(kinds.tolist(), sizes.tolist(), strict=True))


def test_lengths_that_nobody_told_are_found_by_the_next_instruction():
    open_, taken, read, known, last = (
        rows_scan.OPEN, rows_scan.OPEN_TAKEN, rows_scan.READ, rows_scan.INSTRUCTION, rows_scan.LAST
    )  # fmt: skip
    events = (open_, 100), (read, 7), (open_, 115), (open_, 131), (taken, 132), (open_, 134), (open_, 134), (read, 9)
    kinds = [(known, 15), (read, 0), (last, 1), (known, 1), (last, 1), (last, 1), (last, 1), (read, 0)]
    assert resolved(*events) == (8, kinds)
    ready, given = resolved(*events, final=False)
    assert ready == 6 and given[:6] == kinds[:6] and given[6][0] == open_
    ends = (open_, 100), (rows_scan.END, 0), (open_, 104)
    assert resolved(*ends)[1][0] == (last, 1)
