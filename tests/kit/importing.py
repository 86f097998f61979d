"""Files of other tools for tests, and what an import makes of them."""

import io
import struct
import zipfile

import pyarrow as pa

from kit.traces import read
from mmuexp.guest import USER
from mmuexp.trace import open_trace
from mmuexp.trace.importers import Options
from mmuexp.trace.importers.work import import_trace

SNAPPY_HEAD = b"\xff\x06\x00\x00sNaPpY"


def imported(
    folder, data: str | bytes, *, name: str = "t.txt", from_format=None, rebase: bool | str = False, **options
):
    """(rows as tuples op, vaddr, size, insns; what the import reported; the trace)."""
    source, target = folder / name, folder / "t.arrow"
    source.write_bytes(data.encode() if isinstance(data, str) else data)
    return rows_of(source, target, from_format=from_format, rebase=rebase, **options)


def rows_of(source, target, *, from_format=None, rebase: bool | str = False, **options):
    """As `imported`, of a file or folder that is there."""
    done = import_trace(str(source), str(target), from_format=from_format, rebase=rebase, options=Options(**options))
    trace = open_trace(target)
    columns = read(trace)
    assert (columns.flags == USER).all() and (columns.page == 0).all() and trace.mode == "user"
    assert done.rows == trace.rows == len(columns.op)
    rows = zip(*(c.tolist() for c in (columns.op, columns.vaddr, columns.size, columns.insns)), strict=True)
    return list(rows), done, trace


def snappy_frames(data: bytes, kinds=(0, 1, 2, 3)) -> bytes:
    """The framing format of snappy as DynamoRIO writes it: blocks of 64 KiB, a kind in turn, a frame to be skipped."""
    out, codec = [SNAPPY_HEAD, b"\x80\x03\0\0pad"], pa.Codec("snappy")
    for index, at in enumerate(range(0, len(data), 1 << 16)):
        block, kind = data[at : at + (1 << 16)], kinds[index % len(kinds)]
        body = codec.compress(block, asbytes=True) if kind in (0, 2) else block
        if kind < 2:
            crc = crc32c(block)
            body = ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little") + body
        out.append(bytes([kind]) + len(body).to_bytes(3, "little") + body)
    return b"".join(out)


def zipped(**members: bytes) -> bytes:
    """A zip of these members; _ stands for a dot in their names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return file.getvalue()


def instruction(ip: int, *, branch: int = 0, taken: int = 0, writes=(), reads=()) -> bytes:
    """A record of ChampSim's."""
    slots = [*writes, *[0] * (2 - len(writes)), *reads, *[0] * (4 - len(reads))]
    return struct.pack("<QBB2s4s6Q", ip, branch, taken, b"\1\2", b"\3\4\5\6", *slots)


def crc32c(data: bytes) -> int:
    """CRC-32C, a byte at a time."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value of the polynomial
