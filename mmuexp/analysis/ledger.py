"""What a result is made of as it grows, trace by trace."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmuexp.analysis.cuts import Cuts
from mmuexp.analysis.passes import Run
from mmuexp.analysis.records import half_of, judged, record_of
from mmuexp.price.host import Profile
from mmuexp.price.priced import Priced, price, price_table
from mmuexp.result import manifest
from mmuexp.result.table import LIVE, WINDOW, Result, make_frame
from mmuexp.trace.loadseed import LOAD_SEED


@dataclass
class Replayed:
    """What schemes counted on one trace, at one load address (None: as recorded, and no other is asked for)."""

    trace: str
    reference: str
    load_seed: int | None
    runs: list[Run] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # spec -> why
    live: Mapping[str, Any] = field(default_factory=dict)  # spec -> TimedRun
    from_store: list[str] = field(default_factory=list)  # specs that were not replayed now


class Ledger:
    """Collects what was replayed, and makes a Result of it in the end: prices may be measured until then."""

    def __init__(self, kind: str, cuts: Cuts, values: Mapping[str, Mapping], command: Sequence[str] | None):
        """`values` are those of the parameter columns, by spec; `command` None is this process's command line."""
        self.kind, self.cuts, self.values = kind, cuts, values
        self.command = sys.argv if command is None else command
        self.started = manifest.utc_now()
        self.parts: list[tuple[Replayed, dict[str, Any]]] = []

    def add(self, part: Replayed, facts: dict[str, Any]) -> None:
        """Take in what was counted on a trace; `facts` are what a manifest tells of that."""
        self.parts.append((part, facts))

    def result(self, host: Profile, complete: str, live: Mapping[str, Any] | None = None) -> Result:
        """Price everything at `host`. `complete` is "yes" or says what is missing; `live` how engines were timed."""
        records: list[dict[str, Any]] = []
        told: dict[str, list] = {"traces": [], "verdicts": [], "certainty": [], "pressure": []}
        told |= {"second_half": [], "left_out": [], "from_store": []}
        for part, facts in self.parts:
            priced = [(run, price(run.strategy, run.counts, host)) for run in part.runs]
            records += self._records(part, priced, host)
            totals = [(run, cost) for run, cost in priced if run.window is None]
            new = judged(self.kind, part.trace, part.reference, totals, self.values, host, part.load_seed)
            new["second_half"] = [half for run, _ in totals for half in half_of(part.trace, run)]
            for name, more in new.items():
                told[name] += more
            if part.from_store:
                where = {} if part.load_seed is None else {LOAD_SEED: part.load_seed}
                told["from_store"].append({"trace": part.trace, **where, "strategies": part.from_store})
            left_out = [{"trace": part.trace, "strategy": spec, "why": why} for spec, why in part.left_out.items()]
            for name, more in (("traces", [facts]), ("left_out", left_out)):  # once for all load addresses
                told[name] += [one for one in more if one not in told[name]]
        seeded = [LOAD_SEED] if any(LOAD_SEED in record for record in records) else []
        columns = tuple(dict.fromkeys([*seeded, *(name for row in self.values.values() for name in row)]))
        window = () if self.cuts.every is None else (WINDOW,)
        frame = make_frame(records, [*window, *columns, *(LIVE if live else ())])
        about = self._manifest(complete, told, host) | {"parameters": list(columns)}
        about |= {} if live is None else {"live": dict(live)}
        frame.attrs["manifest"] = about
        return Result(self.kind, frame, about, columns)

    def _records(self, part: Replayed, priced: Sequence[tuple[Run, Priced]], host: Profile) -> list[dict[str, Any]]:
        """The rows of the table: windows if there are any, else totals."""
        values = dict(self.values)
        if part.live:
            from mmuexp.analysis.live_columns import live_columns

            values |= live_columns(part.live, part.runs, host)
        shown = [(run, cost) for run, cost in priced if (run.window is None) == (self.cuts.every is None)]
        return [record_of(part.trace, run, cost, host, values, part.load_seed) for run, cost in shown]

    def _manifest(self, complete: str, told: dict[str, list], host: Profile) -> dict[str, Any]:
        runs = [run for part, _ in self.parts for run in part.runs]
        strategies = list({str(run.strategy): run.strategy for run in runs}.values())
        about: dict[str, Any] = {"every": self.cuts.every, "warmup": self.cuts.warmup}
        about |= {"strategies": [manifest.expanded(strategy) for strategy in strategies], **told}
        about["prices"] = price_table(strategies, host)
        return manifest.of_run(self.kind, self.command, self.started, complete, **about)
