"""The ring alone, without QEMU: each row that stands in the shared memory is handed out once, in order."""

import mmap

import numpy as np
import pytest

from mmuexp.guest import BATCH_ROWS
from mmuexp.record.ring import HEADER_BYTES, Mode, Ring

CHUNK_BYTES = {32: 13 * BATCH_ROWS, 64: 17 * BATCH_ROWS}
ROWS_AT = 40  # of `rows` in the header
HIGH = {32: 0, 64: 0xFFFF_8000_0000_0000}


class Plugin:
    """What the plugin does to the shared memory: number the rows in column vaddr, then tell how many there are."""

    def __init__(self, ring: Ring, bits: int = 32):
        self.bits, chunk = bits, CHUNK_BYTES[bits]
        self.memory = mmap.mmap(ring.fd, HEADER_BYTES + ring.chunks * chunk)
        self.rows = np.frombuffer(self.memory, "u8", 1, ROWS_AT)
        self.chunks = [
            np.frombuffer(self.memory, f"u{bits // 8}", BATCH_ROWS, HEADER_BYTES + i * chunk)
            for i in range(ring.chunks)
        ]

    def write_up_to(self, rows: int) -> None:
        numbers = np.arange(int(self.rows[0]), rows)
        for i, chunk in enumerate(self.chunks):
            mine = numbers[numbers // BATCH_ROWS % len(self.chunks) == i]
            chunk[mine % BATCH_ROWS] = mine.astype(chunk.dtype) + chunk.dtype.type(HIGH[self.bits])
        self.rows[0] = rows


@pytest.mark.parametrize(
    "stops",
    [
        (10, 30),
        (10, BATCH_ROWS),
        (BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1),
        (10, BATCH_ROWS + 10, BATCH_ROWS + 20, 2 * BATCH_ROWS + 5),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_a_chunk_that_is_taken_in_parts(mode, stops, bits):
    ring = Ring(mode, bits, chunks=2)
    plugin = Plugin(ring, bits)
    taken = []
    for stop in stops:
        plugin.write_up_to(stop)
        while (columns := ring.columns(partial=True)) is not None:
            assert {len(column) for column in columns} == {len(columns.op)}
            taken.append(columns.vaddr.copy())
        assert ring.taken == stop
        assert np.array_equal(np.concatenate(taken) - np.dtype(f"u{bits // 8}").type(HIGH[bits]), np.arange(stop))
        assert ring.in_chunk == stop % BATCH_ROWS
    ring.close()


def test_what_remains_of_a_chunk_is_taken_when_it_is_full():
    ring = Ring(chunks=2)
    plugin = Plugin(ring)
    plugin.write_up_to(10)
    assert ring.columns() is None
    assert len(ring.columns(partial=True).op) == 10
    plugin.write_up_to(BATCH_ROWS - 1)
    assert ring.columns() is None
    plugin.write_up_to(BATCH_ROWS + 3)
    rest = ring.columns()
    assert (rest.vaddr[0], rest.vaddr[-1], len(rest.op)) == (10, BATCH_ROWS - 1, BATCH_ROWS - 10)
    assert ring.columns() is None
    ring.close()
