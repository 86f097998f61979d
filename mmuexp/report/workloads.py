"""Which scheme for a workload like yours: for each kind of workload and host the winner, its margin, and how sure.

Only which recordings stand for which kind is written down here; who wins, by how much and until which price of a fault
comes from their counts at the prices of a host.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import median

from mmuexp.claims.evidence import SEVERAL, CountedRun, Evidence
from mmuexp.claims.gather import DAY
from mmuexp.guest import ADDRESS_BITS
from mmuexp.price.host import Profile
from mmuexp.price.verdict import Line, turns
from mmuexp.rerun.measured import LiveTime
from mmuexp.strategy.registry import all_strategies

SURE, CLOSE, DISPUTED = "sure", "too close", "measured otherwise"
DECIDED, TOGETHER = "a price decides", "several prices decide"
ELSEWHERE = "another winner at the prices measured in results/live"
SPLIT = "recordings disagree"
MEANINGS = {  # the surest first
    SURE: "no prices within their ranges turn it, or the live engine found every other scheme slower",
    TOGETHER: "no price alone, but several at once, each within its range, would put another scheme first",
    DECIDED: "one price alone, within its range, would",
    CLOSE: "the second is nearer than the model's typical error",
    SPLIT: "they have not all the same winner",
    ELSEWHERE: "the machine of the live engine was calibrated, and its prices put another scheme first",
    DISPUTED: "the live engine found the second faster, beyond its noise",
}


@dataclass(frozen=True)
class Kind:
    """Names a kind of workload, and what stands for it: experiment -> recordings (none named: all that it has);
    `more` are recordings that only schemes of today ran on."""

    name: str
    about: str
    recordings: Mapping[str, tuple[str, ...]] = field(hash=False)
    more: tuple[str, ...] = ()

    def all_recordings(self, evidence: Evidence) -> list[str]:
        """The names of all, each once."""
        several = [names or tuple(evidence.recordings(one)) for one, names in self.recordings.items()]
        return list(dict.fromkeys([*(name for names in several for name in names), *self.more]))


KINDS = (
    Kind("Compiled programs", "few pages, each mapped once", {"programs": ("gzip", "bzip2"), "ten-kernels": ()}),
    Kind("Programs of 64 bits", "addresses of 48 bits", {"guest64": ("gzip64", "python64", "tcc64")}),
    Kind("A JIT", "a program that writes code as it runs", {"programs": ("luajit",)}),
    Kind("Accesses across page ends", "a program made of them", {"page-crossing": ("crossing",)}),
    Kind("Code beside data", "stores to pages with code", {"code-beside-data": ("textdata", "ownpage", "smc")}),
    Kind("Firmware", "devices, code in ROM", {"linux-windows": ("linux_firmware",), "windows-habit": ("seabios",)}),
    Kind("16-bit code that prints", "stores beside running code, BIOS calls", {"windows-habit": ("grub_text",)}),
    Kind("A system in assembly", "stores beside running code, nothing else", {"windows-habit": ("kolibri_start",)}),
    Kind("DOS at its prompt", "stores beside running code, nothing else", {"windows-habit": ("freedos_prompt",)}),
    Kind("A desktop that idles", "programs that take turns", {"windows-habit": ("kolibri_desktop",)}),
    Kind(
        "An early kernel", "first touches, no processes yet", {"linux-windows": ("linux_early",)},
        ("linux64_early",),
    ),
    Kind(
        "A kernel that patches itself", "CR3 written every few hundred rows", {"linux-windows": ("linux_patching",)},
        ("linux64_patching",),
    ),
    Kind(
        "Processes taking turns", "each CR3 write drops every translation", {"linux-windows": ("linux_user",)},
        ("linux_spaces", "linux64_user"),
    ),
    Kind("A whole Linux boot", "from power-on to a shell and off", {"linux-boot": ()}, ("boot32", "boot64")),
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Says how sure a winner is: `level` is SURE, CLOSE, DECIDED, TOGETHER, ELSEWHERE or DISPUTED; `why` a sentence."""

    level: str
    why: str


@dataclass(frozen=True)
class Contest:
    """Ranks the schemes on one recording at one host. `ns` holds spec -> ns for each access, the winner first, one spec
    a scheme.

    `below_ns` and `above_ns`: the winner stays first while a host fault costs less, and more, than that (None: no such
    end); `fault_ns` is what one costs there now. `decided_by`: price -> the scheme that would be faster than the
    winner with that price, alone, somewhere else in its range; SEVERAL: with several. `not_run`: schemes of ours that
    have no counts of it. `elsewhere`: another host -> the scheme that wins there, if it is another. `faults`: spec ->
    host faults for each 1,000 accesses. `bits`: of the guest. `live`: how many times faster than QEMU's TLB the winner
    was by the clock.
    """

    kind: Kind
    recording: str
    host: str
    ns: dict[str, float] = field(hash=False)
    below_ns: float | None = None
    above_ns: float | None = None
    fault_ns: float | None = None
    decided_by: dict[str, str] = field(default_factory=dict, hash=False)
    not_run: tuple[str, ...] = ()
    elsewhere: dict[str, str] = field(default_factory=dict, hash=False)
    faults: dict[str, float] = field(default_factory=dict, hash=False)
    verdict: Verdict = Verdict("", "")
    bits: int = ADDRESS_BITS
    live: float | None = None

    @property
    def winner(self) -> str:
        return next(iter(self.ns))

    @property
    def runner_up(self) -> str:
        return list(self.ns)[1]  # a contest has two at least

    @property
    def margin(self) -> float:
        """Time of the second over that of the first: 1.25 is a quarter more."""
        return self.ns[self.runner_up] / self.ns[self.winner]

    def against(self, spec: str) -> float | None:
        """How many times faster the winner is than this scheme."""
        return self.ns[spec] / self.ns[self.winner] if spec in self.ns else None


def contests(evidence: Evidence, host: Profile, *, without: str = "") -> list[Contest]:
    """Every recording of every kind that the evidence has, under all schemes but `without`."""
    found = []
    expected = [name for name in ours() if all_strategies()[name].BY_DEFAULT]
    for kind in KINDS:
        for experiment, names in kind.recordings.items():
            for recording, runs in evidence.recordings(experiment).items():
                entered = [run for run in runs.values() if run.strategy.name != without]
                if (not names or recording in names) and len(entered) > 1 and entered[0].counts["accesses"]:
                    ran = {run.strategy.name for run in entered} | {without}
                    one = contest_of(kind, recording, entered, host, evidence.also)
                    one = replace(one, not_run=tuple(name for name in expected if name not in ran))
                    if len(one.ns) > 1:
                        found.append(replace(one, verdict=judge(one, evidence.timed, today=host.name != DAY)))
    return found


@cache
def ours() -> tuple[str, ...]:
    """The schemes of this package; nobody expects those of another one in results/."""
    return tuple(name for name, cls in all_strategies().items() if cls.__module__.startswith("mmuexp.strategies."))


def scheme_of(spec: str) -> str:
    """The name in a spec, without its settings."""
    return spec.partition(",")[0]


def _best_of_each(runs: Sequence[CountedRun], host: Profile) -> list[CountedRun]:
    """Of a scheme that ran in several layouts the fastest."""
    best: dict[str, CountedRun] = {}
    for run in sorted(runs, key=lambda one: one.ns(host)):
        best.setdefault(run.strategy.name, run)
    return list(best.values())


def contest_of(
    kind: Kind, recording: str, entered: Sequence[CountedRun], host: Profile, also: Sequence[Profile] = ()
) -> Contest:
    """Rank the schemes that ran on a recording, each in its best setting, and see who would win at other hosts."""
    one = _contest(kind, recording, _best_of_each(entered, host), host)
    winners = {at.name: _best_of_each(entered, at)[0].strategy for at in also}
    # a scheme in another setting is the same winner
    return replace(one, elsewhere={at: str(s) for at, s in winners.items() if s.name != scheme_of(one.winner)})


def _contest(kind: Kind, recording: str, runs: Sequence[CountedRun], host: Profile) -> Contest:
    specs = {str(run.strategy): run for run in runs}
    costs = {spec: run.price(host) for spec, run in specs.items()}
    lines = [Line(spec, c.access_ns - c.kernel_ns, c.kernel_ns, specs[spec].faults) for spec, c in costs.items()]
    first = runs[0]
    winner, dearer, cheaper = turns(lines)
    # a fault's price is the winner's where it has faults, else that of who would take over
    of = next((one for one in (winner, *(turn.line for turn in (dearer, cheaper) if turn)) if one.fault_ns), None)
    fault_ns = of.fault_ns if of else None
    return Contest(
        kind,
        recording,
        host.name,
        {spec: cost.access_ns / first.counts["accesses"] for spec, cost in costs.items()},
        dearer.x * fault_ns if dearer and fault_ns else None,
        cheaper.x * fault_ns if cheaper and fault_ns else None,
        fault_ns,
        {name: str(rival.strategy) for rival in runs[:0:-1] for name in first.deciding(rival, host)},
        faults={spec: 1000 * run.share("faults") for spec, run in specs.items()},
    )


def typical_error(live: Iterable[LiveTime]) -> float | None:
    """The median of the model's errors, without their signs; None if nothing was measured."""
    errors = [abs(one.error) for one in live if one.error is not None]
    return median(errors) if errors else None


def judge(contest: Contest, live: Sequence[LiveTime], *, today: bool = True) -> Verdict:
    """How sure the winner of a contest is. What was measured, prices too, speaks for hosts of `today` alone."""
    tried = tried_together(contest, live) if today else {}
    first, others = tried.get(contest.winner), [spec for spec in contest.ns if spec != contest.winner]
    faster = [spec for spec in others if first and spec in tried and tried[spec].high < first.low]
    if faster:
        return Verdict(DISPUTED, f"the live engine found {faster[0]} faster, beyond its noise")
    over = f"{contest.runner_up} takes {contest.margin:.3g} times as long"
    if first and all(spec in tried and first.high < tried[spec].low for spec in others):
        return Verdict(SURE, f"{over}; the live engine found every other slower, beyond its noise")
    if contest.elsewhere and today:
        return Verdict(ELSEWHERE, "; ".join(f"{spec} wins at those of {at}" for at, spec in contest.elsewhere.items()))
    alone = {name: rival for name, rival in contest.decided_by.items() if name != SEVERAL}
    if alone:
        turned = "; ".join(f"{rival} would be faster: {name}" for name, rival in alone.items())
        return Verdict(DECIDED, f"with one of these elsewhere in its range, {turned}")
    error = typical_error(live)
    if error is not None and contest.margin - 1 <= error:
        return Verdict(CLOSE, f"{over}, the model's error is typically {100 * error:.2g} %")
    if contest.decided_by:
        return Verdict(TOGETHER, f"{contest.decided_by[SEVERAL]} would be faster with {SEVERAL}")
    beyond = f", more than the model's typical error of {100 * error:.2g} %" if error is not None else ""
    return Verdict(SURE, f"{over}{beyond}; no prices within their ranges turn it")


def tried_together(contest: Contest, live: Sequence[LiveTime]) -> dict[str, LiveTime]:
    """What was measured of a contest, by spec: of the run that had the winner, and most of the others beside it."""
    runs: dict[int, dict[str, LiveTime]] = {}
    for one in live:
        if one.recording == contest.recording and one.spec in contest.ns and one.ns is not None:
            runs.setdefault(one.run, {})[one.spec] = one
    return max((run for run in runs.values() if contest.winner in run), key=len, default={})


def by_kind(found: Sequence[Contest]) -> dict[Kind, list[Contest]]:
    """The contests of each kind, in the order of KINDS."""
    kinds: dict[Kind, list[Contest]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one)
    return kinds
