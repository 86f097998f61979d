"""What the tests of the live engine share: rows as an open trace, and model and engine over them."""

from collections.abc import Iterator

from kit.kernels import columns_of
from kit.tracerows import Row
from mmuexp.analysis.verify import VerifiedRun, _differ, _Pair, verify_one
from mmuexp.guest import BATCH_ROWS, Columns
from mmuexp.strategy import Strategy
from mmuexp.strategy.registry import parse_spec

SCHEMES = ("softmmu", "byte-lookup", "map-block", "qemu-fast", "softmmu-qemu10")
DEFAULTS = (*SCHEMES, "map-block,pool_blocks=1024")  # what is run where no scheme is named


class Rows:
    """Rows in memory where an open trace is wanted, in batches of `batch`."""

    def __init__(self, rows: list[Row] | Columns, mode: str, batch: int = BATCH_ROWS):
        self.columns = rows if isinstance(rows, Columns) else columns_of(rows)
        self.mode, self.batch, self.rows = mode, batch, len(self.columns.op)

    def batches(self) -> Iterator[Columns]:
        for at in range(0, self.rows, self.batch):
            yield Columns(*(column[at : at + self.batch] for column in self.columns))


def outcome(rows: list[Row] | Columns, mode: str, spec: str, *, batch: int = BATCH_ROWS, **options) -> VerifiedRun:
    return verify_one(Rows(rows, mode, batch), parse_spec(spec), "rows", **options)


def apart(rows: list[Row] | Columns, mode: str, spec: str, **options) -> str:
    """Where model and engine part, as text; empty if they do not."""
    found = outcome(rows, mode, spec, **options)
    return "" if found.equal else f"{spec}, {mode}: {found.parting}, model {found.model}, live {found.live}"


def timed_apart(rows: list[Row] | Columns, mode: str, spec: str, *, batch: int = BATCH_ROWS) -> str:
    """As `apart`, of the engine that is timed: it checks no data, and runs translated code where it can."""
    return timed_trace_apart(Rows(rows, mode, batch), parse_spec(spec))


def timed_trace_apart(trace, strategy: Strategy) -> str:
    with _Pair(strategy, trace.mode, "rows", checked=False) as pair:
        for columns in trace.batches():
            before = pair.engine.rows
            pair.feed(columns)
            if _differ(pair):
                return f"{strategy}, {trace.mode}: rows from {before} on: {pair.counts()}"
    return ""
