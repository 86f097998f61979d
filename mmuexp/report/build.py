"""The report: `report(...)` reads results/ as committed, prices its counts at a host, and gives a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmuexp.claims.evidence import Evidence, runs_of
from mmuexp.claims.gather import DAY, hosts_of, results_folder
from mmuexp.errors import MmuexpError
from mmuexp.price.host import Profile, profile_of_dict
from mmuexp.render.html.page import page
from mmuexp.render.html.sections import Details, Heading, Text
from mmuexp.report.experiments import can_price, digest_of, experiment_sections, index_of
from mmuexp.report.summary import summary_sections
from mmuexp.report.sure import sure_sections
from mmuexp.report.today import needed_sections, today_sections
from mmuexp.report.workloads import ours, scheme_of
from mmuexp.rerun.about import LIVE, read
from mmuexp.rerun.measured import live_results, timed_runs
from mmuexp.rerun.rerun import experiments
from mmuexp.result import manifest
from mmuexp.result.saved import load
from mmuexp.result.table import Result

TITLE = "How should an emulator translate guest memory?"
LEAD = (
    "{count} schemes, on recordings of real programs, firmware and a Linux boot: which one to choose for a workload"
    " like yours, why, and how sure to be. Every number can be made again."
)


@dataclass(frozen=True)
class Overview:
    """Holds what the page shows; `manifest` says what it was made of. `left_out`: experiments that were never made;
    `lead` stands below the title."""

    sections: list[Any]
    manifest: dict[str, Any]
    left_out: tuple[str, ...] = ()
    lead: str = ""

    def html(self) -> str:
        return page(TITLE, self.sections, self.manifest, self.lead)


def report(
    results: str | os.PathLike | None = None,
    *,
    host: str | os.PathLike | Profile | Sequence | None = None,
    command: Sequence[str] = (),
) -> Overview:
    """The overview of a folder of experiments; arguments are those of `mmuexp.report`.

    Raises MmuexpError for a folder without experiments, or with one that is not valid.
    """
    started = manifest.utc_now()
    folder = Path(results) if results is not None else results_folder()
    hosts = hosts_of(host)
    hosts = hosts[::-1] if host is None or not isinstance(host, list | tuple) else hosts  # the reader's host first
    abouts = [read(one) for one in experiments(folder)] if folder.is_dir() else []
    made = [about for about in abouts if all((about.folder / f"{name}.csv").is_file() for name in about.commands)]
    left_out, abouts = tuple(about.name for about in abouts if about not in made), made
    if not abouts:
        todo = "name a folder such as results/; of one recording, `mmuexp compare FILE -o page.html` makes a page"
        raise MmuexpError("holds no experiment", where=str(results or folder), todo=todo)
    saved = {one.name: {name: load(str(one.folder / f"{name}.csv")) for name in one.commands} for one in abouts}
    tables = live_results(folder / LIVE)
    results_of = [*(result for one in saved.values() for result in one.values()), *tables.values()]
    live = timed_runs(results_of)
    sections = [
        *_answers(saved, Evidence({}, hosts, timed=live, also=live_hosts(tables))),
        Heading("How sure to be", id="sure"),
        *sure_sections(hosts, live),
        *_claims(hosts, results),
        Heading("Every experiment", id="experiments"),
        Text("Each is a folder of results/; its prices are those of the first host here, its counts as committed."),
        *[Text(f"Left out, never made: {', '.join(left_out)}. mmuexp rerun makes them.", "note")] * bool(left_out),
        index_of(abouts),
    ]
    for about in abouts:
        sections += experiment_sections(about, saved[about.name], hosts[0])
    whole = _manifest(abouts, saved, hosts, left_out, command, started)
    return Overview(sections, whole, left_out, LEAD.format(count=_count(schemes_of(saved))))


def live_hosts(tables: Mapping[str, Result]) -> list[Profile]:
    """The prices that each run of results/live measured on its machine, named by its file; none that are not all of
    today's."""
    found = []
    for name, table in tables.items():
        with suppress(MmuexpError):
            profile = profile_of_dict(table.manifest.get("prices", {}).get("host", {}), name)
            found.append(replace(profile, name=f"results/{LIVE}/{name}"))
    return found


def schemes_of(saved: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """The schemes of ours that any experiment ran."""
    frames = [result.frame for one in saved.values() for result in one.values()]
    ran = {scheme_of(spec) for frame in frames if "strategy" in frame.columns for spec in frame["strategy"].unique()}
    return [name for name in ours() if name in ran]


def _count(names: Sequence[str]) -> str:
    few = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
    return few[len(names)] if len(names) < len(few) else str(len(names))


def _answers(saved: dict[str, dict[str, Result]], measured: Evidence) -> list[Any]:
    """What the experiments answer, with what was measured live."""
    tables, of_all = {}, {}
    for name, results in saved.items():
        first, *others = (runs_of(one) if one.kind == "compare" and can_price(one) else [] for one in results.values())
        tables[name], of_all[name] = first, [*first, *(run for runs in others for run in runs)]
    evidence, whole = replace(measured, tables=tables), replace(measured, tables=of_all)
    of_today = [host for host in measured.hosts if host.name != DAY][:1]
    of_the_day = [host for host in measured.hosts if host.name == DAY]
    today = [section for host in of_today for section in today_sections(whole, host)]
    needed = [section for host in of_the_day for section in needed_sections(evidence, host)]
    return [
        *[Heading("What to build today", id="today"), *today] * bool(today),
        *[Heading("What the mail's schemes would have needed in 2004", id="needed"), *needed] * bool(needed),
        Heading("Which scheme for a workload like yours", id="choose"),
        *summary_sections(evidence),
    ]


def _claims(hosts: Sequence[Profile], results: Any) -> list[Any]:
    """The mail's claims, which rest on the experiments of this project."""
    if results is not None and Path(results).resolve() != results_folder().resolve():
        return []
    from mmuexp.claims.report import claims
    from mmuexp.render.claims import sections

    first, *others = sections(claims(host=list(hosts)))
    details = Details("Each claim, with the figures that its verdict is made of", others)
    return [Heading("What the mail claims", id="claims"), first, details]


def _manifest(abouts, saved, hosts, left_out, command, started) -> dict[str, Any]:
    made_of = []
    for about in abouts:
        for name, result in saved[about.name].items():
            file = about.folder / f"{name}.csv"
            beside = digest_of(file.with_name(f"{file.name}{manifest.SUFFIX}"))
            one = {"experiment": about.name, "table": file.name, "sha256": digest_of(file), "manifest_sha256": beside}
            made_of.append(one | {name: result.manifest.get(name) for name in ("commit", "command")})
    about_all = {"experiments": made_of, "hosts": [host.as_dict() for host in hosts], "left_out": list(left_out)}
    return manifest.of_run("report", command, started, "yes", **about_all)
