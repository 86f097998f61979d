"""A trace of the widest columns in one batch is compared in bounded memory."""

import os
import struct

import numpy as np
import pyarrow as pa
import pytest
from kit.cli import run_and_measure
from kit.traces import program_rows, write, write_foreign
from truth.schemes import NAMES

from mmuexp.guest import DTYPES, USER
from mmuexp.trace import open_trace


def one_batch_of_streams(path, mega_rows: int) -> None:
    """One batch of loads, columns eight times as wide as need be, whose ZSTD frames have the largest window allowed."""
    rows, stored = 1 << 20, {}
    for name in DTYPES._fields:
        values = np.full(rows, {"size": 1, "insns": 1, "flags": USER}.get(name, 0), "u8")
        frame = bytearray(pa.Codec("zstd", compression_level=3).compress(values.tobytes(), asbytes=True))
        assert not frame[4] & 0x20  # the next byte is its window
        frame[5] = (23 - 10) << 3
        stored[name] = struct.pack("<q", 8 * rows * mega_rows) + bytes(frame) * mega_rows
    held = max(map(len, stored.values())) // 8 + 10
    write_foreign(path, {name: np.frombuffer(os.urandom(8 * held), "u8") for name in stored}, compression="zstd")
    with open_trace(path) as trace:  # random values: as many bytes as are wanted, in place of which the frames come
        buffers = trace.layouts[0].buffers[1::2]
    data = bytearray(path.read_bytes())
    footer = bytes(data[buffers[-1].offset + buffers[-1].length :])
    head = bytes(data[: buffers[0].offset]).replace(struct.pack("<q", held), struct.pack("<q", rows * mega_rows))
    data = bytearray(head) + bytes(buffers[-1].offset + buffers[-1].length - buffers[0].offset) + footer
    for buffer, frames in zip(buffers, stored.values(), strict=True):
        left = buffer.length - len(frames)
        frames += struct.pack("<II", 0x184D2A50, left - 8) + bytes(left - 8)
        data[buffer.offset : buffer.offset + buffer.length] = frames
    path.write_bytes(data)


@pytest.mark.long
def test_compare_stays_below_400_mb_in_one_batch_of_the_widest_streams(tmp_path):
    path, mega_rows = tmp_path / "t.arrow", 140
    rows = mega_rows << 20
    words = [word for name in NAMES for word in ("-s", name)]
    one_batch_of_streams(path, mega_rows)
    small = write(tmp_path / "small.arrow", program_rows(1000))
    assert run_and_measure("compare", small, *words)[0] == 0  # what is compiled is kept, and not in the figure below
    code, out, err, peak = run_and_measure("compare", path, *words, "--format", "csv")
    assert code == 0, err
    assert out.count(f",{rows},{rows},{rows},0,") == len(NAMES)  # rows, accesses, loads, stores
    assert peak < 400
