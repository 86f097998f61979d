"""Loops of a kernel above qemu-fast's limit: spells that are passed over count what the oracle counts one by one."""

import random

import pytest
from kit.replays import differences
from kit.traces import Row

from truth import oracle
from truth.rows import exec_, flush, flush_page, io_load, load, map_, note, store

KERNEL = 0xC0000  # pages; two of them that are 256 apart share an entry of the TLB
DEVICE = 0xFEE << 12
SPECS = [
    "qemu-fast", "qemu-fast,code=free", "qemu-fast,code=check,check_after=1",
    "qemu-fast,code=block,guest_limit=0x102000", "qemu-fast,kernel_offset=0x30000000",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS[:3])
@pytest.mark.parametrize("loads_first", [0, 1])
def test_a_store_to_code_is_asked_about_each_time(spec, loads_first):
    """100 rounds of three blocks, each a spell; the first one's store overlaps the second, which is translated anew."""
    code = KERNEL << 12
    data = code + 4096
    first = [exec_(code, 16, 3, 0), *[load(data, 4, 0)] * loads_first, store(code + 0x400, 4, 0)]
    others = [exec_(code + 0x400, 16, 3, 0), load(data, 4, 0), exec_(code + 0x800, 16, 3, 0), load(data, 4, 0)]
    rows = [map_(code, 5), map_(data, 6), *[*first, *others] * 100]
    counts = oracle.run(rows, spec, "system")
    assert (counts["faults_softmmu"], counts["softmmu_accesses"]) == (300, 100 * (3 + loads_first))
    assert counts["blocks_dropped"] == 99  # in the first round the second block is not translated yet
    assert not differences(rows, spec, "system", counts)


@pytest.mark.parametrize("blocks", [1, 40, 100])
def test_a_flush_is_forgotten_by_none(blocks):
    """Each block loads a page of its own: one fill a page, and another behind the FLUSH."""
    round_ = [row for i in range(blocks) for row in (exec_(0x1000 + 64 * (i % 60)), load((KERNEL + i) << 12))]
    rows = [*round_ * 5, flush(), *round_ * 5]
    counts = oracle.run(rows, "qemu-fast", "user")
    assert (counts["tlb_fills"], counts["faults_softmmu"]) == (2 * blocks, 10 * blocks)
    assert not differences(rows, "qemu-fast", "user", counts)


def kernel_loops(seed: int, rounds: int = 60) -> tuple[str, list[Row]]:
    """Blocks of a kernel and a program that run again and again, mostly alike: mode and rows."""
    draw = random.Random(seed)
    mode = draw.choice(["system", "system", "user"])
    code = [KERNEL + 64, KERNEL + 65, 0x200]
    pages = [KERNEL + draw.choice([0, 1, 2, 3, 5, 9, 256, 512]) for _ in range(draw.randint(2, 8))]
    pages += [0x100 + draw.randrange(6) for _ in range(3)] + draw.sample(code, draw.randrange(3))
    blocks = []
    for _ in range(draw.choice([2, 5, 20, 60])):
        page = draw.choice(code)
        data = [
            (draw.choice(pages), draw.choice([0, 0, 0, 2, 4, 8]) + 16 * draw.randrange(100), draw.random() < 0.4)
            for _ in range(draw.randint(0, 5))
        ]
        flags = draw.choice([0, 0, 2]) if page > KERNEL and mode == "system" else 2
        blocks.append((page << 12 | 64 * draw.randrange(20), data, flags))
    rows: list[Row] = []
    known: set[int] = set()

    def touch(*touched: int) -> None:
        for page in set(touched) - known if mode == "system" else ():
            known.add(page)
            rows.append(map_(page << 12, page * 7 & 0xFFFF))

    odd = draw.choice([0, 0.01, 0.05, 0.2])
    for _ in range(rounds):
        for vaddr, data, flags in blocks:
            touch(vaddr >> 12, vaddr + 15 >> 12)
            rows.append(exec_(vaddr, 16, 3, flags))
            for page, offset, stores in data:
                at, chance = (page << 12) + offset, draw.random()
                if chance < odd:
                    at = (draw.choice(pages + code) << 12) + draw.choice([0, 1, 64, 70, 128, 4093, 4094])
                elif chance < 2 * odd:
                    rows.extend(_interruption(draw.choice([0, 1, 2, 3] if mode == "system" else [0, 1, 2]), at, known))
                touch(at >> 12, at + 3 >> 12)
                rows.append((store if stores else load)(at, 4, flags))
    return mode, rows


def _interruption(kind: int, vaddr: int, known: set[int]) -> list[Row]:
    if kind == 0:
        known.clear()
        return [flush()]
    if kind == 1:
        known.discard(vaddr >> 12)
        return [flush_page(vaddr)]
    return [note()] if kind == 2 else [flush_page(DEVICE), io_load(DEVICE)]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(16))
def test_loops_that_are_mostly_alike(seed):
    mode, rows = kernel_loops(seed)
    for spec in SPECS:
        counts = oracle.run(rows, spec, mode)
        for chunk in (1 << 20, 97):
            assert not differences(rows, spec, mode, counts, chunk=chunk), (spec, chunk)


def test_such_loops_have_spells():
    modes, traces = zip(*map(kernel_loops, range(16)), strict=True)
    assert set(modes) == {"user", "system"}
    spells = [oracle.run(rows, "qemu-fast", mode)["faults_softmmu"] for mode, rows in zip(modes, traces, strict=True)]
    assert sum(spells) > 1000 * len(spells) / 4
