"""`claims`: gather the evidence, let each claim judge it, and hold the findings as a tidy table with a manifest."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mmuexp.claims import REGISTRY
from mmuexp.claims.estimate import FACTORS
from mmuexp.claims.evidence import Evidence
from mmuexp.claims.gather import DAY, evidence_for, hosts_of
from mmuexp.claims.model import Claim, Finding, Part
from mmuexp.errors import UsageError, option
from mmuexp.price.priced import price_table
from mmuexp.result import manifest

COLUMNS = ("claim", "author", "part", "host", "recording", "quantity", "value", "unit", "text")
VERDICT, CONDITION, CASE, DECIDED, STAND_IN = "verdict", "condition", "case", "decided by a price", "stand-in"
BOUNDED, WIDE = "lower bounds", "guests of 64 bits"


@dataclass(frozen=True)
class ClaimsReport:
    """Holds the findings in order of the mail; `hosts` are the names of the profiles that price them."""

    findings: tuple[Finding, ...]
    hosts: tuple[str, ...]
    manifest: dict[str, Any] = field(default_factory=dict)
    live_about: str = ""  # the machine of the measured figures
    wide_about: str = ""  # what to know of prices of the mail's day, said behind the guests of 64 bits

    @property
    def frame(self) -> pd.DataFrame:
        """Columns claim author part host recording quantity value unit text, a row a figure, case, condition or
        verdict; `text` holds words and `value` numbers. An empty host: the same on every host."""
        table = pd.DataFrame(self.rows(), columns=list(COLUMNS))
        table["value"] = table["value"].astype("float64")
        table.attrs["manifest"] = self.manifest
        return table

    def rows(self) -> list[tuple]:
        return [(f.claim.number, f.claim.author, *row) for f in self.findings for row in _rows(f)]


def _rows(finding: Finding) -> Iterator[tuple]:
    """(part, host, recording, quantity, value, unit, text)"""
    yield "", "", "", VERDICT, None, "", finding.verdict
    for host in finding.hosts:
        yield "", host, "", VERDICT, None, "", finding.verdict_at(host)
    if finding.stand_in:
        yield "", "", "", STAND_IN, None, "", finding.stand_in
    if finding.bounded:
        yield "", "", "", BOUNDED, None, "", ", ".join(finding.bounded)
    if finding.wide:
        yield "", "", "", WIDE, None, "", ", ".join(finding.wide)
    for part in finding.parts:
        yield from _part_rows(part)


def _part_rows(part: Part) -> Iterator[tuple]:
    for host in part.hosts:
        yield part.meaning, host, "", VERDICT, None, "", part.verdict(host)
    for host, condition in part.conditions.items():
        yield part.meaning, host, "", CONDITION, None, "", condition
    for case in part.cases:
        yield part.meaning, case.host, case.recording, CASE, None, "", "yes" if case.holds else "no"
        for name in case.decided_by:
            yield part.meaning, case.host, case.recording, DECIDED, None, "", name
    for one in part.figures:
        yield part.meaning, one.host, one.recording, one.quantity, one.value, one.unit, ""


def judged(claim: Claim, evidence: Evidence) -> Finding:
    """What the evidence says of a claim."""
    sources = tuple(evidence.sources[name] for name in claim.experiments if name in evidence.sources)
    parts = tuple(claim.judge(evidence))
    tested = {case.recording.partition(" (")[0] for part in parts for case in part.cases}
    bounded = [f"{name} (it lacks {missing})" for name, missing in evidence.lacking.items() if name in tested]
    wide = evidence.wide(*claim.experiments)
    return Finding(claim, parts, tuple(dict.fromkeys(sources)), tuple(bounded), tuple(wide))


def chosen(only: Iterable[int] | int | None) -> list[Claim]:
    """The claims of these numbers; all for None. Raises UsageError."""
    numbers = list(REGISTRY) if only is None else [only] if isinstance(only, int) else list(only)
    for number in numbers:
        if number not in REGISTRY:
            todo = f"there are 1 to {max(REGISTRY)}"
            raise UsageError(f"there is no claim {number}", where=option("only"), todo=todo)
    return [claim for number, claim in REGISTRY.items() if number in numbers]


def claims(
    traces: Any = None,
    *,
    only: Iterable[int] | int | None = None,
    host: Any = None,
    replay: bool = False,
    store: bool = True,
    progress: Callable[[str, int, int | None], None] | None = None,
    command: Sequence[str] = (),
) -> ClaimsReport:
    """Test the mail's claims; arguments are those of `mmuexp.claims`. Raises UsageError, TraceError, MmuexpError."""
    started = manifest.utc_now()
    wanted = chosen(only)
    given = [traces] if isinstance(traces, str | os.PathLike) else list(traces or ())
    if replay and given:
        todo = f"leave {option('replay', '')} out"
        raise UsageError("your recordings are counted in any case", where=option("replay"), todo=todo)
    hosts = hosts_of(host)
    names = dict.fromkeys(name for claim in wanted for name in claim.experiments)
    paths = [os.fsdecode(path) for path in given]
    how: dict[str, Any] = {"replay": replay, "store": store, "progress": progress}
    evidence = evidence_for(names, hosts=hosts, traces=paths, **how)
    findings = tuple(judged(claim, evidence) for claim in wanted)
    about = _manifest(evidence, command, started)
    names_of_hosts = tuple(one.name for one in evidence.hosts)
    return ClaimsReport(findings, names_of_hosts, about, evidence.live_about, _prices_of_the_day(names_of_hosts))


def _prices_of_the_day(hosts: Sequence[str]) -> str:
    """What to know of the mail's day where a guest of 64 bits was run: nobody had one."""
    if DAY in hosts:
        return f"; nobody ran such a guest on {DAY}, whose prices say what instructions and faults cost then"
    return f"; {DAY} is left out, where nobody ran such a guest"


def _manifest(evidence: Evidence, command: Sequence[str], started: str) -> dict[str, Any]:
    strategies = list({str(run.strategy): run.strategy for runs in evidence.tables.values() for run in runs}.values())
    prices = price_table(strategies, evidence.hosts[0])
    del prices["host"]
    about = {
        "hosts": [host.as_dict() for host in evidence.hosts],
        "prices": prices,
        "factors": [vars(factor) for factor in FACTORS],
        "experiments": [vars(source) for source in dict.fromkeys(evidence.sources.values())],
        "live": evidence.live_about,
        "from_store": list(evidence.from_store),
    }
    return manifest.of_run("claims", command, started, "yes", **about)
