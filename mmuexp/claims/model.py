"""What a claim is made of: cases (one recording each, yes or no), figures, and the verdict that the cases give.

Nothing here is an opinion: a verdict is what `verdict_of` says of the cases, and those come from counts and prices.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

HOLDS, WHEN, FAILS, UNTESTED = "holds", "holds when", "does not hold", "not tested"
ANY_HOST = ""  # a count, the same on every host
LIVE = "measured live"  # stands in a host's place where a figure was measured, not priced

# units that figures have, beside SI ones; `render/claims.py` says how each is written
NS, BYTES, COUNT, SHARE, INSNS = "ns", "bytes", "count", "share", "instructions"
TIMES, SPEEDUP = "times", "times faster"  # of something; than something, below 1 it is slower
RATE, FACTOR = "per 1,000 accesses", "host instructions a guest one"


@dataclass(frozen=True)
class ClaimFigure:
    """Gives one number. `key` figures are shown on the terminal; all go to files."""

    quantity: str
    value: float | int
    unit: str
    host: str = ANY_HOST
    recording: str = ""  # "" is no single one
    key: bool = False


@dataclass(frozen=True)
class Case:
    """Says whether the claim holds on this recording, at this host's prices; prices in `decided_by` turn the answer."""

    recording: str
    holds: bool
    host: str = ANY_HOST
    decided_by: tuple[str, ...] = ()


@dataclass
class Part:
    """Tests one thing that a claim says on its own: a claim's `judge` adds cases and figures to it.

    `conditions` gives, for each host, when it holds, in closed form. `ruled` is the verdict for each host where it is
    not that of the cases: a range of a parameter, say.
    """

    meaning: str
    cases: list[Case] = field(default_factory=list)
    conditions: dict[str, str] = field(default_factory=dict)
    figures: list[ClaimFigure] = field(default_factory=list)
    ruled: dict[str, str] = field(default_factory=dict)

    def case(self, recording: str, holds: bool, host: str = ANY_HOST, decided_by: tuple[str, ...] = ()) -> None:
        self.cases.append(Case(recording, holds, host, decided_by))

    def figure(self, quantity: str, value: float, unit: str, *more: Any, **named: Any) -> None:
        """Add a ClaimFigure of these."""
        self.figures.append(ClaimFigure(quantity, value, unit, *more, **named))

    @property
    def hosts(self) -> list[str]:
        """The hosts that the answer may depend on; ANY_HOST alone for counts."""
        return list(dict.fromkeys([*(case.host for case in self.cases), *self.ruled])) or [ANY_HOST]

    def verdict(self, host: str) -> str:
        if host in self.ruled:
            return self.ruled[host]
        return verdict_of(case.holds for case in self.cases if case.host == host)

    @property
    def decided_by(self) -> list[str]:
        """Prices that turn the answer on some recording, within their ranges (`CountedRun.deciding`)."""
        return list(dict.fromkeys(name for case in self.cases for name in case.decided_by))

    def recordings(self, holds: bool) -> list[str]:
        """Those on which it holds (or not) at the prices of every host: what differs between hosts is in neither."""
        names = dict.fromkeys(case.recording for case in self.cases)
        every = {name: {case.holds for case in self.cases if case.recording == name} for name in names}
        return [name for name in names if every[name] == {holds}]

    def undecided(self) -> list[str]:
        """Recordings on which hosts answer differently."""
        agreed = {*self.recordings(True), *self.recordings(False)}
        return [name for name in dict.fromkeys(case.recording for case in self.cases) if name not in agreed]


@dataclass(frozen=True)
class Finding:
    """Holds what became of a claim: its parts, where the counts are from, and what stood in for what it is about."""

    claim: "Claim"
    parts: tuple[Part, ...]
    sources: tuple[Any, ...] = ()  # `evidence.Source`s that were read
    bounded: tuple[str, ...] = ()  # of which recordings counts and times are lower bounds, and what these lack
    wide: tuple[str, ...] = ()  # recordings of guests of 64 bits, where the mail's had 32

    @property
    def stand_in(self) -> str:
        """What was run in place of what the mail ran; the user's own recordings are what they are."""
        if self.sources and all(source.yours for source in self.sources):
            return "your recordings, in place of what the mail ran" if self.claim.stand_in else ""
        return self.claim.stand_in

    @property
    def verdict(self) -> str:
        return together(part.verdict(host) for part in self.parts for host in part.hosts)

    @property
    def hosts(self) -> list[str]:
        """Hosts on which the answer depends, in order; empty where none does."""
        return [h for h in dict.fromkeys(h for part in self.parts for h in part.hosts) if h != ANY_HOST]

    def verdict_at(self, host: str) -> str:
        """The verdict at one host's prices: of the parts that depend on them, and of those that do not."""
        return together(part.verdict(host if host in part.hosts else part.hosts[0]) for part in self.parts)

    @property
    def decided_by(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.parts for name in part.decided_by))


@dataclass(frozen=True)
class Claim:
    """States a claim of MODEL.md section 8. `judge(evidence)` gives its parts; `experiments` are what it may read."""

    number: int
    author: str
    says: str
    where: str
    rule: str  # how cases are judged, with every threshold
    experiments: tuple[str, ...]
    judge: Callable[[Any], Iterable[Part]]
    stand_in: str = ""  # what was run in place of what the mail ran


def verdict_of(answers: Iterable[bool]) -> str:
    """Of cases: all, none, or some; without any there is no verdict."""
    answers = list(answers)
    if not answers:
        return UNTESTED
    return HOLDS if all(answers) else WHEN if any(answers) else FAILS


def verdict_of_range(low: float, high: float, sourced: tuple[float, float]) -> str:
    """Of a claim that holds while a parameter is `low` to `high`, where sources give it as `sourced`."""
    if low > high or high < sourced[0] or low > sourced[1]:
        return FAILS
    return HOLDS if low <= sourced[0] and sourced[1] <= high else WHEN


def together(verdicts: Iterable[str]) -> str:
    """One verdict over several: theirs where they agree, else it holds sometimes. What was not tested says nothing."""
    found = {verdict for verdict in verdicts if verdict != UNTESTED}
    if not found:
        return UNTESTED
    return found.pop() if len(found) == 1 else WHEN
