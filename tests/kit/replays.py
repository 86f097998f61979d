"""Rows through the kernels and through the live engine, and the engine's fast paths as its compiler laid them down.

`run(rows, spec, mode)` runs the kernels as `truth.oracle.run` runs the oracle.
"""

import functools
import re
import struct
import subprocess
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from truth import oracle
from truth.schemes import NAMES

from kit.places import ROOT
from kit.recordings import need
from kit.traces import Row, columns_of
from mmuexp.analysis.verify import VerifiedRun, _differ, _Pair, verify_one
from mmuexp.blocks.builder import runs_of
from mmuexp.blocks.runs import Runs
from mmuexp.guest import BATCH_ROWS, Columns, bits_of
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy import Strategy
from mmuexp.strategy.registry import default_strategies, parse_spec


def run(rows, spec: str, mode: str, *, chunk: int = 1 << 20, filtered: bool = True) -> dict[str, int]:
    """Shape and event columns; what the scheme does not have is missing."""
    columns = rows if isinstance(rows, Columns) else columns_of(rows)
    survey = Survey(mode, "rows")
    replay = Replay(parse_spec(spec), mode, filtered=filtered, address_bits=bits_of(columns.vaddr))
    for at in range(0, len(columns.op), chunk):
        part = Columns(*(c[at : at + chunk] for c in columns))
        replay.feed(survey.feed(part))
    return survey.counts() | replay.counts()


def wide_differences(rows: list[Row], spec: str, mode: str, **how) -> dict[str, tuple]:
    """Where kernels and oracle differ on rows of a guest of 64 bits."""
    return differences(columns_of(rows, 64), spec, mode, oracle.run(rows, spec, mode, 64), **how)


def differences(rows, spec: str, mode: str, expected: dict, **how) -> dict[str, tuple]:
    """Columns that differ from `expected`: name -> (kernels, expected). None and missing are the same."""
    got = run(rows, spec, mode, **how)
    return {name: (got.get(name), want) for name, want in expected.items() if got.get(name) != want}


SCHEMES = [name for name in NAMES if (ROOT / "strategies" / f"{name.replace('-', '_')}.c").exists()]  # that run live
DEFAULTS = [str(strategy) for strategy in default_strategies("user")]  # what is run where no scheme is named


class Rows:
    """Rows in memory where an open trace is wanted, in batches of `batch`."""

    def __init__(self, rows: list[Row] | Columns, mode: str, batch: int = BATCH_ROWS):
        self.columns = rows if isinstance(rows, Columns) else columns_of(rows)
        self.mode, self.batch, self.rows, self.path = mode, batch, len(self.columns.op), "rows"
        self.metadata: dict[str, str] = {}
        self.address_bits = bits_of(self.columns.vaddr)

    def batches(self, **_) -> Iterator[Columns]:
        for at in range(0, self.rows, self.batch):
            yield Columns(*(column[at : at + self.batch] for column in self.columns))

    def runs(self, **_) -> Iterator[Runs]:
        return runs_of(self.batches())


def outcome(rows: list[Row] | Columns, mode: str, spec: str, *, batch: int = BATCH_ROWS, **options) -> VerifiedRun:
    return verify_one(Rows(rows, mode, batch), parse_spec(spec), "rows", **options)


def apart(rows: list[Row] | Columns, mode: str, spec: str, **options) -> str:
    """Where model and engine part, as text; empty if they do not."""
    found = outcome(rows, mode, spec, **options)
    return "" if found.equal else f"{spec}, {mode}: {found.parting}, model {found.model}, live {found.live}"


def timed_apart(rows: list[Row] | Columns, mode: str, spec: str, *, batch: int = BATCH_ROWS) -> str:
    """As `apart`, of the engine that is timed: it checks no data, and runs translated code where it can."""
    return timed_trace_apart(Rows(rows, mode, batch), parse_spec(spec))


def timed_trace_apart(trace, strategy: Strategy, most: int | None = None) -> str:
    """As `timed_apart`, of a trace, or of its first batches."""
    with _Pair(strategy, trace.mode, "rows", address_bits=trace.address_bits, checked=False) as pair:
        for columns in islice(trace.batches(), most):
            before = pair.engine.rows
            pair.feed(columns)
            if _differ(pair):
                return f"{strategy}, {trace.mode}: rows from {before} on: {pair.counts()}"
    return ""


MNEMONIC = re.compile(r"^\s*([0-9a-f]+):\s+(\w+)\s*(.*?)\s*(?:#.*)?$")


class FastPath(NamedTuple):
    """`struct path`: addresses at which the hit path begins, goes round the helper's call, can fault, and ends."""

    begin: int
    gap: int
    resume: int
    fault: int
    end: int
    store: int
    bytes: int


class Patch(NamedTuple):
    """`struct patch`: an immediate that is a parameter."""

    end: int
    kind: int
    bytes: int


class Instruction(NamedTuple):
    at: int
    name: str
    operands: tuple[str, ...]


@functools.cache
def sections(program: Path) -> dict[str, tuple[int, bytes]]:
    """Name -> address, content, of an ELF file."""
    image = program.read_bytes()
    assert image[:6] == b"\x7fELF\x02\x01"
    (table,), (size, count, names) = struct.unpack_from("<Q", image, 40), struct.unpack_from("<3H", image, 58)
    headers = [struct.unpack_from("<2I4Q", image, table + size * i) for i in range(count)]

    def name(at: int) -> str:
        begin = headers[names][4] + at
        return image[begin : image.index(b"\0", begin)].decode()

    return {name(n): (at, image[offset : offset + length]) for n, _, _, at, offset, length in headers}


def paths(program: Path) -> list[FastPath]:
    content = sections(program).get("mmuexp_paths", (0, b""))[1]
    return [FastPath(*fields) for fields in struct.iter_unpack("<5Q2I", content)]


def templates(program: Path) -> list[FastPath]:
    """Those that translated code is copied from."""
    content = sections(program).get("mmuexp_templates", (0, b""))[1]
    return [FastPath(*fields) for fields in struct.iter_unpack("<5Q2I", content)]


def symbol(program: Path, name: str) -> int:
    """The address of a symbol."""
    need("nm", "binutils")
    listed = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    (at,) = [line.split()[0] for line in listed.splitlines() if line.split()[-1] == name]
    return int(at, 16)


def patches(program: Path) -> list[Patch]:
    content = sections(program).get("mmuexp_patches", (0, b""))[1]
    return [Patch(*fields) for fields in struct.iter_unpack("<Q2I", content)]


@functools.cache
def code(program: Path) -> dict[int, Instruction]:
    """Address -> instruction, as Intel writes them, of the whole program."""
    need("objdump", "binutils")
    command = ["objdump", "-d", "-M", "intel", "--no-show-raw-insn", str(program)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        if match := MNEMONIC.match(line):
            at = int(match[1], 16)
            found[at] = Instruction(at, match[2], tuple(match[3].split(",")) if match[3] else ())
    return found


@functools.cache
def _in_order(program: Path) -> list[int]:
    return sorted(code(program))


def between(program: Path, begin: int, end: int) -> list[Instruction]:
    """The instructions from `begin` up to `end`; both lie between instructions."""
    listed, order = code(program), _in_order(program)
    assert begin in listed
    assert end in listed
    return [listed[at] for at in order[bisect_left(order, begin) : bisect_left(order, end)]]


def hit_path(program: Path, path: FastPath) -> list[Instruction]:
    """What runs on a hit, in order."""
    return between(program, path.begin, path.gap) + between(program, path.resume, path.end)


def check_known(rows, spec: str, mode: str, known: dict[str, int]) -> None:
    """By the oracle these rows have the counts that are known, and by the model those of the oracle."""
    counts = oracle.run(rows, spec, mode)
    assert {name: counts[name] for name in known} == known
    assert not differences(rows, spec, mode, counts)
    assert not differences(rows, spec, mode, counts, filtered=False)
