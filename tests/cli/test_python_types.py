"""The Python interface has signatures that a type checker sees, and errors that name Python's parameters."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import ROOT

import mmuexp
from mmuexp.errors import MmuexpError, UsageError

FUNCTIONS = [name for name in mmuexp.__all__ if name not in ("__version__", "open_trace")]
RIGHT = """
from pathlib import Path
import mmuexp

table = mmuexp.compare(Path("a.arrow"), ["softmmu", "map-block"], every=5, thread="all", host="here")
mmuexp.compare(["a.arrow", Path("b.arrow")], progress=lambda name, done, rows: None)
mmuexp.sweep({"map_block_bits": [12, 13]}, "a.arrow", strategy="map-block")
mmuexp.sweep("map_block_bits=12..13", jobs=2)
mmuexp.faults(None, "softmmu", thread=0)
mmuexp.tlb_misses(load_seed=range(6))
rows: int = mmuexp.record(["./program", "argument"], "a.arrow", limit=5, force=True).rows
equal: bool = mmuexp.verify("a.arrow", "softmmu", memory_mb=10).equal
mmuexp.compare(host=mmuexp.calibrate(rounds=3).profile())
mmuexp.claims(only=[3, 4])
mmuexp.diff(table, "saved.csv", tolerance=1e-9)
mmuexp.rerun("results/programs", check=True).troubles
page: str = mmuexp.report().html()
version: str = mmuexp.__version__
with mmuexp.open_trace("a.arrow") as trace:
    mode: str = trace.mode
"""
# what others' packages declare takes longest to read, and is not what is looked at
MYPY = """
[mypy]
follow_imports = silent
ignore_missing_imports = true
[mypy-numpy.*,pandas.*,pyarrow.*,numba.*,rich.*,altair.*,click.*]
follow_imports = skip
"""
WRONG = {
    'mmuexp.compare("a.arrow", evry=5)': "evry",
    'mmuexp.compare("a.arrow", every="5")': "every",
    'mmuexp.compare("a.arrow", 5)': "strategies|Argument 2",
    "mmuexp.sweep()": "params",
    'mmuexp.sweep("map_block_bits", strategies="softmmu")': "strategies",
    'mmuexp.faults("a.arrow")': "strategy",
    'mmuexp.tlb_misses(load_seed="1")': "load_seed",
    'mmuexp.record(["./program"])': "output",
    'mmuexp.record(["./program"], "a.arrow", limit="5")': "limit",
    'mmuexp.verify("a.arrow", memory="10")': "memory",
    "mmuexp.calibrate(3)": "positional",
    "mmuexp.claims(only=2.5)": "only",
    'mmuexp.diff("a.csv")': '"b"',
    'mmuexp.rerun("results", check="yes")': "check",
    "mmuexp.report(host=3)": "host",
    "mmuexp.open_trace(3)": "open_trace",
    "mmuexp.nosuch": "nosuch",
    'rows: str = mmuexp.record(["./program"], "a.arrow").rows': "str",
}


def test_a_type_checker_sees_right_and_wrong_uses(tmp_path):
    """In one run of the checker, which takes seconds."""
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text("import mmuexp\n" + "\n".join(WRONG) + "\n")
    (tmp_path / "mypy.ini").write_text(MYPY)
    words = [sys.executable, "-m", "mypy", "right.py", "wrong.py"]
    env = {"MYPYPATH": str(ROOT), "PATH": "", "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert not [line for line in told if line.startswith("right.py")], done.stdout + done.stderr
    for number, (line, about) in enumerate(WRONG.items(), start=2):
        of_line = " ".join(one for one in told if one.startswith(f"wrong.py:{number}:"))
        assert any(word in of_line for word in about.split("|")), (line, of_line, done.stdout)
    assert {one.split(":")[1] for one in told} == {str(number) for number in range(2, 2 + len(WRONG))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_has_a_name_and_a_type(name):
    importlib.import_module("mmuexp.record.ring")  # puts the package over the function of the same name
    signature = inspect.signature(getattr(mmuexp, name))
    assert signature.return_annotation is not inspect.Parameter.empty
    for parameter in signature.parameters.values():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert parameter.annotation is not parameter.empty


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("record", "verify", "calibrate")])
def test_defaults_are_those_of_what_is_called(name):
    """A wrapper that states its own default must not differ from the function behind it."""
    behind = {"tlb_misses": ("analysis.misses", "misses"), "faults": ("analysis.faults", "faults")}
    behind |= {"diff": ("result.difference", "diff"), "sweep": ("analysis.compare", "sweep")}
    behind |= {"claims": ("claims.report", "claims"), "report": ("report.build", "report")}
    behind |= {"rerun": ("rerun.rerun", "rerun"), "reprice": ("analysis.reprice", "reprice")}
    module, function = behind.get(name, (f"analysis.{name}", name))
    made = importlib.import_module(f"mmuexp.{module}")
    functions = [*([made._shared] if hasattr(made, "_shared") else []), getattr(made, function)]
    own = {name: one for each in functions for name, one in inspect.signature(each).parameters.items()}
    for parameter in inspect.signature(getattr(mmuexp, name)).parameters.values():
        assert own[parameter.name].default == parameter.default, parameter.name
    assert own.keys() - {"command", "shared"} == set(inspect.signature(getattr(mmuexp, name)).parameters)


def test_record_is_a_function_also_when_its_package_was_imported(tmp_path):
    code = "import mmuexp; first = mmuexp.record; import mmuexp.record.qemu; print(callable(first), mmuexp.record)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("True <module"), done.stderr
    with pytest.raises(UsageError, match="is not a list of texts"):
        mmuexp.record("./program", tmp_path / "x.arrow")


CALLS = {
    "every": (lambda trace: mmuexp.compare(trace, every=0), ["every"]),
    "windows": (lambda trace: mmuexp.compare(every=1, strategies="softmmu"), ["every: windows of 1 rows"]),
    "live": (lambda trace: mmuexp.compare(trace, live=True, every=5), ["leave every= out"]),
    "rounds": (lambda trace: mmuexp.compare(trace, rounds=5), ["say live=True"]),
    "thread": (lambda trace: mmuexp.compare(trace, thread=77), ["has no thread 77", "say thread='all'"]),
    "memory": (lambda trace: mmuexp.verify(memory_mb=1, strategies="softmmu"), ["give it that with memory_mb=2"]),
    "no memory": (lambda trace: mmuexp.verify(trace, memory_mb=0), ["memory_mb: 0"]),
    "time": (lambda trace: mmuexp.verify(trace, time_limit=-1), ["time_limit: -1"]),
    "rounds of calibrate": (lambda trace: mmuexp.calibrate(rounds=1), ["rounds: 1 rounds"]),
    "replay": (lambda trace: mmuexp.claims(trace, replay=True), ["leave replay= out"]),
    "exists": (lambda trace: mmuexp.record([sys.executable], trace, skip=-1), ["skip: -1 rows"]),
    "limit": (lambda trace: mmuexp.record([sys.executable], trace, limit=True), ["limit: True rows"]),
    "seconds": (lambda trace: mmuexp.record([sys.executable], trace, time_limit=0), ["time_limit: 0 seconds"]),
    "of guests": (lambda trace: mmuexp.record(["x"], trace, start_on_output="a"), ["start_on_output: is for guests"]),
    "of programs": (lambda trace: mmuexp.record(["x"], trace, system=True, root="/"), ["root: is for programs"]),
    "no words": (lambda trace: mmuexp.record([], trace), ["command: is empty"]),
    "stdout": (lambda trace: mmuexp.record(["true"], "-"), ["say output='FILE.arrow'"]),
    "no text": (lambda trace: mmuexp.record([], trace, system=True, start_on_output=""), ["command: is empty"]),
    "both": (
        lambda trace: mmuexp.record(["-nographic"], trace, system=True, skip=1, start_on_output="a"),
        ["rows begin by skip= or by start_on_output="],
    ),
    "there": (lambda trace: mmuexp.record(["-nographic"], trace, system=True), ["force=True overwrites it; output="]),
}


@pytest.mark.parametrize("name", CALLS)
def test_errors_speak_python(name, trace):
    call, told = CALLS[name]
    before = Path(trace).read_bytes()
    with pytest.raises(MmuexpError) as failure:
        call(trace)
    line = str(failure.value)
    assert all(word in line for word in told), line
    assert "--" not in line and " -o" not in line
    assert Path(trace).read_bytes() == before


def test_the_command_line_speaks_of_options(cli, trace):
    assert cli("compare", trace, "--live", "--every", "5").code == 2
    assert one_line(cli.err) == "mmuexp: --live: windows are not measured; leave --every out, or --live"
    assert cli("compare", "--every", "1", "-s", "softmmu").code == 2
    assert "--every: windows of 1 rows" in one_line(cli.err)
    with pytest.raises(UsageError, match="live: windows are not measured; leave every= out, or live="):
        mmuexp.compare(trace, live=True, every=5)  # what ran before leaves no trace
