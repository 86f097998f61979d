"""Keeps a process small: what large arrays took goes back to the system when they are gone."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 4 << 20


def give_back_large_arrays() -> None:
    """Have malloc map what takes LARGE_BYTES and more by itself, and unmap it when it is freed.

    Else glibc takes whatever size was freed last for a small one, up to 32 MB, and keeps it among others that are in
    use: 30 MB and more of a command's peak. A library without that setting is left as it is.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def give_back_what_is_free() -> None:
    """Have malloc give back the free pages among what is in use: of a long replay, 45 MB."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
