"""The loop that checks what snappy frames hold: CRC-32C."""

import numpy as np

from mmuexp.native.jitcache import guarded, kept

POLYNOMIAL = 0x82F63B78


def _table() -> np.ndarray:
    """uint32[8, 256]: what a byte does to the checksum, and what it does when 1 to 7 more bytes follow it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(POLYNOMIAL), table >> np.uint32(1))
    rows = [table]
    for _ in range(7):
        rows.append(table[rows[-1] & 0xFF] ^ (rows[-1] >> np.uint32(8)))
    return np.array(rows, np.uint32)


TABLE = _table()


@guarded()
@kept
def crc32c(data, table):
    """CRC-32C of the bytes, 8 of them at a time."""
    crc, at = np.int64(0xFFFFFFFF), 0
    while at + 8 <= len(data):
        low = crc ^ (
            np.int64(data[at])
            | np.int64(data[at + 1]) << 8
            | np.int64(data[at + 2]) << 16
            | np.int64(data[at + 3]) << 24
        )
        crc = np.int64(table[7, low & 255] ^ table[6, low >> 8 & 255] ^ table[5, low >> 16 & 255] ^ table[4, low >> 24])
        crc ^= np.int64(
            table[3, data[at + 4]] ^ table[2, data[at + 5]] ^ table[1, data[at + 6]] ^ table[0, data[at + 7]]
        )
        at += 8
    while at < len(data):
        crc = np.int64(table[0, (crc ^ np.int64(data[at])) & 255]) ^ (crc >> 8)
        at += 1
    return crc ^ 0xFFFFFFFF
