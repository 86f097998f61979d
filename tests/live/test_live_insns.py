"""Instructions for each access on the hit path, counted by valgrind's callgrind as they run, are what the model prices.

Counted is the engine that is timed: what it does while the clock runs, less the loop without translation over the same
rows. That is the difference that `compare --live` makes of times, so it must be the listing, and nothing that was added
around it.
"""

import re
from pathlib import Path

import pytest
from kit.recordings import need
from kit.replays import SCHEMES
from kit.traces import Row, columns_of, exec_, load, store
from truth.schemes import EMPTY

from mmuexp.live.process import Engine
from mmuexp.strategy.registry import parse_spec

PAGES = [0x10000, 0x20000, 0x31000]
WARM = [store(page, 8) for page in PAGES]  # every page is mapped, writable, and in the TLB for loads and stores
SHAPES = [(op, size) for op in (load, store) for size in (1, 2, 4, 8)]
# Rows of each shape: whole runs of translated code (64 rows), so that both lengths translate the same runs once.
SHORT, LONG = 2 * 64, 40 * 64
# Of an access, what else may differ: for each run of 64 rows the scheme is asked for what its code finds in a register
# (the tables of the mode, the base), some ten instructions; and the kernel's list of mappings has a line more or less.
ROUNDING = 0.25
FEWER = {"views": "views,views=2"}  # valgrind has no address space for 32


def executed(spec: str | None, fed: list[list[Row]], folder: Path) -> list[int]:
    """Instructions of an engine over each of these pieces of a trace, without what it plans before."""
    need("valgrind", "valgrind")
    out = folder / "callgrind.out"
    options = [
        "--tool=callgrind",
        "--toggle-collect=run_translated",
        "--dump-after=run_translated",
        f"--log-file={folder}/callgrind.log",
        f"--callgrind-out-file={out}",
    ]
    # the handler changes registers at an access; code is written at start
    options += ["--vex-iropt-register-updates=allregs-at-mem-access", "--smc-check=all-non-file"]
    strategy = None if spec is None else parse_spec(FEWER.get(spec, spec))
    with Engine(strategy, "user", checked=False, wrapper=("valgrind", *options)) as engine:
        for rows in (WARM, *fed):
            engine.feed(columns_of(rows))
            faults = 0 if strategy is None or "host_calls" in EMPTY[strategy.name] else len(PAGES)
            assert engine.counts()["signals"] == faults  # the rest is hits
        engine._process.stdin.close()
        assert engine._process.wait(60) == 0
    dumps = sorted(folder.glob(f"{out.name}.*"), key=lambda path: int(path.suffix[1:]))
    totals = [int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)[1]) for dump in dumps]
    assert len(totals) >= 1 + len(fed)
    return totals[-len(fed) :]


def each_access(spec: str | None, folder: Path) -> dict[str, float]:
    """Instructions for an access of each shape; what a run of translated code takes at first is in neither length."""
    fed = []
    for op, size in SHAPES:
        for n in (SHORT, SHORT, LONG):
            fed.append([exec_(0x5000), *(op(PAGES[i % 3] + 64 * (i % 50), size) for i in range(n))])
    totals = iter(executed(spec, fed, folder))
    return {
        f"{op.__name__} {size}": (longer - shorter) / (LONG - SHORT)
        for (op, size), _, shorter, longer in zip(SHAPES, totals, totals, totals, strict=True)
    }


def priced(scheme: str, size: int) -> int:
    """Instructions of a hit, as the model prices them."""
    prices = parse_spec(scheme).price_list()
    wide = prices["wide_units8"].hit if size == 8 and "wide_units8" in prices else 0
    assert prices["units8"].hit == parse_spec(scheme).hit_insns()
    untested = 2 if size == 1 and "test vaddr, size-1" in parse_spec(scheme).fast_path() else 0  # never misaligned
    return int(prices["units8"].hit + wide - untested)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return each_access(None, tmp_path_factory.mktemp("bare"))


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_shape_beside_the_loop_without_translation(scheme, bare, tmp_path):
    found = {shape: insns - bare[shape] for shape, insns in each_access(scheme, tmp_path).items()}
    wanted = {f"{op.__name__} {size}": priced(scheme, size) for op, size in SHAPES}
    assert found == pytest.approx(wanted, abs=ROUNDING)
