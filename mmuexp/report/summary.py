"""Answer first who wins at which kind of workload, at each host; then what decides it, and how to place one's own."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mmuexp.claims.evidence import PATCHED, QEMU_FAST, SOFTMMU, WIDE, Evidence
from mmuexp.render import words
from mmuexp.render.chart.draw import chart_of
from mmuexp.render.html.sections import Cell, Chart, Details, Heading, Table, Text
from mmuexp.report.workloads import MEANINGS, SPLIT, SURE, Contest, by_kind, contests, scheme_of

LEVELS = (
    "How sure: of several recordings the least sure counts. "
    + " ".join(f'"{level}": {meaning}.' for level, meaning in MEANINGS.items())
    + " The table of every recording, below the chart, says why."
)
HEAD = ["workload", *["best", "times as fast as", "how sure"] * 2, "while a host fault costs"]
GROUPS = [("", 1), ("best of all", 3), (f"best without {QEMU_FAST}", 4)]
WHERE = {WIDE: "on a 64-bit host", PATCHED: "with a patched guest kernel"}

RATE, TIMES = "host faults per 1,000 accesses", "time, as a multiple of softmmu's"
RATES = ["recording", "workload", "scheme", RATE, TIMES]
OWN = (
    "mmuexp record -o mine.arrow -- ./program",
    "mmuexp calibrate",
    "mmuexp compare mine.arrow --host here",
    "mmuexp rerun results/programs --check",
)


def summary_sections(evidence: Evidence) -> list[Any]:
    """What `how sure` says; for each host a sentence and a table of workloads; what decides, as a chart; then every
    recording."""
    hosts = evidence.hosts
    every = {host.name: contests(evidence, host) for host in hosts}
    frame = rates(every[hosts[0].name])
    found: list[Any] = [*own_sections(frame, hosts[0].name), Text(LEVELS, "note")]
    details: list[list[Any]] = []
    for host in hosts:
        but = contests(evidence, host, without=QEMU_FAST)
        found += [Heading(f"At the prices of {host.name}", 3), Text(f"{host.about}.", "note")]
        found += [Text([sentence(but), _fault_price(but)]), _table(every[host.name], but)]
        details += [_line(one, "all") for one in every[host.name]]
        details += [_line(one, f"all but {QEMU_FAST}") for one in but]
    found += rates_sections(frame, hosts[0].name)
    head = ["recording", "workload", "host", "among", "best", "next", "by", "how sure", "why"]
    head += ["while a host fault costs", "a fault costs there", "not run"]
    found.append(Details("Every recording, with why it is sure or not", [Table(head, details, name="recordings")]))
    return found


def sentence(found: Sequence[Contest]) -> str:
    """Which scheme wins where, in words."""
    places: dict[str, list[str]] = {}
    for kind, several in by_kind(found).items():
        for winner in dict.fromkeys(scheme_of(one.winner) for one in several):
            all_of = all(scheme_of(one.winner) == winner for one in several)
            name = kind.name[0].lower() + kind.name[1:]
            places.setdefault(winner, []).append(name if all_of else f"{name} (in part)")
    told = [f"{winner} is best for {', '.join(kinds)}" for winner, kinds in places.items()]
    return "Without qemu-fast, which wants the host's addresses for the guest's, " + "; ".join(told) + "."


def _fault_price(found: Sequence[Contest]) -> str:
    if not any(one.fault_ns for one in found):
        return "No host fault is taken."
    return f"A host fault costs {_now(found).text} here, by what it makes the host's kernel do."


def _table(every: Sequence[Contest], but: Sequence[Contest]) -> Table:
    rows = []
    others = by_kind(but)
    for kind, several in by_kind(every).items():
        mine = others.get(kind, [])
        rows.append([Cell(f"{kind.name}: {kind.about}"), _winner(several), _by(several), how_sure(several)])
        rows[-1] += [_winner(mine), _by(mine), how_sure(mine), price_range(mine)]
    caption = "The best scheme for each kind of workload"
    return Table(HEAD, rows, caption=caption, name="workloads", groups=GROUPS, wrap=True)


def _called(spec: str) -> str:
    """With its setting, where it is not the default one, and what that wants."""
    return f"{spec} ({WHERE[spec]})" if spec in WHERE else spec


def _winner(found: Sequence[Contest]) -> Cell:
    """Who wins; how many recordings each where they differ; and which scheme was never run on some."""
    winners = [_called(one.winner) for one in found]
    told = ", ".join(f"{name} in {winners.count(name)}" for name in dict.fromkeys(winners))
    not_run = list(dict.fromkeys(name for one in found for name in one.not_run))
    missing = f"; {', '.join(not_run)} not run" if not_run else ""
    text = (winners[0] if len(set(winners)) == 1 else told) + missing if found else words.DASH
    return Cell(text, mark="warn" if missing else "" if _differ(found) or not found else "best")


def _differ(found: Sequence[Contest]) -> bool:
    return len({scheme_of(one.winner) for one in found}) > 1


def _by(found: Sequence[Contest]) -> Cell:
    """How many times faster than softmmu, or where that wins, than the next; a range over recordings."""
    if not found or _differ(found):
        return Cell(words.DASH)
    wins = scheme_of(found[0].winner) == SOFTMMU
    known = [one.margin if wins else one.against(SOFTMMU) for one in found]
    ratios = [ratio for ratio in known if ratio is not None]
    if len(ratios) < len(known):
        return Cell(words.DASH)
    seconds = {scheme_of(one.runner_up) for one in found}
    than = SOFTMMU if not wins else seconds.pop() if len(seconds) == 1 else "the next"
    span = _span([words.significant(ratio) for ratio in (min(ratios), max(ratios))])
    return Cell(f"{span}x {than}", min(ratios))


def price_range(found: Sequence[Contest]) -> Cell:
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


def how_sure(found: Sequence[Contest]) -> Cell:
    """The least sure of several recordings; they disagree where schemes differ, not settings of one."""
    levels = [one.verdict.level for one in found] + [SPLIT] * _differ(found)
    worst = max(levels, key=list(MEANINGS).index, default=words.DASH)  # the surest comes first
    return Cell(worst, mark="" if worst == SURE else "warn")


def _line(one: Contest, among: str) -> list[Any]:
    ratio = Cell(f"{one.margin:.2f}x", one.margin)
    who = [one.recording, one.kind.name, one.host, among, one.winner, one.runner_up]
    return [*who, ratio, how_sure([one]), one.verdict.why, price_range([one]), _now([one]), ", ".join(one.not_run)]


def _span(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def rates(found: Sequence[Contest]) -> pd.DataFrame:
    """RATES: a row a recording and scheme that took host faults and ran beside softmmu."""
    records = [
        [one.recording, one.kind.name, scheme_of(spec), one.faults[spec], ns / one.ns[SOFTMMU]]
        for one in found
        for spec, ns in one.ns.items()
        if spec != SOFTMMU and SOFTMMU in one.ns and one.faults[spec]
    ]
    return pd.DataFrame(records, columns=RATES)


def thresholds(frame: pd.DataFrame) -> tuple[float, float] | None:
    """(least rate of a run slower than softmmu, highest of a faster one); None unless there are both."""
    slower, faster = frame[frame[TIMES] > 1][RATE], frame[frame[TIMES] < 1][RATE]
    return (float(slower.min()), float(faster.max())) if len(slower) and len(faster) else None


def own_sections(frame: pd.DataFrame, host: str) -> list[Any]:
    """What to type for a workload of one's own, and the rule that places it."""
    found = thresholds(frame)
    rule = ""
    if found:
        below, above = (words.significant(rate) for rate in (min(found), max(found)))
        rule = (
            f" By the recordings here, at the prices of {host}: with fewer than {below} host faults per 1,000"
            f" accesses a scheme that takes them beats softmmu, with more than {above} it loses, between them it may do"
            " either."
        )
    told = (
        "A workload of your own: record it, price it on your machine (compare tells its host faults per 1,000"
        f" accesses), and make any figure here again.{rule}"
    )
    return [Text(told), Text("\n".join(OWN), "code")]


def rates_sections(frame: pd.DataFrame, host: str) -> list[Any]:
    """What decides: each recording's faults for 1,000 accesses, and what it then takes beside softmmu."""
    if not len(frame):
        return []
    spec = {"mark": "point", "x": RATE, "y": TIMES, "color": "scheme", "label": "recording", "rule": 1}
    chart = chart_of(frame, {**spec, "log_x": True, "log_y": True})
    told = _told(frame, host)
    alt = f"Points: {RATE} across, {TIMES} up, both logarithmic. {told}"
    return [
        Heading("What decides it: host faults", 3),
        Text(f"{told} mmuexp compare on a recording of your own says where it stands."),
        Chart(chart, frame, alt, f"Each point is a recording under a scheme, at the prices of {host}.", "faults"),
    ]


def _told(frame: pd.DataFrame, host: str) -> str:
    found = thresholds(frame)
    if not found:
        return f"At the prices of {host} all runs with host faults lie on one side of softmmu."
    least, most = map(words.significant, found)
    return (
        f"At the prices of {host} no recording with fewer than {least} faults per 1,000 accesses is slower than"
        f" softmmu, and none with more than {most} is faster. Both move with what a fault and an instruction cost the"
        " host: dearer faults lower them, dearer instructions raise them."
    )
