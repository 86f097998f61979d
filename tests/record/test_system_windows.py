"""The bundled windows of a Linux boot: valid, as rich in what only whole guests have as they were chosen for, and the
kernels agree with the oracle on slices of them."""

import pytest
from kit.places import TRACES
from kit.recordings import tuples
from kit.replays import differences
from truth.oracle import run
from truth.schemes import NAMES

from mmuexp.guest import Columns, FlushReason, Op
from mmuexp.replay.survey import Survey
from mmuexp.trace import open_trace
from mmuexp.trace.rewrite import slice_trace
from mmuexp.trace.verify import OK, verify

WINDOWS = ["linux_firmware", "linux_early", "linux_patching", "linux_user"]
SLICES = [("linux_firmware", 1_500_000), ("linux_early", 0), ("linux_patching", 2_000_000), ("linux_user", 2_500_000)]
SPECS = [
    *NAMES,
    "map-block,map_block_bits=13,pool_blocks=8",
    "qemu-fast,kernel_offset=0x30000000",
    "qemu-fast,guest_limit=0x100000000",
]
ROWS = 150_000


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_is_valid(name):
    assert [check for check in verify(TRACES / f"{name}.arrow") if check.state != OK] == []


def shape(name: str) -> dict[str, int]:
    trace = open_trace(TRACES / f"{name}.arrow")
    survey = Survey(trace.mode, trace.path)
    for columns in trace.batches():
        survey.feed(Columns(*columns))
    return survey.counts()


def flushes_by_devices(name: str) -> int:
    """FLUSH rows of which no control register is the reason."""
    columns = [Columns(*batch) for batch in open_trace(TRACES / f"{name}.arrow").batches()]
    return sum(int(((c.op == Op.FLUSH) & (c.size == FlushReason.OTHER)).sum()) for c in columns)


def test_each_window_holds_what_it_was_chosen_for():
    firmware, patching, user = shape("linux_firmware"), shape("linux_patching"), shape("linux_user")
    assert firmware["io_accesses"] > 10_000  # video memory
    assert flushes_by_devices("linux_firmware") == 16  # ROM or RAM is shown below 1 MiB, system management mode
    assert patching["flushes"] > 5_000  # an address space of its own for each patched instruction
    assert user["mode_switches"] > 500
    assert user["flushes"] > 20


@pytest.mark.parametrize(
    ("name", "start"),
    [pytest.param(*one, marks=[] if one[0] == "linux_user" else [pytest.mark.long]) for one in SLICES],
)
def test_kernels_agree_with_the_oracle(tmp_path, name, start):
    slice_trace(TRACES / f"{name}.arrow", start, start + ROWS, str(tmp_path / "slice.arrow"))
    rows = tuples(tmp_path / "slice.arrow")
    assert len(rows) >= ROWS
    for spec in SPECS:
        assert not differences(rows, spec, "system", run(rows, spec, "system")), spec
