"""Import of DynamoRIO's recordings: records by hand, threads, what is left out, every refusal."""

import gzip
import random
import re

import pytest
from kit.drmemtrace import (
    BUNDLE,
    CPU,
    ENCODING,
    EXIT,
    FILE_TYPE,
    FLUSH,
    FOOTER,
    HEADER,
    INSTR,
    JUMP,
    MARKER,
    NOT_FETCHED,
    PAGE_SIZE,
    PHYSICAL,
    PREFETCH,
    PROCESS,
    READ,
    SWITCH,
    SWITCH_END,
    SYSCALL,
    SYSCALL_END,
    THREAD,
    TIME,
    WINDOW,
    WRITE,
    record,
    recorded,
)
from kit.importing import imported, rows_of, snappy_frames, zipped

from mmuexp.errors import TraceError, UsageError
from mmuexp.guest import Op
from mmuexp.trace.importers import layers
from mmuexp.trace.importers import rows as builder

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC
RUN = (
    (MARKER, TIME, 100), (MARKER, CPU, 1),
    (READ, 4, 0x9000),  # before any instruction
    (ENCODING, 3, 0x123456), (INSTR, 3, 0x1000), (READ, 8, 0x8000), (WRITE, 4, 0x8004),
    (JUMP, 2, 0x1003), (THREAD, 4, 7),  # the same thread again
    (INSTR, 5, 0x1005), (READ, 1, 0x2000), (NOT_FETCHED, 5, 0x1005), (READ, 1, 0x2001),
    (PREFETCH, 0, 0x3000), (39, 0, 0x3000), (FLUSH, 64, 0x1000), (27, 0, 0x3000),
    (48, 2, 0x100A), (49, 2, 0x2000), (31, 2, 0x2002), (WRITE, 100, 0x5000), (READ, 0, 0x6000),
)  # fmt: skip
ROWS = [
    (LOAD, 0x9000, 4, 0),
    (EXEC, 0x1000, 12, 4), (LOAD, 0x8000, 8, 1), (STORE, 0x8004, 4, 1), (LOAD, 0x2000, 1, 3), (LOAD, 0x2001, 1, 3),
    (EXEC, 0x2000, 4, 2), (STORE, 0x5000, 64, 2), (STORE, 0x5040, 36, 2), (LOAD, 0x6000, 1, 2),
]  # fmt: skip


@pytest.mark.parametrize("wide", [True, False])
def test_records_by_hand(tmp_path, wide):
    rows, done, trace = imported(tmp_path, recorded(*RUN, wide=wide, bits=0x40 if wide else 0x20))
    told = trace.metadata
    assert rows == ROWS and done.format == "drmemtrace" and done.units == len(RUN) + 7
    assert told["guest"] == ("x86_64" if wide else "i386") and trace.complete == "yes"
    assert (told["sizes"], told["unknown_sizes"], told["split_records"]) == ("partly", "1", "1")
    assert (told["left_out_prefetches"], told["left_out_cache_flushes"]) == ("3", "1")
    assert told["recorder"] == "DynamoRIO drmemtrace" and "code" not in told


def test_what_is_not_told_is_not_known(tmp_path):
    rows, _, trace = imported(tmp_path, recorded((INSTR, 3, 0x1000), bits=None, end=False))
    assert rows == [(EXEC, 0x1000, 3, 1)] and trace.complete == "no footer"
    assert not {"guest", "sizes", "unknown_sizes"} & set(trace.metadata)
    assert imported(tmp_path, recorded((INSTR, 3, 0x1000)) + record(INSTR, 3, 0x1003))[2].complete == "no footer"


@pytest.mark.parametrize(
    "pack", [gzip.compress, snappy_frames, lambda data: zipped(**parts(data))], ids=["gz", "sz", "zip"]
)
def test_compressed_and_in_chunks(tmp_path, monkeypatch, pack):
    data = recorded(*RUN)
    assert imported(tmp_path, pack(data))[0] == ROWS
    monkeypatch.setattr(layers, "CHUNK_BYTES", 31)
    monkeypatch.setattr(builder, "MOST_EVENTS", 20)
    assert imported(tmp_path, pack(data))[0] == ROWS


def parts(data: bytes) -> dict[str, bytes]:
    """Two chunks of a zip; the second begins with a time, as DynamoRIO's do."""
    cut = 12 * 12
    again = record(MARKER, TIME, 1) + record(MARKER, CPU, 1)
    return {"chunk_0000": data[:cut], "chunk_0001": again + data[cut:]}


@pytest.mark.parametrize("wide", [True, False])
def test_a_bundle_is_several_instructions(tmp_path, wide):
    lengths = int.from_bytes(bytes([2, 3, 4, 1]), "little")
    records = (INSTR, 1, 0x1000), (BUNDLE, 4, lengths), (READ, 4, 0x5000), (INSTR, 2, 0x100B)
    rows, *_ = imported(tmp_path, recorded(*records, wide=wide))
    assert rows == [(EXEC, 0x1000, 13, 6), (LOAD, 0x5000, 4, 5)]
    with pytest.raises(TraceError, match="record 6 is a bundle of 9 instructions"):
        imported(tmp_path, recorded((BUNDLE, 9, lengths), wide=wide))


def test_the_kernel_is_left_out_and_counted(tmp_path):
    records = (
        (INSTR, 2, 0x1000), (MARKER, SYSCALL, 1), (INSTR, 3, -0x1000), (READ, 4, -0x2000), (MARKER, SYSCALL_END, 1),
        (INSTR, 2, 0x1002), (MARKER, SWITCH, 1), (INSTR, 3, -0x1000), (THREAD, 4, 8), (INSTR, 1, 0x3000),
        (THREAD, 4, 7), (INSTR, 3, -0x1000), (MARKER, SWITCH_END, 1), (INSTR, 1, 0x1004),
    )  # fmt: skip
    rows, _, trace = imported(tmp_path, recorded(*records, bits=0x1040))
    assert rows == [(EXEC, 0x1000, 4, 2), (EXEC, 0x3000, 1, 1), (EXEC, 0x1004, 1, 1)]
    told = trace.metadata
    assert (told["left_out_kernel_instructions"], told["left_out_kernel_accesses"]) == ("3", "1")


def test_windows_end_runs_and_are_counted(tmp_path):
    ids = (0, 0, 3, 3, 5)
    records = [one for at, window in enumerate(ids) for one in ((MARKER, WINDOW, window), (INSTR, 1, 0x1000 + at))]
    rows, done, trace = imported(tmp_path, recorded(*records))
    assert rows == [(EXEC, 0x1000, 2, 2), (EXEC, 0x1002, 2, 2), (EXEC, 0x1004, 1, 1)]
    assert trace.metadata["windows"] == "3" and any(text.startswith("3 windows") for text in done.remarks)


def test_what_is_not_used_is_said_once(tmp_path):
    markers = (MARKER, PHYSICAL, 1), (MARKER, PHYSICAL, 2), (MARKER, PAGE_SIZE, 65536), (INSTR, 4, 0x1000)
    _, done, _ = imported(tmp_path, recorded(*markers))
    assert len(done.remarks) == 2 and "pages of 65,536 bytes" in done.remarks[1]


SEVERAL = (
    (INSTR, 1, 0x1000), (READ, 4, 0x5000), (THREAD, 4, 8), (READ, 4, 0x6000), (INSTR, 1, 0x2000),
    (THREAD, 4, 7), (READ, 4, 0x5000), (INSTR, 1, 0x1001), (FOOTER, 0, 0), (HEADER, 0, 6), (THREAD, 4, 8),
    (INSTR, 1, 0x2001),
)  # fmt: skip


def test_a_file_of_several_threads(tmp_path):
    assert imported(tmp_path, recorded(*SEVERAL))[0] == [
        (EXEC, 0x1000, 1, 1), (LOAD, 0x5000, 4, 1), (LOAD, 0x6000, 4, 0), (EXEC, 0x2000, 1, 1),
        (LOAD, 0x5000, 4, 0), (EXEC, 0x1001, 1, 1), (EXEC, 0x2001, 1, 1),
    ]  # fmt: skip
    assert imported(tmp_path, recorded(*SEVERAL), thread=7)[0] == [
        (EXEC, 0x1000, 2, 2), (LOAD, 0x5000, 4, 1), (LOAD, 0x5000, 4, 1),
    ]  # fmt: skip
    assert imported(tmp_path, recorded(*SEVERAL), thread=8)[0] == [(LOAD, 0x6000, 4, 0), (EXEC, 0x2000, 2, 2)]
    with pytest.raises(TraceError, match="has no thread 9; there is 7, 8"):
        imported(tmp_path, recorded(*SEVERAL), thread=9)
    many = [one for thread in range(100) for one in ((THREAD, 4, thread), (INSTR, 1, thread))]
    assert len(imported(tmp_path, recorded(*many))[0]) == 100


def folder_of(place, wide=True, offset=0, **more):
    """Three threads, whose parts are between each other by time; times of two are equal."""
    times = {"a": (11, (1, 5, 9)), "b": (12, (3, 5)), "c": (13, (7,))}
    place.mkdir()
    for name, (thread, parts_at) in times.items():
        at, records = 0x1000 * thread, []
        for when in parts_at:
            records += [(MARKER, TIME, when + offset), (INSTR, 1, at), (READ, 4, 0x90000 + when)]
            at += 1
        data = recorded(*records, wide=wide, thread=thread, **more)
        (place / f"drmemtrace.{name}.trace.gz").write_bytes(gzip.compress(data))
    (place / "cpu_schedule.bin.zip").write_bytes(b"no trace")
    return place


MERGED = [1, 3, 5, 5, 7, 9]


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("inner", [False, True])
def test_a_folder_of_threads(tmp_path, wide, inner):
    if inner:
        (tmp_path / "t").mkdir()
        folder_of(tmp_path / "t" / "trace", wide)
    else:
        folder_of(tmp_path / "t", wide)
    folder, out = tmp_path / "t", tmp_path / "t.arrow"
    says = (
        r"holds 3 threads in 3 files: 11 \(3 instructions, 3 accesses\), 12 \(2 .*take one with thread=11, or all with"
    )
    with pytest.raises(TraceError, match=says):
        rows_of(folder, out)
    rows, done, trace = rows_of(folder, out, interleave=True)
    assert [at - 0x90000 for op, at, *_ in rows if op == LOAD] == MERGED and trace.complete == "yes"
    assert [at >> 12 for op, at, *_ in rows if op == EXEC] == [11, 12, 11, 12, 13, 11]
    assert any("threads is as exact as the times in it" in text for text in done.remarks)
    rows, *_ = rows_of(folder, out, thread=11)
    assert rows == [(EXEC, 0xB000, 3, 3), *((LOAD, 0x90000 + when, 4, n) for n, when in ((1, 1), (2, 5), (3, 9)))]
    with pytest.raises(TraceError, match="has no thread 5; there is 11, 12, 13"):
        rows_of(folder, out, thread=5)
    with pytest.raises(UsageError, match="exclude each other"):
        rows_of(folder, out, thread=5, interleave=True)
    with pytest.raises(UsageError, match="is what is to be imported"):
        rows_of(folder, folder / "new.arrow", thread=11)


def test_times_of_a_32_bit_build_begin_again_at_0(tmp_path):
    rows, *_ = rows_of(folder_of(tmp_path / "t", False, 2**32 - 8), tmp_path / "t.arrow", interleave=True)
    assert [at - 0x90000 for op, at, *_ in rows if op == LOAD] == MERGED


def test_files_of_cores_hold_several_threads(tmp_path):
    """A thread that moves from core to core is put together by the times in the cores' files."""
    (tmp_path / "t").mkdir()
    for core, first in ((0, 1), (1, 2)):
        records = []
        for when in range(first, 7, 2):
            thread = (21, 22)[when % 3 == 0]
            records += [(THREAD, 4, thread), (MARKER, TIME, when), (INSTR, 1, 0x1000 * thread + when)]
        data = recorded(*records, thread=21, bits=0x10040)
        (tmp_path / "t" / f"core.{core}.trace").write_bytes(data)
    rows, *_ = rows_of(tmp_path / "t", tmp_path / "t.arrow", thread=21)
    assert rows == [(EXEC, 0x15001, 2, 2), (EXEC, 0x15004, 2, 2)]
    rows, *_ = rows_of(tmp_path / "t", tmp_path / "t.arrow", interleave=True)
    assert [row[1:3] for row in rows] == [(0x15001, 2), (0x16003, 1), (0x15004, 2), (0x16006, 1)]


@pytest.mark.parametrize(("bits", "wide"), [(0x40, True), (0x08, True), (0x20, False), (0x10, False), (None, False)])
def test_a_guest_of_64_bits_has_addresses_of_64(tmp_path, bits, wide):
    """Whatever addresses it used; a guest that is not told has those that it needs."""
    rows, _, trace = imported(tmp_path, recorded((INSTR, 3, 0x1000), bits=bits), name="t.trace")
    assert rows == [(EXEC, 0x1000, 3, 1)] and trace.address_bits == (64 if wide else 32)
    *_, trace = imported(tmp_path, recorded((INSTR, 3, 0x1000), bits=bits), name="t.trace", rebase=True)
    assert trace.address_bits == 32


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (recorded((INSTR, 1, 1), bits=0x81), "is filtered: accesses are missing; record without -L0_filter"),
        (recorded((INSTR, 1, 1), bits=0x2040), "is filtered"),
        (recorded((INSTR, 1, 1), bits=0x44), "holds instructions only: it has no accesses"),
        (recorded((INSTR, 1, 1), bits=0x4040), "holds templates of kernel code"),
        (recorded((INSTR, 1, 1), bits=0x40040), "is of a whole system"),
        (recorded((INSTR, 1, 1), (30, 0, 0)), "record 7 has type 30, which no record has"),
        (recorded((INSTR, 1, 1), (PROCESS, 4, 6)), "record 7 is of process 6, and those before it are of process 5"),
        (recorded((INSTR, 0, 1)), "record 6 has an instruction of 0 bytes"),
        (recorded((INSTR, 3, 1 << 40), bits=0x20), "says that its guest is i386, and has addresses beyond 32 bits"),
        (recorded((INSTR, 1, 1))[:-5], "ends within record 8: it was cut"),
        (recorded(), "holds no access and no instruction"),
        (record(HEADER, 0, 0x1234_0000_0000) + bytes(12), "its second record has type 4660"),
        (b"           1           0:        7 <marker: version 3>\n", "is what drmemtrace's tool `view` prints"),
    ],
)
def test_refusals_say_what_and_leave_nothing(tmp_path, data, says):
    with pytest.raises(TraceError, match=re.escape(says)):
        imported(tmp_path, data)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_synthetic_encodings_are_taken(tmp_path):
    assert imported(tmp_path, recorded((INSTR, 3, 0x1000), bits=0x20040))[0] == [(EXEC, 0x1000, 3, 1)]


def test_folders_that_hold_none(tmp_path):
    (tmp_path / "t" / "raw").mkdir(parents=True)
    with pytest.raises(TraceError, match=r"holds a raw recording of drmemtrace alone; convert it with `drraw2trace"):
        rows_of(tmp_path / "t", tmp_path / "t.arrow")
    (tmp_path / "u").mkdir()
    with pytest.raises(TraceError, match="is a folder without a recording"):
        rows_of(tmp_path / "u", tmp_path / "t.arrow")
    with pytest.raises(TraceError, match="holds no recording of drmemtrace"):
        rows_of(tmp_path / "u", tmp_path / "t.arrow", from_format="drmemtrace")
    folder_of(tmp_path / "v")
    (tmp_path / "v" / "x.trace").write_bytes(b"I  1000,3\n")
    with pytest.raises(TraceError, match=r"x\.trace: is not a recording of drmemtrace"):
        rows_of(tmp_path / "v", tmp_path / "t.arrow", interleave=True)


def test_what_begins_otherwise_is_none_though_its_format_is_named(tmp_path):
    (tmp_path / "z").write_bytes(bytes(1200))  # a load at address 0 in each record, if it were one
    with pytest.raises(TraceError, match="is not a recording of drmemtrace"):
        rows_of(tmp_path / "z", tmp_path / "t.arrow", from_format="drmemtrace")


def test_damaged_recordings_are_one_error_or_a_trace(tmp_path):
    chance, data = random.Random(5), recorded(*RUN, *SEVERAL) * 3
    for _ in range(40):
        bad = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            bad[chance.randrange(12, len(bad))] = chance.randrange(256)
        try:
            imported(tmp_path, bytes(bad[: chance.randint(24, len(bad))]), rebase=chance.random() < 0.5)
        except TraceError as error:
            assert "\n" not in str(error) and str(error).count("; ")


assert EXIT and FILE_TYPE  # of the writer
