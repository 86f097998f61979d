"""The engine is handed rows and parameters, and nothing that the model computed.

An impostor stands in for the engine: it notes its arguments, and with each command everything that the shared memory
holds, before it answers.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from kit.replays import SCHEMES
from kit.traces import columns_of, random_trace

from mmuexp.analysis.verify import _Pair
from mmuexp.guest import BATCH_ROWS, DTYPES, Columns
from mmuexp.live import build
from mmuexp.live.process import HEADER_BYTES, Engine, settings
from mmuexp.strategy.registry import parse_spec

IMPOSTOR = """
import json, os, sys
folder, arguments = sys.argv[1], sys.argv[3:]
fd, said, files = int(arguments[0]), [], os.listdir("/proc/self/fd")
open(folder + "/arguments", "w").write(json.dumps([arguments, files]))
sys.stdout.write("."), sys.stdout.flush()
for number, line in enumerate(sys.stdin):
    with open(f"{folder}/memory{number}", "wb") as file:
        file.write(os.pread(fd, os.fstat(fd).st_size, 0))
    said.append(line)
    open(folder + "/said", "w").write(json.dumps(said))
    sys.stdout.write("."), sys.stdout.flush()
"""


@pytest.fixture
def impostor(tmp_path) -> tuple[str, ...]:
    program = tmp_path / "impostor.py"
    program.write_text(IMPOSTOR)
    return (sys.executable, str(program), str(tmp_path))


def rows_in(memory: bytes, rows: int) -> tuple[Columns, bytes]:
    """The columns that lie in the shared memory, as engine.h lays them down, and all other bytes of it."""
    at = len(memory) - BATCH_ROWS * sum(dtype.itemsize for dtype in DTYPES)
    columns, other = [], bytearray(memory[:at])
    for dtype in DTYPES:
        columns.append(np.frombuffer(memory, dtype, rows, at))
        other += memory[at + rows * dtype.itemsize : at + BATCH_ROWS * dtype.itemsize]
        at += BATCH_ROWS * dtype.itemsize
    return Columns(*columns), bytes(other)


@pytest.mark.long
@pytest.mark.parametrize("spec", [*SCHEMES, "map-block,evict=random,map_pages=4", "qemu-fast,guest_limit=0x40000000"])
def test_only_rows_and_parameters_go_in(spec, impostor, tmp_path):
    strategy, columns = parse_spec(spec), columns_of(random_trace(1, 3000, "system"))
    with _Pair(strategy, "system", "t", wrapper=impostor) as pair:
        pair.feed(columns)
        model, live = pair.counts()
        assert sum(model.values()) > 0  # the model has computed everything before the engine is asked
        assert sum(live.values()) == 0
        pair.engine.end()
    arguments, files = json.loads((tmp_path / "arguments").read_text())
    assert arguments[1:] == ["system", "1", "0", *settings(strategy)]
    assert len(files) <= 5  # stdin, stdout, stderr, the memory, and the folder that lists them
    assert json.loads((tmp_path / "said").read_text()) == ["rows 3000\n", "end\n"]
    for number in range(2):
        given, other = rows_in((tmp_path / f"memory{number}").read_bytes(), 3000)
        assert all(np.array_equal(one, two) for one, two in zip(given, columns, strict=True))
        assert not any(other)
    assert len(other) > HEADER_BYTES


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parameters_are_those_of_the_spec(scheme):
    """KEY=NUMBER for each parameter that a user can set; nothing derived from it."""
    strategy = parse_spec(scheme)
    with Engine(strategy, "user") as engine:
        words = Path(f"/proc/{engine._process.pid}/cmdline").read_text().split("\0")[5:-1]
    assert Counter(word.split("=")[0] for word in words) == Counter(strategy.params().keys())
    for word in words:
        name, number = word.split("=")
        param, value = strategy.params()[name], getattr(strategy, name)
        assert int(number) == (param.choices.index(value) if param.choices else value)


def test_the_c_knows_nothing_of_python():
    """It includes the C library and its own headers: no kernel, table or trace of the model's."""
    for scheme in (None, *SCHEMES):
        program = build.engine_of(None if scheme is None else type(parse_spec(scheme)))
        needed = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=True).stdout
        assert [line.split()[1] for line in needed.splitlines() if "NEEDED" in line] == ["libc.so.6"]


def test_the_rows_of_the_caller_stay_as_they_are():
    columns = columns_of(random_trace(2, 500, "user"))
    before = [column.copy() for column in columns]
    with Engine(parse_spec("map-block"), "user") as engine:
        engine.feed(columns)
        engine.end()
    assert all(np.array_equal(one, two) for one, two in zip(columns, before, strict=True))
