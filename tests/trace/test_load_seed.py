"""`sweep LOAD_SEED`: each seed's row is what the moved recording gives by itself."""

import pytest
from kit.cli import one_line
from kit.traces import columns_of, load, map_, random_trace, store, write
from truth.schemes import NAMES

from mmuexp import compare, sweep
from mmuexp.errors import TraceError, UsageError
from mmuexp.result.saved import load as load_result
from mmuexp.result.table import HALF, rows_of
from mmuexp.trace.loadseed import checked_seeds, seeds_of
from mmuexp.trace.rewrite import relocate_file


@pytest.fixture
def program(tmp_path):
    """Two hot pages of one TLB set, 0x100 pages apart, and what else a program does."""
    copy = [row for at in range(0, 400, 4) for row in (load(0x8001000 + at), store(0x8301000 + at))]
    rest = [row for row in random_trace(seed=2, n=3_000, mode="user") if 0x8000 <= row[1] >> 12 < 0x8100]
    return write(tmp_path / "program.arrow", columns_of(copy + rest))


@pytest.mark.parametrize("spec", [*NAMES, "map-block,pool_blocks=3"])
def test_a_seed_is_the_moved_recording(program, tmp_path, spec):
    rows = rows_of(sweep("load_seed=0,1,7", program, strategy=spec))
    assert [row.pop("load_seed") for row in rows] == [0, 1, 7]
    assert {row[name] for row in rows for name in HALF} == {None}
    for seed, row in zip((0, 1, 7), rows, strict=True):
        moved = str(tmp_path / f"{seed}.arrow")
        relocate_file(program, moved, seed)
        (alone,) = rows_of(compare(moved, spec))
        half = {name: alone[name] for name in HALF}  # which a sweep of load addresses leaves out
        assert row | {"trace": moved} | half == alone


def test_addresses_decide_what_a_direct_mapped_tlb_misses(program):
    """As recorded the two pages meet: 200 accesses, 200 fills. Elsewhere they do not."""
    first, *others = sweep("load_seed=0..4", program, strategy="softmmu")["tlb_fills"].tolist()
    assert {first - other > 190 for other in others} == {True}


def test_with_other_parameters_and_a_reference(program):
    frame = sweep(["load_seed=1,2", "map_block_bits=12,16"], program, strategy="map-block,evict=lifo,pool_blocks=64",
                  reference="softmmu")  # fmt: skip
    got = [(row["load_seed"], row["strategy"].partition(",")[0], row["map_block_bits"]) for row in rows_of(frame)]
    assert got == [(n, *of) for n in (1, 2) for of in (("softmmu", None), ("map-block", 12), ("map-block", 16))]
    told = frame.attrs["manifest"]
    assert told["parameters"] == ["load_seed", "map_block_bits"]
    assert len(told["traces"]) == 1
    assert {(v["load_seed"], v["scheme"]) for v in told["verdicts"]} == {
        (row["load_seed"], row["strategy"]) for row in rows_of(frame)
    }


def test_the_command(cli, program, tmp_path):
    path = tmp_path / "seeds.json"
    done = cli("sweep", "LOAD_SEED=0..2", "-s", "softmmu", "--trace", program, "-o", path, "-o", "-")
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.split("\n\n")[1].splitlines() if line.startswith("softmmu ")]
    assert [line[:2] for line in lines] == [["softmmu", str(seed)] for seed in range(3)]
    assert "softmmu,load_seed=2" in done.out
    saved = load_result(str(path))
    assert saved.parameters == ("load_seed",)
    assert saved.frame["load_seed"].tolist() == [0, 1, 2]
    done = cli(
        "sweep", "load_seed", "-s", "softmmu", "--trace", program, "--fail-if", "load_seed>14", "--format", "csv"
    )
    assert done.code == 3  # 0..15 without a range
    assert len(done.out.splitlines()) == 17


def test_progress_is_of_all_seeds(program):
    told = []
    sweep("load_seed=0..2", program, strategy="softmmu", progress=lambda name, done, rows: told.append((done, rows)))
    assert told == sorted(told)
    assert {rows for _, rows in told} == {told[-1][0]}


@pytest.mark.parametrize(
    ("params", "strategy", "said"),
    [
        ("load_seed=1", None, "any strategy"),
        ("load_seed=a", "softmmu", "no whole numbers"),
        ({"load_seed": [-1]}, "softmmu", "not a seed"),
        ({"load_seed": []}, "softmmu", "no seed is named"),
        (["load_seed=0..511", "tlb_bits=1..3"], "softmmu", "1536 combinations"),
        (["load_seed=1", "load_seed=2"], "softmmu", "given twice"),
    ],
)
def test_wrong_usage_is_told(program, params, strategy, said):
    with pytest.raises(UsageError, match=said):
        sweep(params, program, strategy=strategy)


def test_seeds_are_whole_numbers():
    assert seeds_of(["0", "0x10", "16", "3"]) == [0, 16, 3]
    for wrong in ([], [True], [1 << 32], ["1"], list(range(1025))):
        with pytest.raises(UsageError):
            checked_seeds(wrong)


def test_a_whole_guest_stays_where_it_is(cli, tmp_path):
    path = write(tmp_path / "system.arrow", columns_of([map_(0x1000, 0x101), load(0x1000)]), mode="system")
    assert cli("sweep", "load_seed=0", "-s", "softmmu", "--trace", path).code == 0
    done = cli("sweep", "load_seed=0,1", "-s", "softmmu", "--trace", path)
    assert done.code == 1
    assert "whole guest" in one_line(done.err)
    with pytest.raises(TraceError):
        sweep("load_seed=1", path, strategy="softmmu")
