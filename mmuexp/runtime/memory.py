"""Keeps a process small: what large arrays took goes back to the system when they are gone."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGE_BYTES = 4 << 20
KEPT_BYTES = 64 << 20


def tune_malloc() -> None:
    """Have malloc map what takes LARGE_BYTES and more by itself, unmap it when it is freed, and keep what is smaller.

    Else glibc takes whatever size was freed last for a small one, up to 32 MB, and keeps it among others that are in
    use: 30 MB and more of a command's peak. Of smaller ones it keeps KEPT_BYTES: by itself, once a threshold is set, it
    would give back 128 kB, and the system clear those pages again for each batch. A library without these settings is
    left as it is.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_what_is_free() -> None:
    """Have malloc give back the free pages among what is in use: of a long replay, 45 MB."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
