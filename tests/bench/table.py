"""A row of speed.csv, and the verdict that follows from it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

COLUMNS = ("section", "goal", "name", "value", "low", "high", "unit", "relation", "target", "ratio", "verdict", "note")
MET, NOT_MET, NOT_MEASURED = "met", "NOT met", "not measured"
GOALS = {  # each must be in the table
    "1a": "compare with one scheme, against the fastest peer from PyPI",
    "1b": "compare with one scheme, against only decoding the file",
    "2a": "compare with all four schemes, against one",
    "2b": "sweep of 11 values, against one value",
    "2c": "sweep of 11 values x 4 pool sizes, against one value",
    "3": "a trace that thrashes, each scheme",
    "4a": "resident memory",
    "4b": "both cores are used",
    "4c": "-j says how many",
    "5a": "mmuexp --help",
    "5b": "mmuexp compare on the default trace, to the table",
    "5c": "compile time of kernels is told",
    "6a": "recording, against lackey writing a file",
    "6b": "bytes per row of every bundled file",
    "7a": "cost grows linearly with rows",
    "7b": "cost grows far slower with parameter values",
    "8a": "bytes a row of some recordings, format 2",
    "8b": "compare with one scheme, against the code that read rows",
    "8c": "rows of a guest of 64 bits, against those of the same program in 32",
    "8d": "lines of replay/ and trace/, against that code's",
    "8e": "traces whose blocks are of no use",
}


def digits(value: float | None) -> str:
    """Four significant digits, without an exponent; "" for None."""
    if value is None:
        return ""
    return f"{float(f'{value:.4g}'):.10f}".rstrip("0").rstrip(".")


def verdict_of(value: str, relation: str, target: str) -> str:
    """Of the figures as the table shows them; "" where there is no target."""
    if not target:
        return ""
    if not value:
        return NOT_MEASURED
    found, wanted = float(value), float(target)
    return MET if (found >= wanted if relation == ">=" else found <= wanted) else NOT_MET


@dataclass
class Row:
    """`section` is goal, figure, curve or stage; `value` is a median of rounds, `low` and `high` their extremes."""

    section: str
    goal: str
    name: str
    values: Sequence[float]
    unit: str
    relation: str = ""
    target: float | None = None
    note: str = ""

    def record(self) -> dict[str, str]:
        value = digits(median(self.values)) if self.values else ""
        target = digits(self.target)
        return {
            "section": self.section,
            "goal": self.goal,
            "name": self.name,
            "value": value,
            "low": digits(min(self.values)) if self.values else "",
            "high": digits(max(self.values)) if self.values else "",
            "unit": self.unit,
            "relation": self.relation,
            "target": target,
            "ratio": digits(float(value) / float(target)) if value and target else "",
            "verdict": verdict_of(value, self.relation, target),
            "note": self.note,
        }


def ratios(above: Sequence[dict], below: Sequence[dict], what: str = "seconds") -> list[float]:
    """Round by round."""
    return [a[what] / b[what] for a, b in zip(above, below, strict=True)]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.record() for row in rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown(records: Sequence[dict[str, str]], about: dict) -> str:
    """speed.md: the goals first, then what else was measured."""
    machine, versions = about["machine"], {**about["versions"], **about["peers"]}
    told = [record["verdict"] for record in records if record["section"] == "goal"]
    parts = [
        "# Speed\n",
        f"One run on one machine ({machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}; commit {about['commit']}"
        f"{', modified' if about['modified'] else ''}; {about['rounds']} rounds; load {about['load']} before the run).",
        "`make bench` measures all of it again, and no second run gives the same digits. Each ratio is the median of "
        "pairs measured in turn, with the least and the most of them; [README.md](README.md) says how, and what "
        "bounds each.\n",
        f"{told.count(MET)} met, {told.count(NOT_MET)} NOT met, {told.count(NOT_MEASURED)} not measured.\n",
        "| goal | | measured | spread | target | of the target | |\n|---|---|---:|---:|---:|---:|---|",
    ]
    for r in (r for r in records if r["section"] == "goal"):
        name = r["name"] + (f" ({r['note']})" if r["note"] else "")
        verdict = f"**{r['verdict']}**" if r["verdict"] != MET else MET
        unit, sign = r["unit"], "at least" if r["relation"] == ">=" else "at most"
        measured = f"{r['value']} {unit}" if r["value"] else ""
        cells = (r["goal"], name, measured, f"{r['low']} .. {r['high']}", f"{sign} {r['target']}", r["ratio"], verdict)
        parts.append(f"| {' | '.join(cells)} |")
    titles = {"figure": "What the ratios are made of", "curve": "Cost against rows, and against values", "stage": ""}
    titles["stage"] = "Where the time of `compare -s map-block` goes, on one core"
    for section, title in titles.items():
        parts.append(f"\n## {title}\n\n| | median | spread | |\n|---|---:|---:|---|")
        for r in (r for r in records if r["section"] == section):
            parts.append(f"| {r['name']} | {r['value']} {r['unit']} | {r['low']} .. {r['high']} | {r['note']} |")
    return "\n".join(parts) + "\n"
