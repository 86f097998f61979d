"""Files of format 2 that were made to harm: each stream, number and length that makes no sense is one clear line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kit.places import TESTS
from kit.traces import columns_of, program_rows, random_trace, read, same, write

from mmuexp.blocks.runs import GROUP_BATCHES, MOST_SHAPES
from mmuexp.errors import TraceError
from mmuexp.trace import open_trace
from mmuexp.trace.recover import recover
from mmuexp.trace.streams import Streams
from mmuexp.trace.verify import FAILED, verify

META = {"mmuexp.format": "2", "mmuexp.mode": "user"}


def batch(run=(), changed=(), near=(), far=(), shapes=(), sites=(), others=(), told="1,0,0") -> tuple[list[bytes], str]:
    """Streams by hand: of shapes, sites and others a row each, in the order of the columns."""
    new = b"".join(
        np.array(column, dtype).tobytes()
        for rows in (shapes, sites, others)
        for column, dtype in zip(zip(*rows, strict=True), ("<u2", "u1", "u1", "u1"), strict=False)
    )
    return [np.array(run, "<u2").tobytes(), bytes(changed), bytes(near), np.array(far, "<u4").tobytes(), new], told


def write_streams(path, *batches, metadata=None, codec=None, names=Streams._fields, more=None) -> str:
    """A file of these batches, as another program might write it."""
    fields = [pa.field(name, pa.binary(), nullable=False) for name in names]
    schema = pa.schema([*fields, *([more.field(0)] if more else [])], metadata=META | (metadata or {}))
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=options) as writer:
        for streams, told in batches:
            by_name = dict(zip(Streams._fields, streams, strict=True))
            arrays = [pa.array([by_name[name]], pa.binary()) for name in names]
            custom = {"mmuexp.batch": told} if told else {}
            writer.write_batch(
                pa.RecordBatch.from_arrays([*arrays, *([more.column(0)] if more else [])], schema=schema),
                custom_metadata=custom,
            )
    return str(path)


BLOCK = (16, 4, 2, 2)  # a block of 16 bytes, 4 instructions, two sites
SITES = [(4, 1, 0, 2), (4, 2, 1, 2)]
# it runs twice: at 0x1000; its data at 0x20 and there again, then at 0x20 and 0x10
GOOD = {
    "run": [1, 2],
    "changed": [0b1001],
    "near": [0x83, 0x80, 0x01, 64 + 3, 31 + 3],
    "shapes": [BLOCK],
    "sites": SITES,
    "told": "6,0,1",
}


def test_a_batch_by_hand(tmp_path):
    path = write_streams(tmp_path / "t.arrow", batch(**GOOD))
    rows = read(open_trace(path))
    assert rows.vaddr.tolist() == [0x2000, 0x20, 0x20, 0x2000, 0x20, 0x10] and rows.op.tolist() == [2, 0, 1] * 2
    assert rows.size.tolist() == [16, 4, 4] * 2 and rows.insns.tolist() == [4, 1, 2] * 2
    other = batch([0], near=[6, 7], others=[(0, 0, 5, 0)], told="1,1,0")
    rows = read(open_trace(write_streams(path, batch(**GOOD), other)))
    assert (rows.op[6], rows.vaddr[6], rows.page[6]) == (5, 0xFFFFFFFE, 2)


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_columns_in_any_order_of_any_compression(tmp_path, codec):
    rows = program_rows(5000)
    source = write(tmp_path / "s.arrow", rows)
    with pa.OSFile(source) as file, pa.ipc.open_file(file) as reader:
        told, keys = reader.get_batch_with_custom_metadata(0)
    streams = [told.column(name)[0].as_py() for name in Streams._fields]
    names = ("new", "far", "run", "near", "changed")
    path = write_streams(tmp_path / "t.arrow", (streams, keys[b"mmuexp.batch"].decode()), codec=codec, names=names)
    assert same(read(open_trace(path)), rows)


BAD = {
    "run of no shape": ({"run": [1, 3]}, "contradict"),
    "first run not new": ({"run": [2, 1]}, "contradict"),
    "a shape too many": ({"shapes": [BLOCK, BLOCK], "sites": SITES * 2, "told": "6,0,2"}, "contradict"),
    "a new run too many": ({"run": [1, 1]}, "contradict"),
    "a row too many": ({"told": "7,0,1"}, "contradict"),
    "a row too few": ({"told": "5,0,1"}, "contradict"),
    "a bit too many": ({"changed": [0b11001]}, "contradict|not a bit"),
    "a bit set in vain": ({"changed": [0b1011]}, "contradict"),
    "a bit not set": ({"changed": [0b0001]}, "contradict"),
    "changed too long": ({"changed": [0b1001, 0]}, "not a bit for each"),
    "changed too short": ({"changed": []}, "contradict|not a bit"),
    "near ends within": ({"near": [*GOOD["near"][:-1], 0x82]}, "ends within a value"),
    "near too long": ({"near": [*GOOD["near"], 5]}, "contradict"),
    "near of four bytes": ({"near": [0x83, 0x80, 0x80, 0x01, 67, 34]}, "make no sense"),
    "far is empty": ({"near": [0, 67, 34]}, "make no sense"),
    "far left over": ({"far": [9]}, "make no sense"),
    "new too long": ({"sites": [*SITES, SITES[0]]}, "tells more than"),
    "new too short": ({"sites": SITES[:1]}, "does not tell all"),
    "no near": ({"near": []}, "fewer differences"),
    "sites beyond": ({"shapes": [(16, 4, 2, 65)], "sites": SITES[:1] * 65}, "more than 64 sites"),
    "a shape of nothing": ({"shapes": [(0, 0, 0, 0)], "sites": [], "near": []}, "has no row"),
    "a tail with flags": ({"shapes": [(0, 0, 2, 2)], "near": GOOD["near"][3:], "told": "4,0,1"}, "not EXEC, LOAD"),
    "a site that executes": ({"sites": [SITES[0], (4, 1, 2, 2)]}, "not EXEC, LOAD"),
    "a load among others": ({"run": [0], "near": [6, 3], "others": [(4, 1, 0, 2)], "told": "1,0,0"}, "beside"),
    "a block among others": ({"run": [0], "near": [6, 3], "others": [(4, 1, 2, 2)], "told": "1,0,0"}, "beside"),
    "shapes of nobody": ({"told": "6,1,1"}, "does not go on"),
    "no key": ({"told": ""}, "mmuexp.batch of a batch is ''"),
    "a key of words": ({"told": "6,0,x"}, "mmuexp.batch of a batch is '6,0,x'"),
    "no rows": ({"told": "0,0,1"}, "mmuexp.batch"),
    "rows beyond": ({"told": f"{(1 << 20) + 1},0,1"}, "mmuexp.batch"),
    "shapes beyond": ({"told": f"6,{MOST_SHAPES},1"}, "mmuexp.batch"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_damage(tmp_path, name):
    changes, says = BAD[name]
    keep = () if name.endswith("among others") else GOOD
    path = write_streams(tmp_path / "t.arrow", batch(**({key: GOOD[key] for key in keep} | changes)))
    with pytest.raises(TraceError) as caught:
        read(open_trace(path))
    assert re.search(says, caught.value.what), caught.value.what
    assert "is damaged" in caught.value.what and "trace recover" in caught.value.todo and "\n" not in str(caught.value)
    assert FAILED in {check.state for check in verify(path)}


def test_batches_that_are_no_record(tmp_path):
    schema = pa.schema([pa.field(name, pa.binary()) for name in Streams._fields], metadata=META)
    path = str(tmp_path / "t.arrow")
    for values, says in (([b"", b""], "mmuexp.batch"), ([None], r"empty values \(nulls\)")):
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
            arrays = [pa.array(values, pa.binary())] * 5
            told = {"mmuexp.batch": "1,0,0"}
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), custom_metadata=told)
        with pytest.raises(TraceError, match=says):
            read(open_trace(path))


def test_groups_without_end_and_columns_besides(tmp_path):
    more = batch([2], [0], told="3,1,0")
    path = write_streams(tmp_path / "t.arrow", batch(**GOOD), *[more] * (GROUP_BATCHES - 1))
    assert len(read(open_trace(path)).op) == 6 + 3 * (GROUP_BATCHES - 1)
    write_streams(path, batch(**GOOD), *[more] * GROUP_BATCHES)
    with pytest.raises(TraceError, match="more than 16 batches need each other"):
        open_trace(path)
    besides = pa.record_batch({"words": pa.array(["x"])})
    with pytest.raises(TraceError, match=r"has columns besides the trace's.*run changed near far new"):
        open_trace(write_streams(path, batch(**GOOD), more=besides))
    for key, says in (("mmuexp.format", "format '3'"), ("mmuexp.address_bits", "has '3' address bits")):
        with pytest.raises(TraceError, match=says):
            open_trace(write_streams(path, batch(**GOOD), metadata={key: "3"}))


def peak_kib() -> int:
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_a_stream_that_claims_much_costs_nothing(tmp_path, codec):
    """A thousand times what the rows of a batch can take: refused before anything is decoded."""
    path = write_streams(tmp_path / "t.arrow", batch(**(GOOD | {"near": bytes(100_000_000)})), codec=codec)
    Path("/proc/self/clear_refs").write_text("5")  # what tests before this one took is no peak
    before = peak_kib()
    with pytest.raises(TraceError, match="column 'near' declares 100000000 bytes where its rows take at most 36"):
        read(open_trace(path))
    assert peak_kib() - before < 50_000


def test_recover_keeps_the_batches_before_damage(tmp_path, monkeypatch):
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 1000)
    rows = program_rows(5000)
    path = write(tmp_path / "t.arrow", rows)
    with open_trace(path) as trace:
        start, end = trace.layouts[2].buffers[-1].offset + 9, trace.layouts[2].end
    data = bytearray((tmp_path / "t.arrow").read_bytes())
    data[start : end - 4] = bytes(end - 4 - start)
    (tmp_path / "t.arrow").write_bytes(data)
    assert recover(path, str(tmp_path / "n.arrow")).rows == 2000
    assert same(read(open_trace(tmp_path / "n.arrow")), type(rows)(*(column[:2000] for column in rows)))
    with pytest.raises(TraceError) as caught:
        list(open_trace(path).batches(4500))  # needs the one that is damaged
    assert caught.value.row == 2000


FUZZ = """
import random, sys, time
from mmuexp.errors import MmuexpError
from mmuexp.trace import open_trace
from mmuexp.trace.verify import verify
sys.path.insert(0, "trace")
from test_trace_fuzz import mutated
seeds = [open(name, "rb").read() for name in sys.argv[2:]]
for name in sys.argv[2:]:
    verify(name)  # and what that takes is compiled
refused, longest = 0, 0.0
for number in range(1000):
    chosen = random.Random(number)
    with open(sys.argv[1], "wb") as file:
        file.write(mutated(chosen.choice(seeds), chosen))
    began = time.process_time()  # a busy machine may take longer
    try:
        verify(sys.argv[1])
        with open_trace(sys.argv[1]) as trace:
            rows = sum(runs.rows for runs in trace.runs(ahead=False))
            assert rows == sum(len(columns.op) for columns in trace.pieces())
    except MmuexpError as error:
        refused += 1
        assert str(error).count("\\n") == 0
    longest = max(longest, time.process_time() - began)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # not its parent's, too
print(refused, longest, peak)
"""


def test_a_thousand_mutations(tmp_path, monkeypatch):
    """None with a traceback or a signal, none takes 400 MB or 20 s."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 300)
    system = columns_of(random_trace(3, 800, "system"))
    seeds = [write(tmp_path / "a", program_rows(1000)), write(tmp_path / "b", system, "system")]
    with pa.OSFile(seeds[0]) as file, pa.ipc.open_file(file) as reader:
        told = [reader.get_batch_with_custom_metadata(index) for index in range(4)]
    plain = [([d.column(n)[0].as_py() for n in Streams._fields], k[b"mmuexp.batch"].decode()) for d, k in told]
    seeds += [write_streams(tmp_path / f"{codec}", *plain, codec=codec) for codec in (None, "lz4")]
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path / "t"), *seeds], capture_output=True, text=True, cwd=TESTS
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused, longest, peak = map(float, done.stdout.split())
    assert 500 < refused < 1000 and longest < 20 and peak < 400_000  # KB
