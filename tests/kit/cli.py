"""What the tests of the command line share: a trace whose every count is known, and a way to run commands."""

from pathlib import Path

import numpy as np
import pytest

from mmuexp.cli.main import run
from mmuexp.guest import DTYPES, USER, Columns, Op
from mmuexp.trace import TraceWriter

PAGE = 4096

# 12 rows: one block; 7 loads of 4 pages, of which 1 crosses, 1 is misaligned inside its page; 4 stores, 1 crosses
ROWS = [
    (Op.EXEC, 0x40000, 20, 5),
    (Op.LOAD, 0x10000, 4, 1),
    (Op.LOAD, 0x10004, 4, 2),
    (Op.STORE, 0x10008, 4, 3),
    (Op.LOAD, 0x20000, 4, 1),
    (Op.LOAD, 0x20001, 4, 1),
    (Op.LOAD, 0x20FFE, 4, 1),
    (Op.STORE, 0x20FFE, 4, 1),
    (Op.LOAD, 0x10000, 4, 1),
    (Op.STORE, 0x30000, 4, 1),
    (Op.STORE, 0x30004, 1, 1),
    (Op.LOAD, 0x10000, 2, 1),
]


def columns_of(rows) -> Columns:
    op, vaddr, size, insns = (np.array(column) for column in zip(*rows, strict=True))
    flags, page = np.full(len(rows), USER), np.zeros(len(rows))
    values = Columns(vaddr, page, size, insns, op, flags)
    return Columns(*(np.ascontiguousarray(v, dtype) for v, dtype in zip(values, DTYPES, strict=True)))


def write_trace(path: Path, cycle=tuple(ROWS), *, repeat: int = 1, rows: int | None = None) -> str:
    """A user-mode trace of `cycle` again and again, `repeat` times or `rows` rows of it; returns its path."""
    columns, rows = columns_of(cycle), len(cycle) * repeat if rows is None else rows
    with TraceWriter(str(path), mode="user", metadata={"guest": "i386"}) as writer:
        writer.append(Columns(*(np.resize(column, rows) for column in columns)))
        writer.close()
    return str(path)


class Cli:
    """Runs command lines in this process: `cli("compare", path).out`."""

    def __init__(self, capsys):
        self.capsys = capsys

    def __call__(self, *argv: str):
        self.capsys.readouterr()
        self.code = run([str(word) for word in argv])
        self.out, self.err = self.capsys.readouterr()
        return self

    @property
    def words(self) -> str:
        """stdout on one line, for sentences that are wrapped."""
        return " ".join(self.out.split())


@pytest.fixture
def cli(capsys) -> Cli:
    return Cli(capsys)


@pytest.fixture
def trace(tmp_path) -> str:
    return write_trace(tmp_path / "small.arrow")


@pytest.fixture
def bundled(tmp_path, monkeypatch) -> str:
    """The small trace stands in for the bundled one."""
    path = write_trace(tmp_path / "bundled.arrow")
    monkeypatch.setattr("mmuexp.analysis.passes.bundled_trace", lambda: Path(path))
    return path


def one_line(err: str) -> str:
    """The failure that `err` consists of. It is one line, names us, and is no traceback."""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("mmuexp: ")
    return lines[0]
