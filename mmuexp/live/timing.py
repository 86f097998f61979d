"""Rounds of what the emulator's own part of translation takes, each by engines on synthetic streams.

`hits` measures whole hit paths, `events` what a helper, an entry of a table or a dropped block takes. Engines are made
anew for each call, so that the places in memory that they get are not those of every round.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np

from mmuexp.guest import Columns, Op
from mmuexp.live import streams
from mmuexp.live.build import NoEngine, source_of
from mmuexp.live.process import Engine
from mmuexp.price.host import LINE
from mmuexp.strategy import Strategy
from mmuexp.strategy.registry import default_strategies, parse_spec

HIT_ROWS = 1 << 18
HIT_TIMES = 4  # that hits are measured in a round: they differ by tenths of a ns, and take a ms
EVENT_ROWS = 1 << 13
DROPPED_BLOCKS = 32
SEARCHED_BLOCKS = 64  # on a page that is stored to
POOLS = (16, 64, 256, 1024)  # pages that a FLUSH finds mapped
DEPENDENT = ("-DDEPENDENT",)
EMPTY_HELPER = ("-DEMPTY_HELPER",)
SAVED_REGISTERS = ("-DSAVED_REGISTERS",)
SITES = 64  # of a block whose accesses are patched
BLOCKS = 64  # that are entered by turns
PATH = "path.{}"  # and LINE, the line through the hit paths: a hit = access + hit * instructions
WIDE = "wide "  # before a kind: the same over data of the second level of cache


class TimedHits(NamedTuple):
    """Hits alone: `stream` makes so many rows over so many pages; `pages`, by what stands before the kind's name;
    `flags` are the engines'."""

    stream: Callable[[int, int], Columns]
    how: str
    pages: Mapping[str, int] = {"": streams.FEW_PAGES, WIDE: streams.PAGES}
    flags: tuple[str, ...] = ()


def _loops(rows: int, stores: float = 0.3) -> Callable[[int, int], Columns]:
    return lambda n, pages: streams.hits(n, rows, stores, pages)


def _in_no_order(rows: int, pages: int) -> Columns:
    return streams.in_no_order(rows, BLOCKS_IN_NO_ORDER, ACCESSES_OF_A_BLOCK, pages)


# Blocks of real programs have 2 to 4 accesses. As many blocks as an engine remembers that were entered.
BLOCKS_IN_NO_ORDER, ACCESSES_OF_A_BLOCK = 4096, 4
KINDS = {  # where hits are measured
    "short": TimedHits(_loops(64), "in loops of 64 accesses"),
    "long": TimedHits(_loops(512), "in loops of 512 accesses"),
    "scattered": TimedHits(
        _in_no_order, f"in {BLOCKS_IN_NO_ORDER:,} blocks of {ACCESSES_OF_A_BLOCK} accesses that run in no order"
    ),
    "dependent": TimedHits(
        _loops(64, stores=0.0), "where each address waits for the load before", {"": streams.PAGES}, DEPENDENT
    ),
}
Step = Callable[[str], None]


def measurable() -> list[Strategy]:
    """The shipped schemes that have an engine, at their defaults."""
    found = []
    for strategy in default_strategies("user"):
        try:
            source_of(type(strategy))
        except NoEngine:
            continue
        found.append(strategy)
    return found


def hits(rounds: int, step: Step = lambda what: None) -> dict[str, list[float]]:
    """ns of each round: "KIND path.SCHEME" a whole hit, access included; "KIND hit" and "KIND access" of the line."""
    found: dict[str, list[float]] = defaultdict(list)
    strategies = measurable()
    insns = np.array([strategy.hit_insns() for strategy in strategies], float)
    with ExitStack() as stack:
        plan = {}
        made = {flags: _engines(stack, [None, *strategies], flags) for flags in {kind.flags for kind in KINDS.values()}}
        for name, kind in KINDS.items():
            for before, pages in kind.pages.items():
                plan[before + name] = (made[kind.flags], kind.stream(HIT_ROWS, pages))
        for engines, rows in plan.values():
            for engine in engines:
                engine.feed(streams.stores_first())
                engine.feed(rows)
        for turn in range(rounds * HIT_TIMES):
            for where, (engines, rows) in plan.items():
                bare, *ns = _spent(engines, rows, turn)
                ns = [one - bare for one in ns]
                for strategy, one in zip(strategies, ns, strict=True):
                    found[f"{where} {PATH.format(strategy.name)}"].append(one)
                for name, one in zip(LINE, _line(insns, np.array(ns)), strict=True):
                    found[f"{where} {name}"].append(float(one))
            if (turn + 1) % HIT_TIMES == 0:
                step("hits")
    return dict(found)


def _line(insns: np.ndarray, ns: np.ndarray) -> tuple[float, float]:
    """(ns of an instruction, ns of the access) of the line that is next to all hits; neither is below 0."""
    hit, access = np.polyfit(insns, ns, 1)
    return (hit, access) if access >= 0 else (insns @ ns / (insns @ insns), 0.0)


def _engines(stack: ExitStack, strategies: Sequence[Strategy | None], flags: tuple[str, ...] = ()) -> list[Engine]:
    cpu = max(os.sched_getaffinity(0))
    return [stack.enter_context(Engine(one, "user", checked=False, cpu=cpu, extra=flags)) for one in strategies]


def _spent(engines: Sequence[Engine], rows: Columns, turn: int) -> list[float]:
    """ns an access of each; another begins in each turn."""
    at = turn % len(engines)
    for engine in [*engines[at:], *engines[:at]]:
        engine.feed(rows)
    accesses = np.count_nonzero(rows.op < Op.EXEC)
    return [float(engine.cpu_ns / accesses) for engine in engines]


class TimedEvent(NamedTuple):
    """What the engine of `scheme`, a spec, meets `events` times on `rows`, and not at all on `less`, if that is given.

    `first` are rows that come before all others, once and untimed.
    """

    scheme: str
    rows: Callable[[], Columns]
    events: int
    how: str
    less: Callable[[], Columns] | None = None
    flags: tuple[str, ...] = ()
    first: Callable[[], Columns] | None = None


def _flush(pages: int) -> TimedEvent:
    times = max(1, 4096 // pages)
    how = f"{pages} pages faulted in and dropped by one FLUSH, for each FLUSH (qemu-fast)"
    return TimedEvent("qemu-fast", partial(streams.touched_and_flushed, pages, times), times, how)


def _event(scheme: str, stream: Callable[[int], Columns], how: str) -> TimedEvent:
    return TimedEvent(scheme, partial(stream, EVENT_ROWS), EVENT_ROWS, how)


def _patched(how: str, flags: tuple[str, ...] = ()) -> TimedEvent:
    rows, less = (partial(streams.of_block, 4 * EVENT_ROWS, SITES, sites) for sites in (True, False))
    return TimedEvent("fastmem,patch=memory", rows, 4 * EVENT_ROWS, how, less, flags, partial(streams.patching, SITES))


def _entered(size: int, how: str, less: int = 0) -> TimedEvent:
    rows = 2 * EVENT_ROWS
    more, fewer = (partial(streams.entered, rows, BLOCKS, bytes_) for bytes_ in (size, less))
    events = rows * (size - less)
    return TimedEvent("fastmem,code=check,check_after=0", more, events, how, fewer if less else None)


_MISALIGNED = streams.now_and_then(4 * EVENT_ROWS, True)
PRICED = {  # prices of a profile
    "helper": TimedEvent(
        "softmmu",
        lambda: _MISALIGNED,
        int((_MISALIGNED.vaddr % 4 != 0).sum()),
        "an empty helper of softmmu, entered by one access in 8 that cannot be foreseen, and left",
        partial(streams.now_and_then, 4 * EVENT_ROWS, False),
        EMPTY_HELPER,
    ),
    "split": TimedEvent(
        "qemu-fast",
        partial(streams.at_page_ends, 4 * EVENT_ROWS, True),
        4 * EVENT_ROWS,
        "an access across two mapped pages, less one at the end of a page (qemu-fast)",
        partial(streams.at_page_ends, 4 * EVENT_ROWS, False),
    ),
    "scan": TimedEvent(
        "softmmu",
        partial(streams.flushes, 1 << 10),
        1024 << 10,
        "an entry of softmmu's tables, all 1,024 cleared by a FLUSH",
    ),
    "drop": TimedEvent(
        "softmmu",
        partial(streams.dropped, 1 << 9, DROPPED_BLOCKS),
        (DROPPED_BLOCKS - 1) << 9,
        f"a block dropped, and entered again: {DROPPED_BLOCKS} at a store to their page, less one",
        partial(streams.dropped, 1 << 9, 1),
    ),
    "patched_access": _patched(
        "an access by its stub, less one not patched (fastmem); the range reaches to one that saves all registers"
    ),
    "checked_entry": _entered(
        1,
        "a block of 1 byte that is compared when entered, less one that is not (fastmem); the range reaches to inline",
    ),
    "checked_byte": _entered(
        256,
        "a byte more of such a block: of 256, less one of 16 (fastmem); the range reaches to inline",
        less=16,
    ),
}
FOR_PEOPLE = {  # and what else people ask for
    "misaligned": _event("softmmu", streams.misaligned, "a misaligned load by softmmu's helper"),
    "crossing": _event("softmmu", partial(streams.at_page_ends, across=True), "a crossing access by softmmu's helper"),
    "fill": _event("softmmu", streams.thrashing, "a TLB fill by softmmu's helper, no page walk"),
    "code_store": TimedEvent(
        "softmmu-qemu10",
        partial(streams.beside_code, EVENT_ROWS, 1),
        EVENT_ROWS,
        "a store to a page of one block, by softmmu-qemu10's helper",
        first=partial(streams.code_pages, SEARCHED_BLOCKS),
    ),
    "searched_block": TimedEvent(
        "softmmu-qemu10",
        partial(streams.beside_code, EVENT_ROWS, 0),
        EVENT_ROWS * (SEARCHED_BLOCKS - 1),
        f"a block more on such a page: {SEARCHED_BLOCKS}, less one (softmmu-qemu10)",
        partial(streams.beside_code, EVENT_ROWS, 1),
        first=partial(streams.code_pages, SEARCHED_BLOCKS),
    ),
    "signal_completed": _event("byte-lookup", streams.crossing, "a load done in the handler"),
    **{f"flush_{pages}_pages": _flush(pages) for pages in POOLS},
}
ELSEWHERE = {
    WIDE + "patched_access": _patched("by a stub that saves all registers", SAVED_REGISTERS)
}  # where ranges end
EVENTS = PRICED | FOR_PEOPLE | ELSEWHERE


def events(rounds: int, step: Step, kinds: Mapping[str, TimedEvent]) -> dict[str, list[float]]:
    """ns of each event, round by round."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    with ExitStack() as stack:
        (bare,) = _engines(stack, [None])
        ready = {}
        for name, kind in kinds.items():
            (engine,) = _engines(stack, [parse_spec(kind.scheme)], kind.flags)
            streams_of_it = [kind.rows(), *([kind.less()] if kind.less else [])]
            ready[name] = (engine, streams_of_it)
            for rows in [*([kind.first()] if kind.first else []), *streams_of_it]:
                bare.feed(rows)
                engine.feed(rows)
        for _ in range(rounds):
            for name, (engine, streams_of_it) in ready.items():
                more, *less = (_beyond(engine, bare, rows) for rows in streams_of_it)
                found[name].append((more - sum(less)) / kinds[name].events)
            step("events")
    return found


def _beyond(engine: Engine, bare: Engine, rows: Columns) -> int:
    bare.feed(rows)
    engine.feed(rows)
    return engine.cpu_ns - bare.cpu_ns
