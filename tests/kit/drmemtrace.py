"""Writes recordings as DynamoRIO's drmemtrace does: records of a type, a size and an address."""

import struct

READ, WRITE, PREFETCH, INSTR, JUMP, BUNDLE, FLUSH = 0, 1, 2, 10, 11, 17, 18
THREAD, EXIT, PROCESS, HEADER, FOOTER, MARKER, NOT_FETCHED, ENCODING = 22, 23, 24, 25, 26, 28, 29, 47
TIME, CPU, FILE_TYPE, VERSION, WINDOW, PHYSICAL, PAGE_SIZE = 2, 3, 9, 12, 14, 15, 18
SYSCALL, SYSCALL_END, SWITCH, SWITCH_END = 27, 28, 34, 35


def record(kind: int, size: int, address: int, wide: bool = True) -> bytes:
    return struct.pack("<HHQ" if wide else "<HHI", kind, size, address & (2**64 - 1 if wide else 2**32 - 1))


def recorded(
    *records: tuple[int, int, int], wide: bool = True, bits: int | None = 0x40, thread: int = 7, end=True
) -> bytes:
    """A whole file: header, version, type, thread, process, the records, footer."""
    head = [(HEADER, 0, 6), (MARKER, VERSION, 6), *([] if bits is None else [(MARKER, FILE_TYPE, bits)])]
    head += [(THREAD, 4, thread), (PROCESS, 4, 5)]
    tail = [(EXIT, 4, thread), (FOOTER, 0, 0)] if end else []
    return b"".join(record(*one, wide) for one in (*head, *records, *tail))
