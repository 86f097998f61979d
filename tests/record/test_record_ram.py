"""The recorder's plugin finds the guest's RAM among the memory that QEMU shares, wherever that happens to lie."""

import ctypes
import mmap
import os
import subprocess

import pytest
from kit.recordings import need

from mmuexp.record import build

PAGE = 4096
HARNESS = """
#include "pages.h"
EXPORT uint64_t first_page(void) { return find_ram() ? p.ram_first : 0; }
EXPORT uint64_t pages(void) { return p.ram_pages; }
"""


@pytest.fixture
def plugin(tmp_path):
    """`find_ram` of pages.h, in this process; what it would ask of QEMU is never called."""
    need("gcc", "gcc")
    source, library = tmp_path / "find.c", tmp_path / "find.so"
    source.write_text(HARNESS)
    flags = [*build.CFLAGS, "-Wno-unused-function", "-Wno-unused-variable", f"-I{build.SOURCE}"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source)], check=True)
    loaded = ctypes.CDLL(str(library), mode=os.RTLD_LAZY)
    loaded.first_page.restype = loaded.pages.restype = ctypes.c_uint64
    return loaded


def mapped(address: int, pages: int, file: int) -> None:
    """Map the first pages of an open file there, shared."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    fixed = 0x10  # MAP_FIXED
    rights = mmap.PROT_READ | mmap.PROT_WRITE
    assert libc.mmap(address, pages * PAGE, rights, mmap.MAP_SHARED | fixed, file, 0) == address


def test_what_lies_beside_the_ram_is_no_part_of_it(plugin):
    room = mmap.mmap(-1, 1 << 26, mmap.MAP_PRIVATE)  # what is mapped over it is unmapped with it
    at = (ctypes.addressof(ctypes.c_char.from_buffer(room)) + PAGE) & -PAGE
    for name, pages in (("ring", 300), ("ram", 5000), ("other", 40)):
        file = os.memfd_create(name)
        os.truncate(file, pages * PAGE)
        mapped(at, pages, file)
        os.close(file)
        if name == "ram":
            expected = at // PAGE, pages
        at += pages * PAGE
    assert (plugin.first_page(), plugin.pages()) == expected
