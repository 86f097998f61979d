"""The answer first: who wins at which kind of workload, at each host, and what decides it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mmuexp.host import Profile
from mmuexp.mail.evidence import SOFTMMU, Evidence
from mmuexp.mail.gather import DAY
from mmuexp.overview.certainty import ASSUMED, CLOSE, DISPUTED, SURE, Measured, judge
from mmuexp.overview.workloads import Contest, Kind, by_kind, contests
from mmuexp.render import words
from mmuexp.render.chart import chart_of
from mmuexp.render.sections import Cell, Chart, Details, Heading, Table, Text

LEVELS = (
    "How sure: of several recordings the least sure counts. sure: nothing below turns it. assumed price: one assumed"
    " price alone, half or double, would put another scheme first. too close: the second is nearer than the model's"
    " typical error. measured otherwise: the live engine found the second faster in every round. The table of every"
    " recording, below the chart, names the price or the margin."
)
WORST = [DISPUTED, CLOSE, ASSUMED, SURE]
HEAD = ["workload", "best of all", "times as fast as", "how sure"]
HEAD += ["best without qemu-fast", "times as fast as", "how sure", "while a host fault costs"]
RATE, TIMES = "host faults per 1,000 accesses", "time, as a multiple of softmmu's"


def summary_sections(evidence: Evidence, hosts: Sequence[Profile], live: Sequence[Measured]) -> list[Any]:
    """For each host a sentence and a table of workloads; then what decides, as a chart; then every recording."""
    found: list[Any] = []
    details: list[list[Any]] = []
    for host in hosts:
        every, portable = contests(evidence, host), contests(evidence, host, portable=True)
        found += [Heading(f"At the prices of {host.name}", 3), Text(f"{host.about}.", "note")]
        found += [Text([sentence(portable), _fault_price(portable)]), _table(every, portable, live)]
        details += [_line(one, live, portable=one in portable) for one in (*every, *portable)]
    found += [Text(LEVELS, "note"), *rates_sections(evidence, hosts[0])]
    head = ["recording", "workload", "host", "among", "best", "next", "by", "how sure", "why"]
    head += ["while a host fault costs", "a fault costs there"]
    found.append(Details("Every recording, with why it is sure or not", [Table(head, details, name="recordings")]))
    return found


def sentence(found: Sequence[Contest]) -> str:
    """Which scheme wins where, in words."""
    places: dict[str, list[str]] = {}
    for kind, several in by_kind(found).items():
        for winner in dict.fromkeys(_name(one.winner) for one in several):
            all_of = all(_name(one.winner) == winner for one in several)
            name = kind.name[0].lower() + kind.name[1:]
            places.setdefault(winner, []).append(name if all_of else f"{name} (in part)")
    told = [f"{winner} is best for {', '.join(kinds)}" for winner, kinds in places.items()]
    return "Without qemu-fast, which wants the host's addresses for the guest's, " + "; ".join(told) + "."


def _fault_price(found: Sequence[Contest]) -> str:
    if not any(one.fault_ns for one in found):
        return "No host fault is taken."
    return f"A host fault costs {_now(found).text} here, by what it makes the host's kernel do."


def _table(every: Sequence[Contest], portable: Sequence[Contest], live: Sequence[Measured]) -> Table:
    rows = []
    others = by_kind(portable)
    for kind, several in by_kind(every).items():
        mine = others.get(kind, [])
        rows.append([_kind(kind), _winner(several), _by(several), _level(several, live)])
        rows[-1] += [_winner(mine), _by(mine), _level(mine, live), _range(mine)]
    return Table(HEAD, rows, caption="The best scheme for each kind of workload", name="workloads")


def _kind(kind: Kind) -> Cell:
    return Cell(f"{kind.name}: {kind.about}")


def _name(spec: str) -> str:
    return spec.partition(",")[0]


def _winner(found: Sequence[Contest]) -> Cell:
    winners = [_name(one.winner) for one in found]
    if len(set(winners)) == 1:
        return Cell(winners[0], mark="best")
    return Cell(", ".join(f"{name} in {winners.count(name)}" for name in dict.fromkeys(winners)))


def _by(found: Sequence[Contest]) -> Cell:
    """How many times faster than softmmu, or where that wins, than the next; a range over recordings."""
    if not found or len({_name(one.winner) for one in found}) > 1:
        return Cell(words.DASH)
    wins = _name(found[0].winner) == SOFTMMU
    ratios = [one.margin if wins else one.against(SOFTMMU) for one in found]
    if None in ratios:
        return Cell(words.DASH)
    than = _same([_name(one.runner_up) for one in found], "the next") if wins else SOFTMMU
    span = _span([words.significant(ratio) for ratio in (min(ratios), max(ratios))])
    return Cell(f"{span}x {than}", min(ratios))


def _range(found: Sequence[Contest]) -> Cell:
    """The prices of a fault at which every recording of the kind keeps its winner."""
    above = [one.above_ns for one in found if one.above_ns is not None]
    below = [one.below_ns for one in found if one.below_ns is not None]
    told = [f"over {words.duration(ns)}" for ns in sorted(above)[-1:]]
    told += [f"under {words.duration(ns)}" for ns in sorted(below)[:1]]
    return Cell(" and ".join(told) or "anything", max(above, default=min(below, default=0.0)))


def _now(found: Sequence[Contest]) -> Cell:
    prices = [one.fault_ns for one in found if one.fault_ns is not None]
    if not prices:
        return Cell(words.DASH)
    return Cell(_span([words.duration(price) for price in (min(prices), max(prices))]), min(prices))


def _level(found: Sequence[Contest], live: Sequence[Measured]) -> Cell:
    levels = [judge(one, live, today=one.host != DAY).level for one in found]
    worst = min(levels, key=WORST.index, default=words.DASH)
    return Cell(worst, mark="" if worst == SURE else "warn")


def _line(one: Contest, live: Sequence[Measured], *, portable: bool) -> list[Any]:
    verdict = judge(one, live, today=one.host != DAY)
    among = "portable" if portable else "all"
    ratio = Cell(f"{one.margin:.2f}x", one.margin)
    sure = Cell(verdict.level, mark="" if verdict.level == SURE else "warn")
    who = [one.recording, one.kind.name, one.host, among, one.winner, one.runner_up]
    return [*who, ratio, sure, verdict.why, _range([one]), _now([one])]


def rates_sections(evidence: Evidence, host: Profile) -> list[Any]:
    """What decides: each recording's faults for 1,000 accesses, and what it then takes beside softmmu."""
    records = []
    for one in contests(evidence, host):
        runs = {str(run.strategy): run for run in _runs(evidence, one)}
        for spec, ns in one.ns.items():
            if spec != SOFTMMU and SOFTMMU in one.ns and runs[spec].faults:
                rate = 1000 * runs[spec].share("faults")
                records.append([one.recording, one.kind.name, _name(spec), rate, ns / one.ns[SOFTMMU]])
    if not records:
        return []
    frame = pd.DataFrame(records, columns=["recording", "workload", "scheme", RATE, TIMES])
    spec = {"mark": "point", "x": RATE, "y": TIMES, "color": "scheme", "label": "recording", "rule": 1}
    chart = chart_of(frame, {**spec, "log_x": True, "log_y": True})
    slower = frame[frame[TIMES] > 1]
    least, most = slower[RATE].min(), frame[frame[TIMES] < 1][RATE].max()
    told = f"No recording with fewer than {words.significant(least)} faults per 1,000 accesses is slower than softmmu"
    told += f", and none with more than {words.significant(most)} is faster."
    alt = f"Points: {RATE} across, {TIMES} up, both logarithmic. {told}"
    return [
        Heading("What decides it: host faults", 3),
        Text(f"{told} mmuexp compare on a recording of your own says where it stands."),
        Chart(chart, frame, alt, f"Each point is a recording under a scheme, at the prices of {host.name}.", "faults"),
    ]


def _runs(evidence: Evidence, one: Contest) -> list[Any]:
    for experiment in one.kind.recordings:
        runs = evidence.recordings(experiment).get(one.recording)
        if runs:
            return list(runs.values())
    return []


def _span(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def _same(names: Sequence[str], otherwise: str) -> str:
    return names[0] if len(set(names)) == 1 else otherwise
