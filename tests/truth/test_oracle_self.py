"""The oracle checks itself: what can be counted twice is counted twice, and what must hold does hold."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from kit.places import TESTS
from kit.traces import PAGES_COLLIDING, Row, any_traces, columns_of, load, note, random_trace, traces

from mmuexp.guest import DTYPES
from truth import oracle
from truth.oracle import reserve as oracle_reserve
from truth.oracle.guest import EXEC, IO, LOAD, MAP, PAGE, STORE
from truth.schemes import ALWAYS_ZERO, EMPTY, NAMES, TIGHT

COLLIDING = "qemu-fast,guest_limit=0x100000000,kernel_offset=0x30000000"
WALKABLE = [spec for spec in TIGHT if (oracle.run([], spec, "user")["reserved_bytes"] or 1 << 32) < 1 << 20]
WALKABLE += ["qemu-fast,guest_limit=0x12000"]
quick = settings(max_examples=25, deadline=None)


def check_reserve(scheme: oracle_reserve.Handler) -> None:
    """The books of a reserve agree with a walk over it, and no window lets a store slip by."""
    reserve, guest = scheme.reserve, scheme.guest
    assert reserve.mappings == reserve.recount()
    for position, window in reserve.at.items():
        assert position in reserve.windows_of[window.frame]
        assert not window.writable or (window.frame in guest.dirty and not guest.code.is_code(window.frame))
        assert guest.user_mode or guest.frame_of[window.page] == window.frame
    assert sum(map(len, reserve.windows_of.values())) == len(reserve.at)
    assert scheme.n["maps"] - scheme.n["unmaps"] == len(reserve.at)


@pytest.mark.parametrize("spec", WALKABLE)
@given(trace=any_traces(max_wishes=25))
@quick
def test_vmas_counted_at_borders_and_counted_by_a_walk(spec, trace):
    mode, rows = trace
    guest, scheme = oracle.new(spec, mode)
    peak = 1
    for row in rows:
        oracle.step(guest, scheme, *row)
        scheme.row_done()
        check_reserve(scheme)
        peak = max(peak, scheme.reserve.recount())
    assert scheme.totals()["peak_mappings"] == peak


@pytest.mark.parametrize("spec", [*TIGHT, COLLIDING])
@given(trace=any_traces(max_wishes=40))
@quick
def test_sums(spec, trace):
    mode, rows = trace
    n = oracle.run(rows, spec, mode)
    name, _ = oracle.parse(spec)
    assert list(n) == oracle.columns(name)
    assert n["rows"] == len(rows) and n["accesses"] == n["loads"] + n["stores"]
    assert n["faults"] == sum(n[column] or 0 for column in oracle.COLUMNS if column.startswith("faults_"))
    assert n["translations"] <= n["execs"] and n["translated_insns"] <= n["guest_insns"]
    if "host_calls" in EMPTY[name]:
        assert n["slow_code"] == n["smc_stores"] + n["code_page_data_stores"] >= (n["code_list_walks"] or 0)
        assert n["searched_blocks"] >= (n["slow_code"] if n["code_list_walks"] is None else n["code_list_walks"])
        assert n["slow_cross"] + n["slow_io"] >= n["page_cross"]
        return
    assert n["host_calls"] == sum(n[column] for column in oracle.CALLS)
    if name == "fastmem":  # it maps ahead, and a fault that is patched opens nothing
        assert n["mmap_calls"] == n["maps"] and n["patches"] <= n["softmmu_accesses"]
        return
    assert n["mmap_calls"] == n["faults_unmapped"] + (n["faults_block"] or 0) <= n["maps"]
    assert n["mprotect_calls"] == n["faults_write"] + n["faults_code"] + n["protects"]


@given(rows=traces("user"))
@quick
def test_shape_is_the_same_under_every_scheme(rows):
    shape = oracle.COLUMNS[: oracle.COLUMNS.index("faults")]
    first, *others = [[oracle.run(rows, spec, "user")[column] for column in shape] for spec in (*NAMES, *TIGHT)]
    assert all(other == first for other in others)


@given(rows=traces("system"))
@quick
def test_annotations_change_nothing_but_rows(rows):
    padded = [row for pair in ((row, note(128)) for row in rows) for row in pair]
    for spec in (*NAMES, *TIGHT):
        assert oracle.run(padded, spec, "system") == oracle.run(rows, spec, "system") | {"rows": 2 * len(rows)}


@given(rows=traces("system"))
@quick
def test_with_a_block_for_every_guest_block_map_block_is_a_direct_map(rows):
    """Without crossings, IO and flushes each fault of one is a fault of the other; only a block's first is named so."""
    frames: dict[int, int] = {}
    kept: list[Row] = []
    for row in rows:
        op, vaddr, size, _, flags, frame = row
        page, within = vaddr // PAGE, vaddr % PAGE + size <= PAGE
        if op == MAP:
            fits = frames.setdefault(page, frame) == frame
        else:
            fits = op in (LOAD, STORE, EXEC) and within and page in frames and not flags & IO
        kept += [row] * fits
    block = oracle.run(kept, "map-block,map_block_bits=22,pool_blocks=1024", "system")
    fast = oracle.run(kept, "qemu-fast,guest_limit=0x100000000", "system")
    same = ["faults", "faults_write", "faults_code", "maps", "host_calls", "protects", "translations", "smc_stores"]
    assert [block[column] for column in same] == [fast[column] for column in same]
    assert block["faults_block"] + block["faults_unmapped"] == fast["faults_unmapped"]


@pytest.mark.parametrize("mode", ["user", "system"])
def test_random_traces_reach_everything(mode):
    """Seeded, of the length asked for, and hard enough that no event of any scheme stays at 0."""
    rows = random_trace(7, 6000, mode)
    assert rows == random_trace(7, 6000, mode) != random_trace(8, 6000, mode) and len(rows) == 6000
    never = {"faults", "table_bytes", "table_lines", "table_resident_bytes"}
    never |= {"mode_switches"} if mode == "user" else set()
    for spec in TIGHT:
        if spec.startswith(("fastmem", "views")):  # each setting has what it never counts: test_relations.py
            continue
        n = oracle.run(rows, spec, mode)
        at_zero = {column for column, value in n.items() if value == 0} - never - {*ALWAYS_ZERO[spec.split(",")[0]]}
        assert at_zero <= ({"io_accesses", "faults_io", "slow_io", "io_fills"} if mode == "user" else set()), spec


def test_colliding_pages_do_collide():
    with pytest.raises(oracle.TraceError, match="one host page"):
        oracle.run(random_trace(1, 2000, "user", PAGES_COLLIDING), COLLIDING, "user")


def test_columns_of_keeps_every_value():
    rows = [*random_trace(3, 300, "system"), (255, 0xFFFFFFFF, 0xFFFF, 255, 255, 0xFFFFFFFF)]
    columns = columns_of(rows)
    assert tuple(column.dtype for column in columns) == DTYPES
    names = ("op", "vaddr", "size", "insns", "flags", "page")
    assert list(zip(*(getattr(columns, name).tolist() for name in names), strict=True)) == rows
    assert [len(column) for column in columns_of([])] == [0] * 6


def test_parse():
    assert oracle.parse("map-block,MAP_BLOCK_BITS=0xe,evict=lifo") == (
        "map-block",
        {"map_block_bits": 14, "evict": "lifo"},
    )
    assert oracle.parse("softmmu") == ("softmmu", {})
    assert oracle.run([load(0)], "qemu-fast,Guest_Limit=0x100000000", "user")["reserved_bytes"] == 2**32


@pytest.mark.parametrize(
    "spec", ["byte-lookup,entries=256", "map-block,pool_mib=1,map_block_bits=20", "map-block,map_pages=3",
             "map-block,evict=lru", "qemu-fast,kernel_offset=1", "qemu-fast,guest_limit=0x100000001"],
)  # fmt: skip
def test_parameters_that_make_no_sense(spec):
    with pytest.raises(ValueError):
        oracle.run([], spec, "user")


def test_nothing_of_the_package_is_behind_it():
    """The oracle, the cases of paper and the list of schemes: a process of its own imports them alone."""
    code = "import sys, truth.handworked, truth.oracle.faults, truth.oracle.misses; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=True)
    assert "truth.schemes.map_block" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.partition(".")[0] in ("mmuexp", "kit", "numpy", "numba")]
