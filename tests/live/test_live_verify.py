"""Model and live engine agree, on every count, every fault and every byte: random traces over a grid of parameters."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.places import TRACES
from kit.recordings import KNOWN_ROUNDS as N
from kit.recordings import KNOWN_SPECS, guest, known_counts, record_guest
from kit.replays import SCHEMES, apart, outcome, run, timed_apart, timed_trace_apart
from kit.traces import (
    PAGES_COLLIDING,
    any_traces,
    columns_of,
    exec_,
    flush,
    flush_page,
    io_load,
    io_store,
    load,
    map_,
    random_spaces,
    random_trace,
    store,
)
from truth import code_policies, oracle, schemes

from mmuexp.analysis.verify import verify_one
from mmuexp.errors import SchemeStopped, UsageError
from mmuexp.live.process import Engine, EngineFailed
from mmuexp.strategy.designs import DESIGNS
from mmuexp.strategy.registry import default_strategies, parse_spec
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace

FILES = sorted(TRACES.glob("*.arrow"))
SMALL = ["crossing", "smc", "ownpage"]

GRID = [spec for name in SCHEMES for spec in (*schemes.FILES[name].SPECS, *schemes.FILES[name].TIGHT)]
GRID += [f"softmmu,tlb_bits={bits}" for bits in (1, 4, 16)]
GRID += [f"byte-lookup,entries={entries}" for entries in (2, 254)]
GRID += [f"map-block,map_block_bits={bits},pool_blocks=3" for bits in range(12, 23)]
GRID += [f"map-block,map_block_bits=13,pool_blocks={blocks}" for blocks in (1, 2, 3, 64)]
GRID += [f"map-block,map_block_bits=14,pool_blocks=2,evict={evict}" for evict in ("fifo", "lifo", "random")]
GRID += [f"map-block,map_block_bits=16,pool_blocks=3,map_pages={pages}" for pages in (2, 4, 16)]
GRID += ["map-block,pool_mib=1"]
GRID += [f"qemu-fast,guest_limit={limit}" for limit in ("0x1000", "0x60000000")]
GRID += [f"softmmu-qemu10,window_insns={insns}" for insns in (1, 3000)]
GRID += ["softmmu-qemu10,min_bits=1,first_bits=1,window_insns=100", "softmmu-qemu10,min_bits=2,first_bits=3,max_bits=4"]
GRID += code_policies.SPECS
GRID += ["fastmem,patch=memory,how=block,map=accessed", "fastmem,map=known,flush=diff,dirty=none"]
GRID = list(dict.fromkeys(GRID))


def agree(rows, mode: str, spec: str, **options) -> int:
    """Both engines: the one that checks data, and the one that is timed.

    1 if they agree with the model, 0 if the scheme cannot serve the trace (two pages at one place); or the test failed.
    """
    try:
        assert apart(rows, mode, spec, **options) == ""
        assert timed_apart(rows, mode, spec, **options) == ""
    except SchemeStopped:
        assert "kernel_offset" in spec
        return 0
    return 1


def traces_of(spec: str) -> Iterator[tuple[list, str]]:
    """The random traces that are tried of each spec, and their modes: two at first; longer and short ones if asked."""
    for seed, count in enumerate((1000, 1000, 2000, 2000, 300, 300)):
        mode = ("user", "system")[seed % 2]
        yield random_trace(1000 * GRID.index(spec) + seed, count, mode), mode


@pytest.mark.parametrize("spec", GRID)
def test_random_traces(spec):
    for rows, mode in islice(traces_of(spec), 2):
        agree(rows, mode, spec)


SPACES = ["views", "views,views=2", "views,views=3,drop_maps=2,kernel=softmmu", "fastmem,flush=diff,map=accessed"]


@pytest.mark.parametrize("spec", SPACES)
def test_guests_that_change_between_address_spaces(spec):
    for seed in range(3):
        assert agree(random_spaces(seed), "system", spec)


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_whatever_a_scheme_counts_happens_in_these_traces(scheme):
    counts = Counter[str]()
    for spec in (spec for spec in GRID if parse_spec(spec).name == scheme):
        for rows, mode in [*traces_of(spec), *[(random_spaces(0), "system")] * (spec in SPACES)]:
            with suppress(SchemeStopped):
                counts.update(run(rows, spec, mode))
    told = [name for name in oracle.columns(scheme) if name in counts]
    assert {name for name in told if not counts[name]} == {*schemes.ALWAYS_ZERO[scheme]}


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=any_traces(), spec=st.sampled_from(GRID))
def test_hypothesis_traces(trace, spec):
    agree(trace[1], trace[0], spec)


@pytest.mark.long
@pytest.mark.parametrize("spec", GRID)
def test_more_random_traces(spec):
    for rows, mode in islice(traces_of(spec), 2, None):
        agree(rows, mode, spec)


def any_code(rng: random.Random) -> str:
    return f"code={rng.choice(['page', 'block', 'check', 'free'])},check_after={rng.choice([0, 1, 2, 255])}"


def any_direct(rng: random.Random) -> str:
    """A spec of fastmem whose parameters go together."""
    patch, code = rng.choice(["never", "device", "memory", "code", "always"]), any_code(rng)
    how, remember = rng.choice([("site", 1), ("site", 0), ("block", 1)])
    if patch in ("code", "always"):
        code = "code=block"
    pages = f"map={rng.choice(['fault', 'known', 'accessed'])},flush={rng.choice(['drop', 'diff'])}"
    return f"fastmem,patch={patch},how={how},remember={remember},{code},{pages},dirty={rng.choice(['track', 'none'])}"


def any_spec(rng: random.Random) -> str:
    scheme = rng.choice(SCHEMES)
    if scheme == "fastmem":
        return any_direct(rng)
    if scheme == "views":
        most = f"views={rng.choice([1, 2, 3, 32])},drop_maps={rng.choice([0, 1, 2, 5])}"
        return f"views,{most},kernel={rng.choice(['direct', 'softmmu'])}"
    if scheme == "softmmu":
        return f"softmmu,tlb_bits={rng.randrange(17)}"
    if scheme == "softmmu-qemu10":
        least, first, most = sorted(rng.randrange(1, 13) for _ in range(3))
        window = rng.choice([0, 10, 1000, 20_000, 80_000_000])
        return f"{scheme},window_insns={window},min_bits={least},first_bits={first},max_bits={most}"
    if scheme == "byte-lookup":
        return f"byte-lookup,entries={rng.choice([1, 2, 3, 7, 50, 254, 255])},{any_code(rng)}"
    if scheme == "qemu-fast":
        offset = rng.choice([0, 0, 0, 0x1000, 0x30000000, 0x90000000])
        limit = rng.randrange(1, (1 << 20) + 1) << 12
        return f"qemu-fast,guest_limit={limit:#x},kernel_offset={offset:#x},{any_code(rng)}"
    if scheme != "map-block":
        return rng.choice(schemes.FILES[scheme].TIGHT)
    bits, pages, evict = rng.randrange(12, 23), 1 << rng.randrange(6), rng.choice(["fifo", "lifo", "random"])
    pool = rng.choice([f"pool_blocks={rng.choice([1, 2, 3, 5, 64])}", f"pool_mib={rng.choice([5, 9, 64])}"])
    return f"map-block,map_block_bits={bits},map_pages={pages},evict={evict},{pool},{any_code(rng)}"


@pytest.mark.long
@pytest.mark.parametrize("part", range(8))
def test_random_parameters(part):
    rng, served = random.Random(part), 0
    for seed in range(60):
        mode, pages = rng.choice(["user", "system"]), rng.sample(PAGES_COLLIDING, 5)
        rows = random_trace(part * 1000 + seed, rng.choice([100, 400, 1500]), mode, pages)
        served += agree(rows, mode, any_spec(rng), batch=rng.choice([1 << 20, 97]))
    assert served > 48


def every_size(seed: int) -> list:
    """Loads and stores of 1 to 64 bytes around the ends of pages and blocks, and over the end of memory."""
    rng = random.Random(seed)
    ends = [0x10000, 0x11000, 0x400000, 0x90000000, 0xA8000000, 0x1_0000_0000]
    rows = [exec_(rng.choice(ends) - 0x800 & 0xFFFFFFFF)]
    for size in rng.sample(range(1, 65), 64):
        for op in (load, store, load):
            rows.append(op(rng.choice(ends) - rng.randrange(0, 80) & 0xFFFFFFFF, size))
            if rng.random() < 0.1:
                rows.append(exec_(rows[-1][1] & 0xFFFFF000, rng.choice([16, 4096])))
    return rows


@pytest.mark.parametrize("spec", [*SCHEMES, "byte-lookup,entries=1", "map-block,pool_blocks=1,map_block_bits=12"])
def test_every_size_from_1_to_64(spec):
    for seed in range(4):
        assert outcome(every_size(seed), "user", spec).equal


@pytest.mark.long
@pytest.mark.parametrize(
    "spec",
    [
        "softmmu",
        "byte-lookup",
        "map-block",
        "map-block,map_pages=8,pool_blocks=2",
        "qemu-fast,guest_limit=0x60000000",
        "softmmu-qemu10,window_insns=500",
    ],
)
@pytest.mark.parametrize("batch", [1, 2, 37])
def test_batches_of_any_length(spec, batch):
    """A spell of qemu-fast goes on over the end of a batch, and a map-block page is known from the next row on."""
    for mode in ("user", "system"):
        agree(random_trace(batch, 700, mode), mode, spec, batch=batch)


def test_translated_code_keeps_to_the_tables_of_its_mode():
    """Blocks without accesses lie between accesses of the kernel and of the user: fuzzing has not met it."""
    kernel, user = 0, 2
    blocks = [exec_(0x5000 + 0x100 * i, flags=user * (i == 2)) for i in range(3)]
    rows = [map_(0x1000, 1), map_(0x5000, 5), *blocks]
    for _ in range(3):
        rows += [
            blocks[0],
            load(0x1000, flags=kernel),
            blocks[1],
            blocks[2],
            load(0x1000, flags=user),
            flush_page(0x1000),
        ]
        rows += [map_(0x1000, 1)]
    assert timed_apart(rows, "system", "softmmu") == ""
    assert timed_apart(rows, "system", "softmmu-qemu10") == ""


NUMBERS = [0, 1, 0xFFFFF, 0x100000, 0x100001, 0xFFFFFF, 0x1000000, 0xFFFFFFFE, 0xFFFFFFFF]


@pytest.mark.parametrize("spec", SCHEMES)
def test_physical_pages_of_32_bits(spec):
    """ROM lies above 4 GiB in recordings, a guest with PAE has RAM there; neighbours are one mapping of the host."""
    rows = [map_(0x1000 * (0x40 + i), number) for i, number in enumerate(NUMBERS)]
    for i in range(len(NUMBERS)):
        rows += [store(0x40FF8 + 0x1000 * i, 8), load(0x40FF8 + 0x1000 * i, 4), exec_(0x40000 + 0x1000 * i)]
    rows += [store(0x40FFC + 0x1000 * i, 8) for i in range(len(NUMBERS) - 1)]
    rows += [map_(0x90000, 0xFFFFFFFF), load(0x90FF0), store(0x90FF0), load(0x48FF0), flush_page(0x90000)]
    assert outcome(rows, "system", spec).equal


@pytest.mark.parametrize("spec", SCHEMES)
def test_an_empty_trace_and_one_without_accesses(spec):
    assert outcome([], "user", spec).equal
    assert outcome([exec_(0x1000), flush(), flush_page(0x1000), exec_(0x1000)], "user", spec).equal


@pytest.mark.parametrize("spec", SCHEMES)
def test_pages_that_turn_into_devices_and_back(spec):
    rows = [flush()]
    for i in range(20):
        rows += [map_(0x5000, 0x77 + (i & 1)), map_(0x6000, 0x78), store(0x5FFC, 8), exec_(0x6000), load(0x5FFF, 2)]
        rows += [flush_page(0x5000), io_load(0x5FFE, 4), io_store(0x5000, 1), io_load(0x5FC1, 64), io_store(0x5FF0, 13)]
        rows += [load(0x6000, 10), store(0x6FFE, 2), exec_(0x6000)]
    found = outcome(rows, "system", spec)
    assert found.equal
    helped = {
        "softmmu": "slow_io",
        "softmmu-qemu10": "slow_io",
        "page-table": "slow_io",
        "qemu-fast": "softmmu_accesses",
        "fastmem": "softmmu_accesses",
    }
    counted = helped.get(spec, "faults_io")
    assert found.live[counted] >= 80


def test_two_pages_at_one_place_stop_the_engine_as_they_stop_the_model():
    """A load that the other page's mapping serves cannot be seen by any handler; the model stops there too."""
    rows = [load(0x60000000), store(0x90000000)]
    with pytest.raises(SchemeStopped, match="come to lie at one host page"):
        outcome(rows, "user", "qemu-fast,kernel_offset=0x30000000")
    with (
        Engine(parse_spec("qemu-fast,kernel_offset=0x30000000"), "user") as engine,
        pytest.raises(EngineFailed, match="page 0x90000 and page 0x60000 come to lie at one host page") as failed,
    ):
        engine.feed(columns_of(rows))
    assert failed.value.row == 1


def test_what_is_compared_is_what_happened():
    """Not everything agrees because nothing is counted: a trace of which each figure is known."""
    rows = [load(0x10000), store(0x10000), load(0x20FFE), exec_(0x10000), store(0x10000), load(0x10000, 64)]
    found = outcome(rows, "user", "map-block,map_block_bits=12,pool_blocks=2")
    counts = {"faults_block": 2, "faults_unmapped": 1, "faults_write": 1, "faults_code": 1, "evictions": 0}
    assert {name: found.live[name] for name in counts} == counts
    assert (found.signals, found.checked_loads, found.checked_stores) == (5, 3, 2)
    assert found.system_calls == found.live["mmap_calls"] + found.live["mprotect_calls"] + found.live["munmap_calls"]


def verified(path, specs=()) -> None:
    """Of these schemes, or of all that are run where none is named."""
    with open_trace(path) as trace:
        for strategy in [*map(parse_spec, specs)] or default_strategies(trace.mode, trace.address_bits):
            try:
                found = verify_one(trace, strategy, str(path))
            except SchemeStopped:
                assert strategy.name == "qemu-fast"
                continue
            assert found.equal, found.parting
            assert found.rows == trace.rows
            assert timed_trace_apart(trace, strategy, most=2) == ""  # two million rows


@pytest.mark.parametrize("name", SMALL)
def test_small_recordings(name):
    verified(TRACES / f"{name}.arrow")


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_recording(path):
    verified(path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["tcc64", "linux64_patching"])
def test_every_design_on_guests_of_64_bits(name, tmp_path):
    """A piece of each: above a direct map's limit every access of a kernel faults."""
    slice_trace(TRACES / f"{name}.arrow", 0, 200_000, str(tmp_path / "slice.arrow"))
    verified(tmp_path / "slice.arrow", [*dict.fromkeys(one.spec for one in DESIGNS), "map-block,map_block_bits=40"])


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("known")
    assert record_guest("-o", "known.arrow", image=guest("known", N), cwd=folder).code == 33
    return folder / "known.arrow"


@pytest.mark.parametrize("spec", KNOWN_SPECS)
def test_the_guest_of_known_counts(known, spec):
    """The engine against what follows from the guest's source, without any model."""
    with open_trace(known) as trace:
        found = verify_one(trace, parse_spec(spec), "known")
    assert found.equal, found.parting
    counts = {name: count for name, count in known_counts(spec, N).items() if name in found.live}
    assert {name: found.live[name] for name in counts} == counts
    assert len(counts) >= 3


def test_the_grid_has_every_parameter():
    """A parameter that is added must come to be tried."""
    strategies = [parse_spec(spec) for spec in GRID]
    for scheme in SCHEMES:
        mine = [strategy for strategy in strategies if strategy.name == scheme]
        for name in set(mine[0].params()) - {"pointer_bytes"}:  # the engine's tables are of a 64-bit host
            assert any(getattr(a, name) != getattr(b, name) for a, b in pairwise(mine)), f"{scheme} {name}"
    with pytest.raises(UsageError):
        parse_spec("map-block,pool_mib=1,map_block_bits=22")
