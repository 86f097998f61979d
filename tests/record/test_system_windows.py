"""The bundled windows of a Linux boot: valid, as rich in what only whole guests have as they were chosen for, and the
kernels agree with the oracle on slices of them."""

import pytest
from kit.places import TRACES
from kit.recordings import tuples
from kit.replays import differences
from kit.traces import columns_of
from truth.oracle import run
from truth.schemes import NAMES

from mmuexp.guest import ADDRESS_BITS, Columns, FlushReason, Op
from mmuexp.replay.survey import Survey
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import OK, verify

WINDOWS = [path.stem for path in sorted(TRACES.glob("linux*.arrow"))]
SLICES = [("linux_firmware", 1_500_000), ("linux_early", 0), ("linux_patching", 2_000_000), ("linux_user", 2_500_000)]
SLICES += [("linux_spaces", 1_000_000), ("linux64_early", 0), ("linux64_patching", 0), ("linux64_user", 1_000_000)]
SPECS = [
    *NAMES,
    "map-block,map_block_bits=13,pool_blocks=8",
    "qemu-fast,kernel_offset=0x30000000",
    "qemu-fast,guest_limit=0x100000000",
]
ROWS = 100_000


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_is_valid(name):
    assert [check for check in verify(TRACES / f"{name}.arrow") if check.state != OK] == []


def shape(name: str) -> dict[str, int]:
    trace = open_trace(TRACES / f"{name}.arrow")
    survey = Survey(trace.mode, trace.path)
    for columns in trace.batches():
        survey.feed(Columns(*columns))
    return survey.counts()


def flushed(name: str, reason: FlushReason) -> list[int]:
    """The values in the FLUSH rows of that reason."""
    columns = [Columns(*batch) for batch in open_trace(TRACES / f"{name}.arrow").batches()]
    return [value for c in columns for value in c.vaddr[(c.op == Op.FLUSH) & (c.size == reason)].tolist()]


def test_each_window_holds_what_it_was_chosen_for():
    firmware, patching, user = shape("linux_firmware"), shape("linux_patching"), shape("linux_user")
    assert firmware["io_accesses"] > 10_000  # video memory
    assert (
        len(flushed("linux_firmware", FlushReason.OTHER)) == 16
    )  # ROM or RAM is shown below 1 MiB, system management mode
    assert patching["flushes"] > 5_000  # an address space of its own for each patched instruction
    assert user["mode_switches"] > 500
    assert user["flushes"] > 20


@pytest.mark.parametrize(
    ("name", "writes", "values"), [("linux_spaces", 90, 14), ("linux64_patching", 4105, 2), ("linux64_user", 15, 7)]
)
def test_windows_by_a_newer_qemu_tell_the_address_space(name, writes, values):
    found = flushed(name, FlushReason.CR3)
    assert (len(found), len(set(found))) == (writes, values)
    assert 0 not in found


def test_a_kernel_of_64_bits_makes_its_page_tables_in_the_upper_half():
    assert open_trace(TRACES / "linux64_early.arrow").address_bits == 64
    early = shape("linux64_early")
    assert early["page_flushes"] == 37_619
    assert early["loads"] + early["stores"] == 1_856_546


@pytest.mark.parametrize(
    ("name", "start"),
    [pytest.param(*one, marks=[] if one[0] == "linux_user" else [pytest.mark.long]) for one in SLICES],
)
def test_kernels_agree_with_the_oracle(tmp_path, name, start):
    wanted = ROWS // 4 if name == "linux_user" else ROWS
    slice_trace(TRACES / f"{name}.arrow", start, start + wanted, str(tmp_path / "slice.arrow"))
    rows = tuples(tmp_path / "slice.arrow")
    assert len(rows) >= wanted
    bits = open_trace(tmp_path / "slice.arrow").address_bits
    for spec in SPECS:
        if bits == ADDRESS_BITS or not parse_spec(spec).only_32_bits():
            expected = run(rows, spec, "system", bits)
            assert not differences(columns_of(rows, bits), spec, "system", expected), spec
