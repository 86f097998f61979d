"""What claims are tested on: runs (a recording under a scheme, its counts) of experiments, and hosts to price them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from mmuexp.errors import MmuexpError
from mmuexp.price.host import Profile
from mmuexp.price.priced import Priced, price
from mmuexp.price.verdict import BreakEven, break_even, decided_by, is_sure
from mmuexp.result.table import Result, measured_ns, rows_of
from mmuexp.strategy.registry import parse_spec

SOFTMMU, BYTE_LOOKUP, MAP_BLOCK, QEMU_FAST = "softmmu", "byte-lookup", "map-block", "qemu-fast"
QEMU_10 = "softmmu-qemu10"
COMMITTED, COUNTED, YOURS = "committed", "counted now", "of your recordings"
PATCHED, WIDE = "qemu-fast,kernel_offset=0x30000000", "qemu-fast,guest_limit=0x100000000"
SEVERAL = "several prices elsewhere in their ranges at once"


@dataclass(frozen=True)
class Run:
    """One recording under one scheme. `counts` are its row, which holds the sums that prices need."""

    recording: str
    mode: str  # "user", "system", "" where nobody said
    strategy: Any
    counts: Mapping[str, Any] = field(hash=False, compare=False)

    @property
    def faults(self) -> int:
        return self.counts["faults"] or 0

    def share(self, name: str) -> float:
        """A count for each access."""
        return (self.counts.get(name) or 0) / self.counts["accesses"] if self.counts["accesses"] else 0.0


@dataclass(frozen=True)
class Source:
    """Where a claim's counts are from: an experiment, and the command that counted them."""

    experiment: str
    command: str
    how: str  # COMMITTED, COUNTED or YOURS

    @property
    def yours(self) -> bool:
        return self.how == YOURS


@dataclass
class Evidence:
    """`tables` maps an experiment to its runs by recording; `hosts` price them; `live` holds measured ns an access."""

    tables: Mapping[str, Sequence[Run]]
    hosts: Sequence[Profile]
    sources: Mapping[str, Source] = field(default_factory=dict)
    live: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (recording, spec) -> ns an access
    live_about: str = ""

    def __post_init__(self) -> None:
        self._prices: dict[tuple[int, str], Priced] = {}

    def runs(self, *experiments: str) -> list[Run]:
        """Every run of these experiments; a recording that several hold counts once."""
        found: dict[tuple[str, str], Run] = {}
        for name in experiments:
            for run in self.tables.get(name, ()):
                found.setdefault((run.recording, str(run.strategy)), run)
        return list(found.values())

    def recordings(self, *experiments: str, mode: str = "") -> dict[str, dict[str, Run]]:
        """recording -> spec -> run; of one mode, if asked for."""
        found: dict[str, dict[str, Run]] = {}
        for run in self.runs(*experiments):
            if not mode or run.mode in (mode, ""):
                found.setdefault(run.recording, {})[str(run.strategy)] = run
        return found

    def pairs(self, *experiments: str, of: Sequence[str], mode: str = "") -> list[tuple[str, list[Run]]]:
        """Recordings that ran under all of these specs, with those runs in this order."""
        found = self.recordings(*experiments, mode=mode)
        return [(name, [runs[spec] for spec in of]) for name, runs in found.items() if all(s in runs for s in of)]

    def price(self, run: Run, host: Profile) -> Priced:
        key = (id(run), host.name)
        if key not in self._prices:
            self._prices[key] = price(run.strategy, run.counts, host)
        return self._prices[key]

    def ns(self, run: Run, host: Profile) -> float:
        return self.price(run, host).access_ns

    def even(self, run: Run, base: Run, host: Profile) -> BreakEven:
        """While a fault costs how much `run` is cheaper than `base`."""
        return break_even(
            str(run.strategy), self.price(run, host), run.faults,
            str(base.strategy), self.price(base, host), base.faults,
        )  # fmt: skip

    def deciding(self, run: Run, base: Run, host: Profile, factor: float = 1.0) -> tuple[str, ...]:
        """Prices of which a single one, within its range, turns whether `factor` times `run` is cheaper than `base`;
        SEVERAL where only some together do."""
        one, other = self.price(run, host).times(factor), self.price(base, host)
        return tuple(decided_by(one, other)) or (() if is_sure(one, other) else (SEVERAL,))


def ns_of(strategy: Any, host: Profile, **counts: int) -> float:
    """What these counts cost under a scheme, alone."""
    return price(strategy, counts, host).access_ns


def runs_of(result: Result) -> list[Run]:
    """The runs of a result of compare or sweep (windows are no runs). A recording without accesses tests nothing."""
    modes = {entry["trace"]: entry.get("mode", "") for entry in result.manifest.get("traces", [])}
    found = []
    for row in rows_of(result.frame):
        if not row["accesses"]:
            continue
        if row.get("units8") is None:
            what = "was saved by an older version, without the sums that prices need"
            raise MmuexpError(what, where=row["trace"], todo="make it again, with compare or rerun")
        found.append(Run(short(row["trace"]), modes.get(row["trace"], ""), _strategy(row["strategy"]), row))
    return found


@lru_cache(maxsize=256)
def _strategy(spec: str) -> Any:
    return parse_spec(spec)


def short(trace: str) -> str:
    """A recording's name for people: its file's, without folder and suffix."""
    return PurePath(trace).stem


def measured_in(result: Result) -> dict[tuple[str, str], float]:
    """(recording, spec) -> ns an access that translation took, of a result of `compare --live`."""
    found = {(short(row["trace"]), row["strategy"]): measured_ns(row) for row in rows_of(result.frame)}
    return {key: ns for key, ns in found.items() if ns is not None}
