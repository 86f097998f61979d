"""What decides which scheme wins: host faults per 1,000 accesses; and how a reader places a workload of one's own."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mmuexp.claims.evidence import SOFTMMU, Evidence, Run
from mmuexp.price.host import Profile
from mmuexp.render import words
from mmuexp.render.chart.draw import chart_of
from mmuexp.render.html.sections import Chart, Heading, Text
from mmuexp.report.workloads import Contest, contests, scheme_of

RATE, TIMES = "host faults per 1,000 accesses", "time, as a multiple of softmmu's"
COLUMNS = ["recording", "workload", "scheme", RATE, TIMES]
OWN = (
    "mmuexp record -o mine.arrow -- ./program",
    "mmuexp calibrate",
    "mmuexp compare mine.arrow --host here",
    "mmuexp rerun results/programs --check",
)


def rates(evidence: Evidence, host: Profile) -> pd.DataFrame:
    """COLUMNS: a row a recording and scheme that took host faults and ran beside softmmu."""
    records = []
    for one in contests(evidence, host):
        runs = {str(run.strategy): run for run in _runs(evidence, one)}
        for spec, ns in one.ns.items():
            if spec != SOFTMMU and SOFTMMU in one.ns and runs[spec].faults:
                rate = 1000 * runs[spec].share("faults")
                records.append([one.recording, one.kind.name, scheme_of(spec), rate, ns / one.ns[SOFTMMU]])
    return pd.DataFrame(records, columns=COLUMNS)


def thresholds(frame: pd.DataFrame) -> tuple[float, float] | None:
    """(least rate of a run slower than softmmu, highest of a faster one); None unless there are both."""
    slower, faster = frame[frame[TIMES] > 1][RATE], frame[frame[TIMES] < 1][RATE]
    return (float(slower.min()), float(faster.max())) if len(slower) and len(faster) else None


def own_sections(evidence: Evidence, host: Profile) -> list[Any]:
    """What to type for a workload of one's own, and the rule that places it."""
    found = thresholds(rates(evidence, host))
    rule = ""
    if found:
        below, above = (words.significant(rate) for rate in (min(found), max(found)))
        rule = (
            f" By the recordings here, at the prices of {host.name}: with fewer than {below} host faults per 1,000"
            f" accesses a scheme that takes them beats softmmu, with more than {above} it loses, between them it may do"
            " either."
        )
    return [
        Text(
            f"A workload of your own: record it, price it on your machine (compare tells its host faults per 1,000"
            f" accesses), and make any figure here again.{rule}"
        ),
        Text("\n".join(OWN), "code"),
    ]


def rates_sections(evidence: Evidence, host: Profile) -> list[Any]:
    """What decides: each recording's faults for 1,000 accesses, and what it then takes beside softmmu."""
    frame = rates(evidence, host)
    if not len(frame):
        return []
    spec = {"mark": "point", "x": RATE, "y": TIMES, "color": "scheme", "label": "recording", "rule": 1}
    chart = chart_of(frame, {**spec, "log_x": True, "log_y": True})
    told = _told(frame, host)
    alt = f"Points: {RATE} across, {TIMES} up, both logarithmic. {told}"
    return [
        Heading("What decides it: host faults", 3),
        Text(f"{told} mmuexp compare on a recording of your own says where it stands."),
        Chart(chart, frame, alt, f"Each point is a recording under a scheme, at the prices of {host.name}.", "faults"),
    ]


def _told(frame: pd.DataFrame, host: Profile) -> str:
    found = thresholds(frame)
    if not found:
        return f"At the prices of {host.name} all runs with host faults lie on one side of softmmu."
    least, most = map(words.significant, found)
    return (
        f"At the prices of {host.name} no recording with fewer than {least} faults per 1,000 accesses is slower than"
        f" softmmu, and none with more than {most} is faster. Both move with what a fault and an instruction cost the"
        " host: dearer faults lower them, dearer instructions raise them."
    )


def _runs(evidence: Evidence, one: Contest) -> Sequence[Run]:
    for experiment in one.kind.recordings:
        runs = evidence.recordings(experiment).get(one.recording)
        if runs:
            return list(runs.values())
    return []
