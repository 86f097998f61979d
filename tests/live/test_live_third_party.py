"""A scheme of another package, with a C half of its own: it is compiled and verified like ours, its own events too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.compiling import PLAIN
from kit.places import TESTS
from kit.traces import columns_of, random_trace, write

# A table with an entry for each page. What a C half must give: `scheme`, and LOAD and STORE around loop.h. This one
# has no fast path in assembly: every access is a helper's.
C_HALF = r"""
#include "engine.h"
#include "paths.h"

#include <string.h>

static uint8_t present[PAGES];

static void enter(uint32_t page)
{
    if (present[page])
        return;
    present[page] = 1;
    count[COUNT_tlb_fills]++;
    count[COUNT_extra_0]++; /* pages_entered, the first of its extra_events */
}

static uint64_t serve(bool store, uint64_t data)
{
    struct row row = current_row();
    row_done = true;
    if (row.io) {
        count[COUNT_slow_io]++;
        return 0;
    }
    enter(row.page);
    if (row.crosses)
        enter(row.second);
    if (store) {
        if (!checked)
            memcpy(row_bytes, &data, sizeof data);
        store_bytes(&row, row_bytes);
    } else {
        load_bytes(&row, row_bytes);
        memcpy(&data, row_bytes, sizeof data);
    }
    return data;
}

#define LOAD(n, vaddr, at) serve(false, 0)
#define STORE(n, vaddr, at, data) (void)serve(true, data)
#include "loop.h"

static void flush(void)
{
    memset(present, 0, sizeof present);
}

static void flush_page(uint32_t page)
{
    present[page] = BUG;
}

const struct scheme scheme = {.run = run_rows, .flush = flush, .flush_page = flush_page};
"""


@pytest.fixture
def packages(tmp_path) -> Path:
    folder = tmp_path / "packages"
    shutil.copytree(TESTS / "kit" / "third_party", folder)
    return folder


def verify(packages: Path, trace: str, *words: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "mmuexp", "verify", "--trace", trace, *words]
    env = os.environ | {"PYTHONPATH": path} | (PLAIN if words else {})  # it would be compiled anew for each folder
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["user", "system"])
def test_it_is_verified_like_ours(packages, tmp_path, mode):
    (packages / "mmuexp_victim.c").write_text(C_HALF.replace("BUG", "0"))
    trace = write(tmp_path / "t.arrow", columns_of(random_trace(3, 5000, mode)), mode=mode)
    done = verify(packages, trace, "-s", "softmmu-large,associativity=2", "--format", "csv")
    assert done.returncode == 0, done.stderr
    counted = {line.split(",")[3]: line.split(",")[4:7] for line in done.stdout.replace('"', "").splitlines()[1:]}
    assert counted["pages_entered"] == counted["tlb_fills"]
    assert int(counted["pages_entered"][1]) > 0
    assert {equal for _, _, equal in counted.values()} == {"True"}


@pytest.mark.long
def test_a_bug_in_it_is_found(packages, tmp_path):
    (packages / "mmuexp_victim.c").write_text(C_HALF.replace("BUG", "1"))
    trace = write(tmp_path / "t.arrow", columns_of(random_trace(3, 5000, "system")), mode="system")
    done = verify(packages, trace, "-s", "softmmu-large")
    assert done.returncode == 3
    assert "differ in 1 of 1 runs" in one_line(done.stderr)
    assert "the first row where they part is" in done.stdout
    assert "pages_entered" in done.stdout


@pytest.mark.long
def test_without_a_c_half_the_others_are_verified(packages, tmp_path):
    trace = write(tmp_path / "t.arrow", columns_of(random_trace(3, 500, "user")))
    done = verify(packages, trace)
    assert done.returncode == 0, done.stderr
    said = "softmmu-large is left out, it has no live engine: there is no mmuexp_victim.c beside mmuexp_victim.py"
    assert said in one_line(done.stderr)
    assert "of 6 runs" in done.stdout
