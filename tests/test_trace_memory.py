"""However long the trace and however large its batches: the process that reads it stays below 400 MB."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
from tracefiles import program_rows

from mmuexp.guest import BATCH_ROWS, DTYPES
from mmuexp.trace import TraceWriter

READ = """
import sys
from mmuexp.shape import Survey
from mmuexp.trace import open_trace
trace = open_trace(sys.argv[1])
survey = Survey(trace.mode, trace.path)
rows = 0
for columns in trace.batches():
    if sys.argv[2] == "survey":
        survey.feed(columns)
    rows += len(columns.op)
# not getrusage: its maximum remembers the process that this one was forked from
print(rows, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def read_in_a_process(path, what: str) -> tuple[int, float]:
    """Rows read, and the largest resident size in MB."""
    here = os.path.dirname(__file__)
    done = subprocess.run([sys.executable, "-c", READ, str(path), what], capture_output=True, text=True, cwd=here)
    assert done.returncode == 0, done.stderr
    rows, kib = done.stdout.split()
    return int(rows), int(kib) * 1024 / 1e6


def test_a_long_trace(tmp_path):
    rows = program_rows(BATCH_ROWS)
    with TraceWriter(tmp_path / "t.arrow", mode="user", metadata={}) as writer:
        for _ in range(24):
            writer.append(rows)
    read, peak = read_in_a_process(tmp_path / "t.arrow", "survey")
    assert read == 24 * BATCH_ROWS  # 327 MB of columns
    assert peak < 300


def test_one_batch_of_a_foreign_writer(tmp_path):
    count = 30_000_000  # 390 MB of columns in one batch
    columns = [np.broadcast_to(np.zeros(1, dtype), count) for dtype in DTYPES]
    for compression in ("zstd", "lz4"):
        arrays = [pa.array(np.ascontiguousarray(column)) for column in columns]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(DTYPES._fields))
        batch = batch.replace_schema_metadata({"mmuexp.format": "1", "mmuexp.mode": "user"})
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file:
            writer = pa.ipc.new_file(file, batch.schema, options=options)
            writer.write_batch(batch)
            writer.close()
        del arrays, batch
        read, peak = read_in_a_process(tmp_path / "t.arrow", "read")
        assert read == count
        assert peak < 300
