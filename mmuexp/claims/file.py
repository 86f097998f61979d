"""A report of claims as a file; the suffix decides. Claimed before the work; the manifest beside it, in JSON inside."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from mmuexp.claims.model import Finding, Part
from mmuexp.claims.report import Report
from mmuexp.render.export import Output

FORMAT = "mmuexp-claims-1"
TITLE = "The claims of October 2004"


def to_csv(report: Report) -> bytes:
    return report.frame.to_csv(index=False, lineterminator="\n").encode()


def to_json(report: Report) -> bytes:
    document = {"format": FORMAT, "manifest": report.manifest, "claims": [_finding(one) for one in report.findings]}
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _finding(finding: Finding) -> dict[str, Any]:
    claim = finding.claim
    about = {name: getattr(claim, name) for name in ("number", "author", "says", "where", "rule")}
    return {
        **about,
        "stand_in": finding.stand_in,
        "verdict": finding.verdict,
        "verdicts": {host: finding.verdict_at(host) for host in finding.hosts},
        "decided_by": finding.decided_by,
        "sources": [vars(source) for source in finding.sources],
        "parts": [_part(part) for part in finding.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "meaning": part.meaning,
        "verdicts": {host: part.verdict(host) for host in part.hosts},
        "conditions": part.conditions,
        "holds_on": part.recordings(True),
        "does_not_hold_on": part.recordings(False),
        "differs_by_host": part.undecided(),
        "figures": [{name: value for name, value in vars(one).items() if name != "key"} for one in part.figures],
    }


def to_md(report: Report) -> bytes:
    from mmuexp.render.claims import markdown

    return markdown(report).encode()


def to_html(report: Report) -> bytes:
    from mmuexp.render.html.page import page
    from mmuexp.render.html.sections import Heading

    sections = [Heading("Claims and verdicts"), *report.sections()]
    return page(TITLE, sections, report.manifest).encode()


WRITERS: dict[str, Callable[[Report], bytes]] = {".csv": to_csv, ".json": to_json, ".md": to_md, ".html": to_html}


class ClaimsFile(Output):
    """One output file of `mmuexp claims`."""

    writers: ClassVar[Mapping[str, Callable]] = WRITERS
