"""Import of ChampSim's records: by hand, what follows what, sizes, every check."""

import gzip
import lzma
import random
import re
import struct

import pytest
from kit.drmemtrace import INSTR, recorded
from kit.importing import imported, instruction

from mmuexp.errors import TraceError
from mmuexp.guest import Op
from mmuexp.trace.importers import layers
from mmuexp.trace.importers import rows as builder
from mmuexp.trace.importers.work import import_trace

LOAD, STORE, EXEC = Op.LOAD, Op.STORE, Op.EXEC


def cloudsuite(ip: int, *, branch: int = 0, taken: int = 0, writes=(), reads=(), space=(3, 1)) -> bytes:
    slots = [*writes, *[0] * (4 - len(writes)), *reads, *[0] * (4 - len(reads))]
    return struct.pack("<QBB4s4s6x8Q2B6x", ip, branch, taken, bytes(4), bytes(4), *slots, *space)


def records(make) -> bytes:
    return b"".join(
        (
            make(0x1000, reads=(0x5000, 0x5001), writes=(0x6000,)),
            make(0x1003, reads=(0, 0, 0x7000)),  # a slot between is not in use
            make(0x1012, branch=1, taken=1),  # 15 bytes behind
            make(0x1014, writes=(0x8000, 0x8008)),  # where the branch went: near, and yet no successor
            make(0x1024),  # 16 bytes: none
            make(0x1024),  # the same again, as rep does
            make(0x1026, branch=1),
            make(0x1028),
        )
    )


ROWS = [
    (EXEC, 0x1000, 0x13, 3), (LOAD, 0x5000, 1, 1), (LOAD, 0x5001, 1, 1), (STORE, 0x6000, 1, 1), (LOAD, 0x7000, 1, 2),
    (EXEC, 0x1014, 1, 1), (STORE, 0x8000, 1, 1), (STORE, 0x8008, 1, 1),
    (EXEC, 0x1024, 1, 1), (EXEC, 0x1024, 5, 3),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), [("champsim", instruction), ("champsim-cloudsuite", cloudsuite)])
def test_records_by_hand(tmp_path, monkeypatch, name, make):
    rows, done, trace = imported(tmp_path, records(make), from_format=name)
    assert rows == ROWS and (done.format, done.units) == (name, 8)
    told = trace.metadata
    assert (told["sizes"], told["code"], trace.complete) == ("unknown", "lengths unknown", None)
    assert "guest" not in told and "unknown_sizes" not in told
    monkeypatch.setattr(layers, "CHUNK_BYTES", 100)
    monkeypatch.setattr(builder, "MOST_EVENTS", 19)
    assert imported(tmp_path, records(make), from_format=name)[0] == ROWS


def test_declared_sizes(tmp_path):
    rows, _, trace = imported(tmp_path, instruction(0x1000, reads=(0x5000,)), from_format="champsim", size=8)
    assert rows == [(EXEC, 0x1000, 1, 1), (LOAD, 0x5000, 8, 1)] and trace.metadata["sizes"] == "assumed 8"


def test_a_run_that_ends_at_64_knows_its_last_length(tmp_path):
    rows, *_ = imported(tmp_path, b"".join(instruction(0x1000 + 4 * i) for i in range(130)), from_format="champsim")
    assert rows == [(EXEC, 0x1000, 256, 64), (EXEC, 0x1100, 256, 64), (EXEC, 0x1200, 5, 2)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("eight.champsim.trace", records(instruction)),
        ("mcf_trace.xz", lzma.compress(records(instruction))),
        ("600.trace.gz", gzip.compress(records(instruction))),
    ],
    ids=["plain", "xz", "gz"],  # a name made of the data would hold gzip's clock, and differ from worker to worker
)
def test_the_name_and_the_first_records_tell(tmp_path, name, data):
    assert imported(tmp_path, data, name=name)[0] == ROWS
    with pytest.raises(TraceError, match=r"begins with the bytes .* say which with"):
        imported(tmp_path, data, name="file")


BAD = instruction(0x1000) * 5
CHECKED = [
    ("champsim", BAD + bytes(64), "record 6 is not a ChampSim instruction (ip 0x0, is_branch 0): 64 bytes a record"),
    ("champsim", BAD + instruction(5, branch=2), "record 6 is not a ChampSim instruction (ip 0x5, is_branch 2)"),
    ("champsim", BAD + instruction(5, taken=1), "record 6 is not a ChampSim instruction (ip 0x5, taken 1)"),
    ("champsim", BAD + instruction(5, branch=1, taken=2), "was the tracer changed?"),
    ("champsim", BAD + bytes(8), "ends within record 6: it has 8 of 64 bytes"),
    ("champsim", b"no records, but a text that is long enough to be taken for one. " * 2, "record 1 is not a ChampSim"),
    ("champsim-cloudsuite", cloudsuite(1) + cloudsuite(2, space=(4, 1)), "record 2 is of another address space"),
    ("champsim-cloudsuite", cloudsuite(1)[:90], "ends within record 1: it has 90 of 96 bytes"),
]


@pytest.mark.parametrize(("name", "data", "says"), CHECKED)
def test_every_record_is_checked(tmp_path, name, data, says):
    with pytest.raises(TraceError, match=re.escape(says)):
        imported(tmp_path, data, from_format=name)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_damaged_files_are_one_error_or_a_trace(tmp_path):
    chance = random.Random(3)
    for _ in range(60):
        bad = bytearray(records(instruction) * 4)
        for _ in range(3):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            imported(tmp_path, bytes(bad), from_format="champsim", rebase=chance.random() < 0.5)
        except TraceError as error:
            assert "\n" not in str(error) and error.todo


def test_a_short_recording_of_drmemtrace_is_none_of_championships(tmp_path):
    """Their names end alike, and its first records may look like one of these."""
    (tmp_path / "app.0001.trace.gz").write_bytes(gzip.compress(recorded((INSTR, 4, 0x1000), end=False)))
    done = import_trace(str(tmp_path / "app.0001.trace.gz"), str(tmp_path / "t.arrow"))
    assert (done.format, done.rows) == ("drmemtrace", 1)
