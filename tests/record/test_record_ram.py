"""The recorder's plugin finds the guest's RAM among the memory that QEMU shares, wherever that happens to lie."""

import subprocess

from kit.recordings import need

from mmuexp.record import build

# A program of its own: what else the tests' process has mapped and shares may be larger than this RAM. It never asks
# QEMU for anything, so what the header calls there may be missing.
HARNESS = """
#define _GNU_SOURCE
#include <sys/mman.h>
#include "pages.h"
int main(void)
{
    const size_t pages[] = {300, 5000, 40}; /* a ring, the RAM, another device's memory */
    char *at = mmap(NULL, 1 << 26, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *ram = at + (pages[0] << PAGE_BITS);
    for (int i = 0; i < 3; i++) {
        const size_t bytes = pages[i] << PAGE_BITS;
        const int file = memfd_create("", 0);
        if (ftruncate(file, bytes) ||
            mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED)
            return 1;
        at += bytes;
    }
    const bool found = find_ram();
    printf("%d %d %lu\\n", found, p.ram_first == (uintptr_t)ram >> PAGE_BITS, p.ram_pages);
    return 0;
}
"""


def test_what_lies_beside_the_ram_is_no_part_of_it(tmp_path):
    need("gcc", "gcc")
    source, program = tmp_path / "find.c", tmp_path / "find"
    source.write_text(HARNESS)
    flags = [flag for flag in build.CFLAGS if flag not in ("-shared", "-fPIC")]
    flags += ["-Wno-unused-function", "-Wno-unused-variable", "-Wl,--unresolved-symbols=ignore-all"]
    subprocess.run(["gcc", *flags, f"-I{build.SOURCE}", "-o", str(program), str(source)], check=True)
    found, at_its_start, pages = subprocess.check_output([program], text=True).split()
    assert (found, at_its_start, pages) == ("1", "1", "5000")
