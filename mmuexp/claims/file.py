"""Writes a report of claims in each format, by suffix."""

from collections.abc import Callable
from typing import Any

from mmuexp.claims.model import Finding, Part
from mmuexp.claims.report import ClaimsReport
from mmuexp.render.export import json_bytes, to_csv

FORMAT = "mmuexp-claims-1"
TITLE = "The claims of October 2004"


def _json(report: ClaimsReport) -> bytes:
    found = [_finding(one) for one in report.findings]
    return json_bytes({"format": FORMAT, "manifest": report.manifest, "claims": found})


def _finding(finding: Finding) -> dict[str, Any]:
    claim = finding.claim
    about = {name: getattr(claim, name) for name in ("number", "author", "says", "where", "rule")}
    return {
        **about,
        "stand_in": finding.stand_in,
        "verdict": finding.verdict,
        "verdicts": {host: finding.verdict_at(host) for host in finding.hosts},
        "decided_by": finding.decided_by,
        "guests_of_64_bits": list(finding.wide),
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


def _md(report: ClaimsReport) -> bytes:
    from mmuexp.render.claims import markdown

    return markdown(report).encode()


def _html(report: ClaimsReport) -> bytes:
    from mmuexp.render.claims import sections
    from mmuexp.render.html.page import page
    from mmuexp.render.html.sections import Heading

    return page(TITLE, [Heading("Claims and verdicts"), *sections(report)], report.manifest).encode()


WRITERS: dict[str, Callable[[ClaimsReport], bytes]] = {".csv": to_csv, ".json": _json, ".md": _md, ".html": _html}
