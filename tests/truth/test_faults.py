"""Every host fault of a run: which row, which address, why. By hand, by the oracle, and as compare counts them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.places import HONEST_FILE, TRACES
from kit.traces import (
    WIDE_PAGES_APART,
    any_traces,
    columns_of,
    exec_,
    flush,
    io_load,
    io_store,
    load,
    map_,
    random_trace,
    slice_of,
    store,
)

import mmuexp
from mmuexp.analysis.faults import Sums, fault_batches
from mmuexp.contract.rules import faults_are_logged
from mmuexp.emulator.faults import FAULT
from mmuexp.errors import MmuexpError, UsageError
from mmuexp.guest import Columns, bits_of
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy.registry import parse_spec, strategies_of_file
from mmuexp.trace import open_trace
from truth.oracle import faults as oracle_faults
from truth.schemes import EMPTY, NAMES, SPECS, TIGHT


def logged(rows, strategy, mode: str, *, log: int = 1 << 16, chunk: int = 1 << 20, filtered=True) -> np.ndarray:
    columns = rows if isinstance(rows, Columns) else columns_of(rows)
    strategy = parse_spec(strategy) if isinstance(strategy, str) else strategy
    survey, bits = Survey(mode, "rows"), bits_of(columns.vaddr)
    replay = Replay(strategy, mode, filtered=filtered, log=log, address_bits=bits)
    found = [replay.faults()]
    for at in range(0, len(columns.op), chunk):
        part = Columns(*(c[at : at + chunk] for c in columns))
        replay.feed(survey.feed(part))
        found.append(replay.faults())
    replay.check_log()
    return np.concatenate(found)


def named(records: np.ndarray, spec: str) -> list[tuple[int, int, str]]:
    column_of = parse_spec(spec).column_of
    return [(row, vaddr, column_of(cause)) for row, vaddr, cause in records.tolist()]


FILES = sorted(TRACES.glob("*.arrow"))
FAULTING = [name for name in NAMES if "host_calls" not in EMPTY[name]]
CROSSING = [load(0x1FFE), store(0x1FFE), store(0x1FFE), exec_(0x1000), store(0x1FFC, 8), load(0xFFFFFFFE)]
LAST = 0xFFFFFFFE
SYSTEM = [map_(0x10000, 5), map_(0x20000, 6), load(0x10008, 4), io_load(0xB8000), io_store(0xB8FFE, 4), load(0x20004)]
SYSTEM += [exec_(0x10000), load(0x20004), flush(), map_(0x10000, 5), store(0x10010)]


@pytest.mark.parametrize(
    ("spec", "mode", "rows", "expected"),
    [
        # both pages of a crossing fault, low one first; then both are clean; a code page below, a data page above
        ("map-block", "user", CROSSING,
         [(0, 0x1FFE, "faults_block"), (0, 0x2000, "faults_unmapped"), (1, 0x1FFE, "faults_write"),
          (1, 0x2000, "faults_write"), (4, 0x1FFC, "faults_code"), (5, LAST, "faults_block"),
          (5, 0, "faults_unmapped")]),
        ("qemu-fast", "user", CROSSING,
         [(0, 0x1FFE, "faults_unmapped"), (0, 0x2000, "faults_unmapped"), (1, 0x1FFE, "faults_write"),
          (1, 0x2000, "faults_write"), (4, 0x1FFC, "faults_code"), (5, LAST, "faults_softmmu")]),
        # every crossing is one fault, at the row's address
        ("byte-lookup", "user", CROSSING,
         [(0, 0x1FFE, "faults_cross"), (1, 0x1FFE, "faults_cross"), (2, 0x1FFE, "faults_cross"),
          (4, 0x1FFC, "faults_cross"), (5, LAST, "faults_cross")]),
        ("softmmu", "user", CROSSING, []),
        # a pool of one block: the second guest block takes it from the first
        ("map-block,pool_blocks=1", "user", [load(0x10010), load(0x20020), load(0x20024), load(0x10010)],
         [(0, 0x10010, "faults_block"), (1, 0x20020, "faults_block"), (3, 0x10010, "faults_block")]),
        # devices: once each, also where the access crosses
        ("map-block", "system", SYSTEM,
         [(2, 0x10008, "faults_block"), (3, 0xB8000, "faults_io"), (4, 0xB8FFE, "faults_io"),
          (5, 0x20004, "faults_block"), (10, 0x10010, "faults_block")]),
        # the device begins a spell: what follows faults no more until the next block
        ("qemu-fast", "system", SYSTEM,
         [(2, 0x10008, "faults_unmapped"), (3, 0xB8000, "faults_softmmu"), (7, 0x20004, "faults_unmapped"),
          (10, 0x10010, "faults_unmapped")]),
    ],
)  # fmt: skip
def test_by_hand(spec, mode, rows, expected):
    for filtered in (True, False):
        assert named(logged(rows, spec, mode, filtered=filtered), spec) == expected
    assert oracle_faults.faults(rows, spec, mode) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(trace=any_traces(), spec=st.sampled_from(SPECS), log=st.sampled_from([1, 2, 3, 100]), filtered=st.booleans())
def test_kernels_and_oracle_list_the_same(trace, spec, log, filtered):
    mode, rows = trace
    expected = oracle_faults.faults(rows, spec, mode)
    assert named(logged(rows, spec, mode, log=log, filtered=filtered), spec) == expected


@pytest.mark.parametrize("spec", ["map-block,map_block_bits=40,pool_blocks=3", "byte-lookup,entries=3", "qemu-fast"])
def test_they_do_for_a_guest_of_64_bits(spec):
    rows = random_trace(9, 600, "system", WIDE_PAGES_APART, trace_bits=64)
    assert named(logged(columns_of(rows, 64), spec, "system"), spec) == oracle_faults.faults(rows, spec, "system", 64)


@pytest.mark.long
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("mode", ["user", "system"])
def test_the_size_of_the_log_and_of_batches_does_not_matter(spec, mode):
    rows = random_trace(seed=100 + SPECS.index(spec), n=1000, mode=mode)
    columns = columns_of(rows)
    whole = logged(columns, spec, mode)
    assert whole.dtype == FAULT
    assert named(whole, spec) == oracle_faults.faults(rows, spec, mode)
    for log, chunk in ((1, 1 << 20), (2, 497), (17, 31)):
        assert np.array_equal(logged(columns, spec, mode, log=log, chunk=chunk), whole)
    few = Columns(*(column[:150] for column in columns))
    assert np.array_equal(logged(few, spec, mode, log=17, chunk=1), logged(few, spec, mode))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_recordings_begin_as_the_oracle_says(path):
    columns, mode = slice_of(path, 0, 1_000)
    rows = list(
        zip(*(getattr(columns, c).tolist() for c in ("op", "vaddr", "size", "insns", "flags", "page")), strict=True)
    )
    bits = bits_of(columns.vaddr)
    for spec in (*FAULTING, *TIGHT):
        told = named(logged(columns, spec, mode, log=7, chunk=907), spec)
        assert told == oracle_faults.faults(rows, spec, mode, bits)


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_sums_are_what_compare_counts(path):
    specs = [*FAULTING, "map-block,map_block_bits=14,pool_blocks=3"]
    counted = mmuexp.compare(str(path), specs).set_index("strategy")
    for spec in specs:
        strategy = parse_spec(spec)
        rows = []
        with open_trace(path) as trace:
            sums = Sums(strategy.of_guest(trace.address_bits))
            for records in fault_batches(trace, strategy):
                sums.add(records)
                rows += [records["row"][:1], records["row"][-1:]]
        row = counted.loc[spec]
        assert sums.by_cause() == {c: row[c] for c in row.index if c.startswith("faults_") and not row.isna()[c]}
        assert sums.total == row["faults"]
        assert sums.by_page()[1].sum() == row["faults"]
        blocks = sums.by_block()
        assert (blocks is None) == (strategy.name != "map-block")
        if blocks is not None:
            assert blocks[1].sum(axis=0).tolist() == sums.by_page()[1].sum(axis=0).tolist()
        assert (np.diff(np.concatenate(rows).astype(np.int64)) >= 0).all()  # in the order of the trace
        assert not rows or not len(rows[-1]) or rows[-1][0] < row["rows"]


def test_sums_by_page_and_block_are_those_of_the_list():
    path = next(p for p in FILES if p.stem == "linux_user")
    frame = mmuexp.faults(path, "map-block,map_block_bits=18")
    assert frame.columns.tolist() == ["row", "vaddr", "cause", "block", "page"]
    assert (frame["page"] == frame["vaddr"] // 4096).all()
    assert (frame["block"] == frame["vaddr"] // 2**18).all()
    strategy = parse_spec("map-block,map_block_bits=18")
    sums = Sums(strategy)
    with open_trace(path) as trace:
        for records in fault_batches(trace, strategy, log=100):
            sums.add(records)
    for column, (numbers, counts) in (("page", sums.by_page()), ("block", sums.by_block())):
        assert dict(zip(numbers, counts.sum(axis=1), strict=True)) == frame[column].value_counts().to_dict()
        total = counts.sum(axis=1)
        order = sorted(zip(-total, numbers, strict=True))
        assert order == list(zip(-total, numbers, strict=True))
    assert frame.attrs["manifest"]["faults"] == sums.by_cause()


def test_one_scheme_is_asked_for():
    with pytest.raises(UsageError, match="2 strategies"):
        mmuexp.faults(None, ["map-block", "softmmu"])
    frame = mmuexp.faults(FILES[0], parse_spec("softmmu"))
    assert len(frame) == 0
    assert frame["cause"].dtype == "category"


@pytest.fixture
def silent(tmp_path) -> Path:
    """A scheme that faults, as somebody may write it who does not know the word."""
    text = HONEST_FILE.read_text().replace('name = "honest"', 'name = "silent"')
    text = text.replace("TLB_FILLS", "FAULTS_UNMAPPED").replace("Cost(insn=1", "Cost(signal=1, insn=1")
    path = tmp_path / "silent.py"
    path.write_text(text)
    return path


def test_a_scheme_that_does_not_log_is_told_which_word_to_use(silent, cli, trace, tmp_path, plain_python):
    (cls,) = strategies_of_file(silent)
    with pytest.raises(MmuexpError, match="counts 1 faults_unmapped, and logs 0"):
        logged([load(0x1000)], cls(), "user")
    done = cli("faults", trace, "-s", str(silent), "-o", tmp_path / "f.csv")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "fault(e, n, Event, vaddr) of mmuexp.emulator.faults" in done.err
    assert not list(tmp_path.glob("*f.csv*"))


def test_the_contract_finds_it(silent, plain_python):
    (cls,) = strategies_of_file(silent)
    with pytest.raises(MmuexpError, match=r"counts \d+ faults_unmapped, and logs 0"):
        faults_are_logged(cls())
