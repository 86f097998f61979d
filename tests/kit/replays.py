"""Run the package's kernels over rows, as the oracle is run: `run(rows, spec, mode) -> columns`."""

import numpy as np

from kit.tracegen import to_columns
from mmuexp.guest import Columns
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy.registry import parse_spec


def columns_of(rows) -> Columns:
    arrays = to_columns(rows)
    return Columns(*(np.ascontiguousarray(arrays[name]) for name in Columns._fields))


def run(rows, spec: str, mode: str, *, chunk: int = 1 << 20, filtered: bool = True) -> dict[str, int]:
    """Shape and event columns; what the scheme does not have is missing."""
    columns = rows if isinstance(rows, Columns) else columns_of(rows)
    survey = Survey(mode, "rows")
    replay = Replay(parse_spec(spec), mode, filtered=filtered)
    for at in range(0, len(columns.op), chunk):
        part = Columns(*(c[at : at + chunk] for c in columns))
        replay.feed(survey.feed(part))
    return survey.counts() | replay.counts()


def differences(rows, spec: str, mode: str, expected: dict, **how) -> dict[str, tuple]:
    """Columns that differ from `expected`: name -> (kernels, expected). None and missing are the same."""
    got = run(rows, spec, mode, **how)
    return {name: (got.get(name), want) for name, want in expected.items() if got.get(name) != want}
