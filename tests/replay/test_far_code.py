"""far_accesses and cold_accesses: accesses of code that did not run lately, or for long. By hand, against the oracle,
and cut into parts."""

import random

import pytest
from kit.replays import run
from kit.traces import Row, columns_of, exec_, flush, io_load, load, map_, note, random_trace
from truth.oracle.far import Executions

from mmuexp.analysis.compare import compare, sweep
from mmuexp.replay.farcode import GENERATION, LONG_GENERATION
from mmuexp.result.table import COLD, FAR, rows_of
from mmuexp.trace import TraceWriter

A, B, C, D = (0x1000 * number for number in range(1, 5))


def block(address: int, accesses: int) -> list[Row]:
    return [exec_(address, 16, 4), *[load(0x8000)] * accesses]


def blocks(*executed: tuple[int, int]) -> list[Row]:
    return [row for one in executed for row in block(*one)]


def far(rows: list[Row], mode: str = "user", chunk: int = 1 << 20) -> int | None:
    return run(rows, "softmmu", mode, chunk=chunk)[FAR]


@pytest.mark.parametrize(
    ("rows", "accesses"),
    [
        ([load(0x8000)] * 3, None),  # nobody says which code
        ([], 0),
        ([exec_(A)], 0),
        (blocks((A, 5)), 5),  # the first execution is far
        (blocks((A, 5), (A, 7)), 5),
        ([load(0x8000), load(0x8000), *block(A, 3)], 3),  # of a block that nobody knows
        (blocks((A, 100), (B, 27), (A, 100), (C, 1), (A, 9)), 128),  # C ends the generation, A was executed in it
        (blocks((A, 100), (B, 28), (C, 200), (A, 100)), 100 + 28 + 200 + 100),  # two generations ended: A is far
        (blocks((A, 100), (B, 28), (C, 127), (A, 4)), 255),  # but one ended: A is near
        (blocks((A, 128), (A, 128), (A, 128), (A, 128)), 128),  # each ends a generation
        (blocks((A, 128), (B, 128), (A, 128), (B, 128)), 512),  # each ends a generation: two end between
        (blocks((A, 128), (B, 128), (C, 128), (A, 128)), 512),
        (blocks((A, 128), (B, 1), (A, 127), (C, 128), (B, 1), (D, 128), (A, 1)), 128 + 1 + 128 + 1 + 128 + 1),
        (blocks((A, 128), (B, 0), (C, 128), (D, 128), (B, 3), (A, 0), (A, 2)), 128 * 3 + 3 + 2),  # B, 0 is left out
        ([*block(A, 2), flush(), note(), load(0x8000), *block(A, 1)], 3),  # neither ends an execution
    ],
)
def test_by_hand(rows, accesses):
    assert GENERATION == 128
    assert far(rows) == accesses
    assert far(rows, chunk=1) == accesses


def cold(rows: list[Row], mode: str = "user", chunk: int = 1 << 20) -> int | None:
    return run(rows, "softmmu", mode, chunk=chunk)[COLD]


E, F = (A, 128), [(0x10000 * number, 128) for number in range(1, 16)]  # each is a generation


@pytest.mark.parametrize(
    ("rows", "accesses"),
    [
        ([load(0x8000)] * 3, None),
        ([], 0),
        (blocks((A, 5), (A, 7)), 5),  # the first execution is cold
        ([load(0x8000), *block(A, 3)], 3),
        (blocks(E, *F[:6], E), 128 * 7),  # 7 generations are no long one: A is far, and not cold
        (blocks(E, *F[:7], E), 128 * 8),  # F's seventh ends it: A was executed in the one before
        (blocks(E, *F[:14], E), 128 * 15),  # one access less, and the second long one would not have ended
        (blocks(E, *F[:15], E), 128 * 17),  # two long ones ended: A is cold
        (blocks(*F[:7], (A, 127), (B, 1), *F[7:14], (A, 1)), 128 * 15),  # A is of the first long one's last generation
        (blocks(*F[:7], (A, 127), (B, 1), *F[7:15], (A, 1)), 128 * 16 + 1),
        (blocks(E, *F[:6] * 6, *F[6:14], E), 128 * 15),  # what runs again in a long one adds nothing to it
        (blocks(E, *[(B, 128), (C, 128)] * 40, (A, 9)), 128 * 3),  # a loop of two blocks never ends one, however often
        (blocks((A, 2000), (B, 2000), (A, 5)), 4005),  # each ends one: two ended between
        (blocks((A, 2000), (B, 5), (A, 5)), 2005),
        (blocks((A, 2000), (B, 2000), (C, 2000), (A, 5)), 6005),
        (blocks((A, 2000), (B, 0), (C, 2000), (D, 2000), (B, 3), (A, 0), (A, 2)), 6005),  # B, 0 is left out
    ],
)
def test_cold_by_hand(rows, accesses):
    assert LONG_GENERATION == 1024
    assert cold(rows) == accesses
    assert cold(rows, chunk=7) == accesses


def test_device_memory_is_no_ram():
    rows = [map_(A, 1), map_(0x8000, 2), exec_(A, 16, 4), io_load(0x9000), load(0x8000), io_load(0x9000)]
    assert far(rows, "system") == 1
    assert far([*rows, exec_(A + 8, 4, 1), io_load(0x9000)], "system") == 1


@pytest.mark.parametrize(("loop", "is_far"), [(64, False), (128, False), (256, True), (512, True)])
@pytest.mark.parametrize("accesses", [1, 4, 16])
def test_a_loop_is_near_or_far_as_a_whole(loop, is_far, accesses):
    once = blocks(*[(A + 16 * number, accesses) for number in range(loop // accesses)])
    assert far(once * 5) == loop * (5 if is_far else 1)


@pytest.mark.parametrize("seed", range(20))
def test_any_program_counts_as_the_oracle(seed):
    """Some blocks that run often, others that seldom do, in every length; addresses that meet in one place, too."""
    rng = random.Random(seed)
    apart = rng.choice([1, 4, 64, 4096, 1 << 21])
    addresses = [0x10000 + apart * number & 0xFFFFFFFF for number in range(rng.choice([3, 40, 900]))]
    rows: list[Row] = []
    while len(rows) < 6000:
        some = rng.sample(addresses, min(len(addresses), rng.randrange(1, 60)))
        for _ in range(rng.randrange(1, 4)):
            rows += blocks(*[(address, rng.choice([0, 1, 1, 2, 3, 9, 70])) for address in some])
    told = Executions()
    for op, vaddr, _, _, flags, _ in rows:
        told.row(op, vaddr, flags)
    expected = told.far(), told.cold()
    assert (far(rows), cold(rows)) == expected
    chunk = rng.randrange(1, 200)
    assert (far(rows, chunk=chunk), cold(rows, chunk=chunk)) == expected


def written(path, rows: list[Row], mode: str = "user") -> str:
    with TraceWriter(str(path), mode=mode, metadata={}) as writer:
        writer.append(columns_of(rows))
    return str(path)


def test_parts_of_a_trace_add_up(tmp_path):
    """A warm-up and windows cut the count, and not what lies near; it is the same under every scheme."""
    rows = random_trace(5, 4000, "user")
    path = written(tmp_path / "t.arrow", rows)
    whole = rows_of(compare(path, ["softmmu", "map-block"]).frame)
    assert {(row[FAR], row[COLD]) for row in whole} == {(far(rows), cold(rows))}
    begin = rows_of(compare(written(tmp_path / "b.arrow", rows[:1500]), ["softmmu"]).frame)[0][FAR]
    (rest,) = rows_of(compare(path, ["softmmu"], warmup=1500).frame)
    assert rest[FAR] == whole[0][FAR] - begin
    windows = rows_of(compare(path, ["softmmu"], every=7).frame)
    assert sum(row[FAR] for row in windows) == whole[0][FAR]


def test_a_program_loaded_elsewhere_has_its_near_code_there(tmp_path):
    path = written(tmp_path / "t.arrow", [*blocks((A, 128), (B, 1), (0x40000000, 90), (A, 127), (C, 128), (B, 1))])
    swept = rows_of(sweep("load_seed=0,1,2", path, strategy="softmmu").frame)
    assert [row[FAR] for row in swept] == [128 + 1 + 90 + 128 + 1] * 3


def test_an_import_without_code_leaves_the_cell_empty(cli, tmp_path):
    path = written(tmp_path / "t.arrow", [load(0x8000)] * 9)
    header, line = cli("compare", path, "-s", "softmmu", "--format", "csv").out.splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))[FAR] == ""
    later = written(tmp_path / "l.arrow", [*[load(0x8000)] * 6, *block(A, 2)])
    assert [row[FAR] for row in rows_of(compare(later, ["softmmu"], every=3).frame)] == [None, None, 2]
