"""traces/workloads, recorded anew: each program's result is right, and four have counts that are known by construction.

The comments of crossing.S, textdata.S, ownpage.S and smc.S derive these counts; here they stand as formulas in the
number of rounds. They are checked on the rows (all rounds), and on the oracle and the kernels (few rounds).
"""

import pytest
from kit.recordings import WORKLOADS, count, record, rows_of, tuples, workload
from kit.replays import differences
from truth.oracle import run
from truth.schemes import NAMES

import mmuexp
from mmuexp.guest import Op

KERNELS = ["numeric_sort", "string_sort", "bit_field", "fp_emulation", "fourier"]
KERNELS += ["assignment", "idea", "huffman", "neural_net", "lu"]
DERIVED = {"softmmu", "byte-lookup", "map-block", "qemu-fast", "softmmu-qemu10"}  # what per_scheme says something of


def rounds_of(program: str) -> int:
    """ROUNDS as the source sets it."""
    lines = (WORKLOADS / f"{program}.S").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("#define ROUNDS")).split()[2])


def shape(program: str, n: int) -> dict[str, int]:
    """Shape counts of `n` rounds."""
    counts = {
        "crossing": {"loads": 6 * n, "stores": 4 * n, "execs": n + 1, "misaligned": 8 * n, "page_cross": 6 * n},
        "textdata": {"loads": n, "stores": 2 * n, "execs": 2 * n + 1, "misaligned": 0, "page_cross": 0},
        "ownpage": {"loads": 0, "stores": n, "execs": 3 * n + 1, "misaligned": 0, "page_cross": 0},
        "smc": {"loads": n, "stores": 2 * n, "execs": 3 * n + 1, "misaligned": n, "page_cross": 0},
    }[program]
    return counts | {"rows": counts["loads"] + counts["stores"] + counts["execs"]}


def per_scheme(program: str, scheme: str, n: int) -> dict[str, int | None]:
    """What `n` rounds cost under a scheme; the rest of its event columns is 0."""
    mapped = {"map-block": {"faults_block": 1, "faults_unmapped": 1}}.get(scheme, {"faults_unmapped": 2})
    if program == "crossing":
        return {"translations": 3} | {
            "softmmu": {"slow_cross": 6 * n, "slow_misaligned": 2 * n, "tlb_fills": 3},
            "softmmu-qemu10": {"slow_cross": 6 * n, "tlb_fills": 3},
            "byte-lookup": {"faults_cross": 6 * n, "faults_unmapped": 2},
            "map-block": {"faults_block": 1, "faults_unmapped": 2},
            "qemu-fast": {"faults_unmapped": 3},
        }[scheme]
    if program == "textdata":
        stores = {"code_page_data_stores": 2 * n - 1}
        if scheme == "softmmu":
            return stores | {"slow_code": 2 * n - 1, "code_list_walks": 21, "translations": 4, "tlb_fills": 2}
        if scheme == "softmmu-qemu10":
            return stores | {"slow_code": 2 * n - 1, "translations": 4, "tlb_fills": 1}  # code filled the other page
        return stores | mapped | {"faults_code": 2 * n - 2, "translations": 2 * n + 1, "protects": 2 * n - 1}
    if program == "ownpage":
        stores = {"code_page_data_stores": n}
        if scheme == "softmmu":
            return stores | {"slow_code": n, "code_list_walks": 11, "translations": 5, "tlb_fills": 1}
        if scheme == "softmmu-qemu10":
            return stores | {"slow_code": n, "translations": 5, "tlb_fills": 0}  # code filled the page
        one = {"faults_block": 1} if scheme == "map-block" else {"faults_unmapped": 1}
        return stores | one | {"faults_code": n - 1, "translations": 3 * n + 1, "protects": n}
    stores = {"smc_stores": n - 1, "translations": n + 4}
    if scheme == "softmmu":
        return stores | {"slow_code": n - 1, "code_list_walks": n - 1, "slow_misaligned": n, "tlb_fills": 2}
    if scheme == "softmmu-qemu10":
        return stores | {"slow_code": n - 1, "tlb_fills": 2}
    pages = {"faults_block": 2} if scheme == "map-block" else {"faults_unmapped": 2}  # the stack lies far off
    return stores | pages | {"faults_code": n - 1, "protects": n}


_EVENTS = """faults_unmapped faults_block faults_write faults_code faults_cross faults_io faults_softmmu tlb_fills
    slow_misaligned slow_cross slow_io slow_code code_list_walks softmmu_accesses translations smc_stores
    code_page_data_stores protects unmaps evictions"""
EVENTS = _EVENTS.split()


def check_events(found: dict, program: str, scheme: str, n: int) -> None:
    if scheme not in DERIVED:
        return
    expected = per_scheme(program, scheme, n)
    assert {name: found.get(name) or 0 for name in EVENTS} == dict.fromkeys(EVENTS, 0) | expected


@pytest.mark.long
@pytest.mark.parametrize("program", KERNELS)
def test_each_kernel_is_right_and_small(tmp_path, program):
    done = record("-o", "new.arrow", "--", workload(program), cwd=tmp_path)
    assert (done.code, done.out) == (0, "right\n")
    trace = mmuexp.open_trace(tmp_path / "new.arrow")
    assert trace.complete == "yes"
    assert 300_000 < trace.rows < 2_000_000


def test_string_sort_moves_unaligned(tmp_path):
    """Three of four of its 4-byte moves are misaligned, and some cross a page; the other words are its bookkeeping."""
    assert record("-o", "new.arrow", "--", workload("string_sort"), cwd=tmp_path).code == 0
    rows = rows_of(tmp_path / "new.arrow")
    counts = count(rows)
    words = int(((rows.size == 4) & (rows.op != Op.EXEC)).sum())
    assert counts["misaligned"] > words / 3
    assert counts["page_cross"] > 100


@pytest.mark.parametrize("program", ["crossing", "textdata", "ownpage", "smc"])
def test_counts_by_construction_on_the_rows(tmp_path, program, bits):
    done = record("-o", "new.arrow", "--", workload(program, bits=bits), cwd=tmp_path)
    assert done.code == 0
    assert count(rows_of(tmp_path / "new.arrow")) == shape(program, rounds_of(program))


def test_crossings_have_the_sizes_that_were_written(tmp_path):
    assert record("-o", "new.arrow", "--", workload("crossing", 50), cwd=tmp_path).code == 0
    rows = rows_of(tmp_path / "new.arrow")
    cross = (rows.vaddr % 4096 + rows.size > 4096) & (rows.op != Op.EXEC)
    found = sorted(zip(rows.op[cross].tolist(), rows.size[cross].tolist(), strict=True))
    assert found == sorted([(op, size) for op in (Op.LOAD, Op.STORE) for size in (2, 4, 8)] * 50)


@pytest.mark.long
@pytest.mark.parametrize("program", ["crossing", "textdata", "ownpage", "smc"])
def test_counts_by_construction_under_every_scheme(tmp_path, program):
    """The oracle on 60 rounds; the kernels on these and on all rounds."""
    few, all_of_them = 60, rounds_of(program)
    assert record("-o", "few.arrow", "--", workload(program, few), cwd=tmp_path).code == 0
    assert record("-o", "all.arrow", "--", workload(program), cwd=tmp_path).code == 0
    small = tuples(tmp_path / "few.arrow")
    for scheme in NAMES:
        counts = run(small, scheme, "user")
        check_events(counts, program, scheme, few)
        assert differences(small, scheme, "user", counts) == {}
    for name, rounds in (("few.arrow", few), ("all.arrow", all_of_them)):
        table = mmuexp.compare(str(tmp_path / name), NAMES).fillna(0)
        for scheme, found in zip(NAMES, table.to_dict("records"), strict=True):
            check_events(found, program, scheme, rounds)


def test_every_source_is_tested_here():
    names = {path.stem for path in WORKLOADS.iterdir() if path.suffix in (".c", ".S")}
    assert names == {*KERNELS, "crossing", "textdata", "ownpage", "smc"}
