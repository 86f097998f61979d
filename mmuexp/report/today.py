"""Answer what to build today, for guests of 32 and of 64 bits; what each known design takes beside the best; and what
the mail's schemes would have needed to win in 2004."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmuexp.claims.evidence import BYTE_LOOKUP, MAP_BLOCK, QEMU_10, QEMU_FAST, SOFTMMU, CountedRun, Evidence
from mmuexp.guest import ADDRESS_BITS, WIDE_BITS
from mmuexp.price.host import Profile
from mmuexp.price.verdict import BELOW
from mmuexp.render import words
from mmuexp.render.html.sections import Cell, Heading, Table, Text
from mmuexp.report.summary import how_sure, price_range
from mmuexp.report.workloads import (
    KINDS,
    Contest,
    Kind,
    by_kind,
    contest_of,
    contests,
    judge,
    ours,
    scheme_of,
    tried_together,
)  # fmt: skip
from mmuexp.rerun.measured import LiveTime
from mmuexp.strategy.designs import DESIGNS, names_of
from mmuexp.strategy.registry import TODAY, all_strategies

EXPERIMENTS = ("today", "guest64", "linux-boots")  # whose runs answer it; one that is not there is left out
WIDTHS = (ADDRESS_BITS, WIDE_BITS)
HEAD = ["guest of", "workload", "build", "as in", "times as fast as QEMU 10's TLB", "by the clock", "next best", "by"]
HEAD += ["how sure", "while a host fault costs"]
DESIGN_HEAD = ["design", "its guest", "here", "at best", "where", "at worst", "where", "what beats it there"]
DESIGN_HEAD += ["otherwise"]
NEEDED = ["workload", "best of the mail's", "of softmmu's time", "a host fault cost", "it would win below"]
NEEDED += ["so cheaper by"]
MAIL = (BYTE_LOOKUP, MAP_BLOCK, QEMU_FAST)


def today_sections(evidence: Evidence, host: Profile) -> list[Any]:
    """The table of what to build, and that of the designs; nothing where no experiment ran them."""
    found = today_contests(evidence, host)
    if not found:
        return []
    rows = [_row(kind, bits, several) for bits in WIDTHS for kind, several in by_kind(_of(found, bits)).items()]
    missing = [bits for bits in WIDTHS if not _of(found, bits)]
    lead = (
        "Of what emulators are built with now, and of what they could be, the cheapest for each kind of workload, at"
        f" the prices of {host.name}. A guest of 32 bits is i386, one of 64 bits x86-64."
    )
    told = [lead, *(f"No recording of a guest of {bits} bits was run." for bits in missing)]
    told += [
        f"Not run on guests of {bits} bits: {', '.join(names)}." for bits in WIDTHS if (names := _not_run(found, bits))
    ]
    caption = "The scheme of today that takes least, for each kind of workload"
    designs = _designs(evidence, host)
    return [
        Text(told),
        Table(HEAD, rows, caption=caption, name="today", wrap=True),
        Heading("Your design, and what beats it", 3),
        Text(
            "Each design under its usual name: the least and the most that it takes, as a multiple of what the best"
            " scheme takes on the same recording, and which that is. mmuexp strategy show tells its trade-offs."
        ),
        Table(DESIGN_HEAD, designs, caption="Designs of emulators beside the best", name="designs", wrap=True),
    ]


def today_contests(evidence: Evidence, host: Profile) -> list[Contest]:
    """Every recording of every kind under the schemes of today, each in the best of the settings that were run."""
    found = []
    ran, live = _runs(evidence), evidence.timed
    for kind in KINDS:
        for recording in kind.all_recordings(evidence):
            runs = ran.get(recording, [])
            if len({run.strategy.name for run in runs}) > 1 and runs[0].counts["accesses"]:
                one = contest_of(kind, recording, runs, host, evidence.also)
                bits = WIDE_BITS if runs[0].is_wide else ADDRESS_BITS
                found.append(replace(one, verdict=judge(one, live), live=_by_clock(one, live), bits=bits))
    return found


def _runs(evidence: Evidence) -> dict[str, list[CountedRun]]:
    """Recording -> its runs under schemes of today."""
    found: dict[str, list[CountedRun]] = {}
    for run in evidence.runs(*EXPERIMENTS):
        if run.strategy.GROUP == TODAY and not _is_bound(run.strategy):
            found.setdefault(run.recording, []).append(run)
    return found


def _is_bound(strategy: Any) -> bool:
    """Does nobody look at stores to code? A guest whose CPU does has to say so itself, and an x86 guest does not."""
    return getattr(strategy, "code", "") == "free" or getattr(strategy, "tables", 2) == 1


def _of(found: Sequence[Contest], bits: int) -> list[Contest]:
    return [one for one in found if one.bits == bits]


def _not_run(found: Sequence[Contest], bits: int) -> list[str]:
    """Schemes of today that no recording of this width ran under; none where there is no recording."""
    ran = {scheme_of(spec) for one in _of(found, bits) for spec in one.ns}
    today = [name for name in ours() if all_strategies()[name].GROUP == TODAY]
    return [name for name in today if ran and name not in ran]


def _by_clock(one: Contest, live: Sequence[LiveTime]) -> float | None:
    """How many times faster than QEMU's TLB the winner was in one run of the live engine; None if nobody measured."""
    tried = tried_together(one, live)
    mine, its = tried.get(one.winner), tried.get(QEMU_10)
    return its.ns / mine.ns if mine and its and mine.ns and its.ns else None


def _row(kind: Kind, bits: int, found: Sequence[Contest]) -> list[Any]:
    """A line for a kind: several recordings give ranges, and each winner."""
    winners = list(dict.fromkeys(one.winner for one in found))
    known = list(dict.fromkeys(name for spec in winners for name in names_of(spec)))
    against = [ratio for one in found if (ratio := one.against(QEMU_10)) is not None]
    clock = [one.live for one in found if one.live is not None]
    nexts = list(dict.fromkeys(one.runner_up for one in found))
    same = len({scheme_of(spec) for spec in winners}) == 1
    return [
        Cell(f"{bits} bits", bits),
        Cell(f"{kind.name}: {kind.about}"),
        Cell("; ".join(winners), mark="best" if same else ""),
        Cell("; ".join(known) or words.DASH),
        _span(against, "x"),
        _span(clock, "x"),
        Cell("; ".join(nexts)),
        _span([one.margin for one in found], "x"),
        how_sure(found),
        price_range(found),
    ]


def _span(values: Sequence[float], unit: str) -> Cell:
    if not values:
        return Cell(words.DASH)
    least, most = (words.significant(value) for value in (min(values), max(values)))
    return Cell(f"{least}{unit}" if least == most else f"{least} to {most}{unit}", min(values))


def _designs(evidence: Evidence, host: Profile) -> list[list[Any]]:
    """A line for each design: on which recordings it stands best and worst beside the cheapest scheme of today."""
    rows = []
    times = {name: {str(run.strategy): run.ns(host) for run in runs} for name, runs in _runs(evidence).items()}
    best_on = {name: min(of_spec, key=of_spec.__getitem__) for name, of_spec in times.items()}
    for design in DESIGNS:
        ratios = [
            (of_spec[design.spec] / of_spec[best_on[name]], name, best_on[name])
            for name, of_spec in times.items()
            if design.spec in of_spec
        ]
        if ratios:
            (least, good, _), (most, bad, best_there) = min(ratios), max(ratios)
            ends = [Cell(f"{words.significant(least)}x", least), good, Cell(f"{words.significant(most)}x", most), bad]
            beaten = best_there if most > 1 else words.DASH
            rows.append([design.name, design.guest, design.spec, *ends, beaten, design.differs])
    return rows


def needed_sections(evidence: Evidence, host: Profile) -> list[Any]:
    """For each recording of a kind: how dear a host fault was at the day's `host`, and at which price the best of the
    mail's mmap schemes would have beaten softmmu."""
    rows = [row for one in contests(evidence, host) if (row := _needed(one, evidence, host))]
    if not rows:
        return []
    told = (
        f"At the prices of {host.name} ({host.about}): what the schemes that the mail proposed took beside softmmu, and"
        " at which price of a host fault, mapping and all, the best of them would have been ahead."
    )
    return [Text(told), Table(NEEDED, rows, caption="What a host fault had to cost", name="needed", wrap=True)]


def _needed(one: Contest, evidence: Evidence, host: Profile) -> list[Any] | None:
    runs = [run for run in evidence.runs(*one.kind.recordings) if run.recording == one.recording]
    base = next((run for run in runs if str(run.strategy) == SOFTMMU), None)
    mine = min((r for r in runs if r.strategy.name in MAIL), key=lambda run: run.ns(host), default=None)
    if base is None or mine is None or mine.is_wide:  # there was no guest of 64 bits in the mail
        return None
    even, time = mine.even(base, host), mine.ns(host) / base.ns(host)
    below = even.fault_ns if even.wins == BELOW else None
    cheaper = even.now_ns / below if below and even.now_ns else None
    won = time < 1
    return [
        f"{one.kind.name} ({one.recording})",
        str(mine.strategy),
        Cell(f"{words.significant(100 * time)} %", time, "best" if won else ""),
        words.duration(even.now_ns),
        Cell(words.duration(below), below) if below else Cell("any price" if won else "no price"),
        Cell("it won" if won else f"{words.significant(cheaper)}x" if cheaper else words.DASH, cheaper),
    ]
