"""What claims are tested on: runs (a recording under a scheme, its counts) of experiments, and hosts to price them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.events import WALK_LEVELS
from mmuexp.guest import ADDRESS_BITS
from mmuexp.price.host import Profile
from mmuexp.price.priced import Priced, price
from mmuexp.price.primitives import LEVELS
from mmuexp.price.verdict import BreakEven, break_even, decided_by, is_sure
from mmuexp.replay.pages import LEVELS_OF
from mmuexp.rerun.measured import LiveTime
from mmuexp.result.declared import DeclaredBy
from mmuexp.result.manifest import levels_of
from mmuexp.result.table import Result, rows_of
from mmuexp.result.turns import stem
from mmuexp.strategy.registry import parse_saved

SOFTMMU, BYTE_LOOKUP, MAP_BLOCK, QEMU_FAST = "softmmu", "byte-lookup", "map-block", "qemu-fast"
QEMU_10 = "softmmu-qemu10"
COMMITTED, COUNTED, YOURS = "committed", "counted now", "of your recordings"
PATCHED, WIDE = "qemu-fast,kernel_offset=0x30000000", "qemu-fast,guest_limit=0x100000000"
BITS_OF = {levels: bits for bits, levels in reversed(LEVELS_OF.items())}  # the fewest of so many levels
SEVERAL = "several prices elsewhere in their ranges at once"


@dataclass(frozen=True)
class CountedRun:
    """Prices one recording under one scheme. `counts` are its row, which holds the sums that prices need."""

    recording: str
    mode: str  # "user", "system", "" where nobody said
    strategy: Any
    counts: Mapping[str, Any] = field(hash=False, compare=False)
    _prices: dict[int, tuple[Profile, Priced]] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def faults(self) -> int:
        return self.counts["faults"] or 0

    @property
    def address_bits(self) -> int:
        """Of the guest: 32, of 64-bit guests 48 or 57, as the levels of its page table tell."""
        return BITS_OF[self.counts.get(WALK_LEVELS) or LEVELS]

    @property
    def is_wide(self) -> bool:
        """Is its guest one of 64 bits?"""
        return self.address_bits > ADDRESS_BITS

    def share(self, name: str) -> float:
        """A count for each access."""
        return (self.counts.get(name) or 0) / self.counts["accesses"] if self.counts["accesses"] else 0.0

    def price(self, host: Profile) -> Priced:
        """What it costs at a host, worked out once for each."""
        if id(host) not in self._prices:
            self._prices[id(host)] = host, price(self.strategy, self.counts, host)
        return self._prices[id(host)][1]

    def ns(self, host: Profile) -> float:
        return self.price(host).access_ns

    def times(self, base: "CountedRun", host: Profile) -> float:
        """How many times less its memory accesses cost than those of `base`; below 1 they cost more."""
        return base.ns(host) / self.ns(host)

    def even(self, base: "CountedRun", host: Profile) -> BreakEven:
        """While a fault costs how much it is cheaper than `base`."""
        return break_even(
            str(self.strategy), self.price(host), self.faults, str(base.strategy), base.price(host), base.faults
        )

    def deciding(self, base: "CountedRun", host: Profile, factor: float = 1.0) -> tuple[str, ...]:
        """Prices of which a single one, within its range, turns whether `factor` times this is cheaper than `base`;
        SEVERAL where only some together do."""
        one, other = self.price(host).times(factor), base.price(host)
        return tuple(decided_by(one, other)) or (() if is_sure(one, other) else (SEVERAL,))


Pairs = Sequence[tuple[str, Sequence[CountedRun]]]  # recording, its runs under the specs that are compared


@dataclass(frozen=True)
class Source:
    """Says where a claim's counts are from: an experiment, and the command that counted them."""

    experiment: str
    command: str
    how: str  # COMMITTED, COUNTED or YOURS

    @property
    def yours(self) -> bool:
        return self.how == YOURS


@dataclass
class Evidence:
    """Holds what claims are judged by, and what a report tells: the runs of each experiment, hosts that price them, and
    what was measured live. `timed` are the live times, `also` hosts that were measured there: where another scheme wins
    at their prices, a report tells it."""

    tables: Mapping[str, Sequence[CountedRun]]
    hosts: Sequence[Profile]
    sources: Mapping[str, Source] = field(default_factory=dict)
    live: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (recording, spec) -> ns an access
    live_about: str = ""
    from_store: tuple[Mapping[str, Any], ...] = ()  # what was not replayed now, as a manifest tells it
    lacking: Mapping[str, str] = field(default_factory=dict)  # recording -> what it does not tell: lower bounds
    timed: Sequence[LiveTime] = ()
    also: Sequence[Profile] = ()

    def runs(self, *experiments: str) -> list[CountedRun]:
        """Every run of these experiments; a recording that several hold counts once."""
        found: dict[tuple[str, str], CountedRun] = {}
        for name in experiments:
            for run in self.tables.get(name, ()):
                found.setdefault((run.recording, str(run.strategy)), run)
        return list(found.values())

    def wide(self, *experiments: str) -> list[str]:
        """The recordings of guests of 64 bits."""
        return list(dict.fromkeys(r.recording for r in self.runs(*experiments) if r.is_wide))

    def recordings(self, *experiments: str, mode: str = "") -> dict[str, dict[str, CountedRun]]:
        """recording -> spec -> run; of one mode, if asked for."""
        found: dict[str, dict[str, CountedRun]] = {}
        for run in self.runs(*experiments):
            if not mode or run.mode in (mode, ""):
                found.setdefault(run.recording, {})[str(run.strategy)] = run
        return found

    def pairs(self, *experiments: str, of: Sequence[str], mode: str = "") -> list[tuple[str, list[CountedRun]]]:
        """Recordings that ran under all of these specs, with those runs in this order."""
        found = self.recordings(*experiments, mode=mode)
        return [(name, [runs[spec] for spec in of]) for name, runs in found.items() if all(s in runs for s in of)]


def ns_of(strategy: Any, host: Profile, **counts: int) -> float:
    """What these counts cost under a scheme, alone."""
    return price(strategy, counts, host).access_ns


def runs_of(result: Result) -> list[CountedRun]:
    """The runs of a result of compare or sweep (windows are not runs). A recording without accesses tests nothing."""
    levels = levels_of(result.manifest)
    modes = {entry["trace"]: entry.get("mode", "") for entry in result.manifest.get("traces", [])}
    found = []
    for row in rows_of(result.frame):
        if not row["accesses"]:
            continue
        if row.get("units8") is None:
            what = "was saved by an older version, without the sums that prices need"
            raise MmuexpError(what, where=row["trace"], todo="make it again, with compare or rerun")
        trace, counts = row["trace"], row | {WALK_LEVELS: levels[row["trace"]]}
        found.append(CountedRun(stem(trace), modes.get(trace, ""), _strategy(row["strategy"]), counts))
    return found


def lacking_of(result: Result) -> dict[str, str]:
    """Recording -> what it does not tell of its accesses, in a few words; those that tell all are left out."""
    told = DeclaredBy(result.manifest)
    traces = [entry["trace"] for entry in result.manifest.get("traces", [])]
    return {stem(trace): told.of(trace).missing for trace in traces if told.of(trace).missing}


@lru_cache(maxsize=256)
def _strategy(spec: str) -> Any:
    return parse_saved(spec)
