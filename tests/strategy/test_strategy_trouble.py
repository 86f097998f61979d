"""Somebody else's scheme that goes wrong: its file and line are told, nothing crashes, no count is wrong."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from kit.cli import one_line
from kit.places import HONEST_FILE, TESTS, TRACES

from mmuexp.contract.rules import flushes_drop, keeps_it_on
from mmuexp.contract.trial import Broken
from mmuexp.errors import MmuexpError
from mmuexp.native.jitcache import Guarded
from mmuexp.strategy.bounds import has_passed, remember_passed
from mmuexp.strategy.mistakes import blocks_of, conflict_of
from mmuexp.strategy.registry import parse_spec, strategies_of_file, strategy_class
from mmuexp.trace.rewrite import slice_trace

TRACE = TRACES / "crossing.arrow"
HONEST = (HONEST_FILE).read_text()


def honest_but(tmp_path, *changes: tuple[str, str], name: str = "own.py") -> Path:
    text = HONEST
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / name).write_text(text)
    return tmp_path / name


def line_with(file: Path, words: str) -> int:
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if words in line)


TOUCH = "        s.only[0] = row.page\n"
STATE = "return State(np.full(1, -1, np.int64))"
DECLARED = {  # what is changed, where it is told, and what is said
    "a number as name": ('name = "honest"', "name = 7", "name = 7", "has the name 7, no text"),
    "no fast path": ('FAST_PATH = "mov data, [vaddr]"', "FAST_PATH = None", "FAST_PATH", "FAST_PATH is None"),
    "a list of events": ("events = dict.fromkeys(CODE, ", "events = list(CODE); x = dict.fromkeys(CODE, ", "events =",
                         "no dict"),
    "an unknown event": ("Event.TLB_FILLS: \"another page\"", "77: \"another page\"", "events =", "events holds 77"),
    "a cost that is a number": ("Cost(insn=1, source=\"assumed: nothing\")}", "12}", "costs =", "costs holds"),
    "a name for many": ("    def state", "    extra_events = 'hits'\n\n    def state", "extra_events", "is 'hits'"),
    "a function": ("@kernel\ndef flush(", "def flush(", "def flush(", "flush is not a kernel; write @kernel above"),
    "a table of text": ("    def state", "    def table_bytes(self):\n        return 'x'\n\n    def state", "table_by",
                        "table_bytes() gives 'x', no number of bytes"),
    "prices of another kind": ("    def state", "    def price_list(self):\n        return [1]\n\n    def state",
                               "price_list", "price_list gives [1]"),
    "prices that raise": ("    def state", "    def price_list(self):\n        return 1 / 0\n\n    def state", "1 / 0",
                          "ZeroDivisionError: division by zero"),
    "prices that leave": ("    def state", "    def price_list(self):\n        exit(0)\n\n    def state", "exit(0)",
                          "SystemExit: 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", DECLARED)
def test_what_a_scheme_declares_wrongly_is_its_own_mistake(tmp_path, case):
    old, new, place, said = DECLARED[case]
    file = honest_but(tmp_path, (old, new))
    with pytest.raises(MmuexpError) as told:
        strategy_class(str(file))
    line = str(told.value)
    assert said in line
    assert f"{file}:{line_with(file, place)}: " in line
    assert "\n" not in line


STATES = {
    "a list": ("return [1, 2]", "state() gives a list"),
    "a text in it": ("return State('x')", "state().only is a str"),
    "a list in it": ("return State([1])", "state().only is a list"),
    "objects": ("return State(np.array([None]))", "state().only is an array of object"),
    "it leaves": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "it interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "it raises": ("return State(np.zeros(1 << 56))", "MemoryError"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_state_that_cannot_be_is_its_own_mistake(tmp_path, cli, case):
    new, said = STATES[case]
    file = honest_but(tmp_path, (STATE, new))
    done = cli("compare", TRACE, "-s", file)
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert f"{file}:" in done.err
    assert done.err.count("\n") == 1
    assert "bug" not in done.err


def test_a_file_that_leaves_while_it_is_imported_has_failed(tmp_path, cli):
    (tmp_path / "own.py").write_text('"""x"""\nimport sys\nsys.exit(0)\n')
    for words in (["strategy", "check"], ["compare", TRACE, "-s"]):
        done = cli(*words, tmp_path / "own.py")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "own.py:3: cannot be imported: SystemExit: 0" in done.err


def test_a_kernel_that_is_left_out_is_told_with_its_line(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = honest_but(tmp_path, ("execute=nothing, ", ""), name="lacking.py")
    done = cli("strategy", "check", "lacking.py")  # as it is typed, not as Python calls it
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"{file}:{line_with(file, 'Kernels(')}: " in done.err
    assert "'execute'" in done.err


# What a kernel does wrongly, of which one is chosen by a parameter: they are compiled at once.
WRONG = {
    "written": ("s.only[10**7] = row.page", "IndexError: index "),
    "far from the array": ("s.only[row.page << 20] = 1", "IndexError: index "),
    "through a word of the emulator": ("unsettle(e, row.page + (1 << 28))", "IndexError: index "),
    "after a thousand rows": ("if n[Event.TLB_FILLS] == 1000: raise ValueError('x')", "ValueError: x"),
}


@pytest.fixture(scope="module")
def wrong_kernel(tmp_path_factory) -> Path:
    lines = [line for line, _ in WRONG.values()]
    each = [f"        if s.only[1] == {at}:\n            {line}\n" for at, line in enumerate(lines)]
    choice = f'    wrong: int = param(0, minimum=0, maximum={len(WRONG) - 1}, help="which of them")\n\n    def state'
    return honest_but(
        tmp_path_factory.mktemp("wrong"),
        (TOUCH, TOUCH + "".join(each)),
        ("from mmuexp.strategy", "from mmuexp.emulator.state import unsettle\nfrom mmuexp.strategy"),
        ("nothing\n\n", "nothing, param\n\n"),
        (STATE, "return State(np.array([-1, self.wrong]))"),
        ("    def state", choice),
    )


@pytest.mark.long
@pytest.mark.parametrize("case", WRONG)
def test_what_a_compiled_kernel_does_wrongly_is_one_line(wrong_kernel, cli, case):
    """Compiled with bounds checks: nothing is overwritten. And it is not called again where it raised."""
    line, said = WRONG[case]
    done = cli("compare", TRACE, "-s", f"{wrong_kernel},wrong={list(WRONG).index(case)}", "--format", "csv")
    assert (done.code, done.out) == (1, "")
    (told,) = (one for one in done.err.splitlines() if "compiling" not in one)
    assert f"{wrong_kernel}:{line_with(wrong_kernel, line)}: strategy honest: {said}" in told
    assert "out of bounds" in told or "Value" in said


ANSWERS = {  # what every way through the kernel returns, and how it is told
    "a fraction": ("1.5", "returns float64"),
    "a text": ("'SETTLED'", "returns unicode_type"),
    "nothing": ("None", "returns none"),
}


@pytest.mark.long
@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_that_is_no_whole_number_is_one_line(tmp_path, cli, case):
    answer, told = ANSWERS[case]
    text = re.sub(r"    return SETTLED.*", f"    return {answer}", HONEST)
    assert text != HONEST
    file = tmp_path / "own.py"
    file.write_text(text)
    done = cli("compare", TRACE, "-s", file, "--format", "csv")
    assert (done.code, done.out) == (1, "")
    line = one_line(done.err)
    assert f"own.py:{line_with(file, '@kernel')}: strategy honest: the kernel access {told}" in line
    assert "bug" not in line


def test_a_reason_that_is_no_text_and_blocks_that_are_no_numbers_are_the_schemes(tmp_path):
    new = "    def conflict(self, page):\n        return None\n\n    def state"
    (scheme,) = strategies_of_file(honest_but(tmp_path, ("    def state", new)))
    with pytest.raises(MmuexpError, match=r"own.py:\d+: strategy honest: conflict\(\) gives None"):
        conflict_of(scheme(), 7)
    vaddrs = np.array([4096, 8192], np.uint32)
    wrong = {"vaddrs / 2": "float64", "vaddrs[:1]": "uint32", "'x'": "<U1", "1 // 0": "ZeroDivision"}
    for at, (body, told) in enumerate(wrong.items()):
        new = f"    def block_of(self, vaddrs):\n        return {body}\n\n    def state"
        (scheme,) = strategies_of_file(honest_but(tmp_path, ("    def state", new), name=f"{at}.py"))
        with pytest.raises(MmuexpError, match=f"strategy honest: .*{told}"):
            blocks_of(scheme(), vaddrs)


def test_what_runs_is_called_once_and_loading_is_tried_again():
    import numba

    calls, prepared = [], []

    class Damaged:
        cache_path = "somewhere"

        def flush(self):
            prepared.append("flush")

    class Function:
        _cache = Damaged()
        typeof_pyval = staticmethod(numba.typeof)

        def compile(self, types):
            prepared.append(types)
            if len(prepared) == 1:
                raise EOFError

        def __call__(self, value):
            calls.append(value)
            raise ValueError("x")

    function = Guarded(Function())
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            function(1)
    assert calls == [1, 1]
    assert prepared == [(numba.int64,), "flush", (numba.int64,)]


def test_a_source_that_passed_is_trusted_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mmuexp_test_part.py").write_text("N = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = honest_but(tmp_path, ("import numpy as np\n", "import numpy as np\n\nfrom mmuexp_test_part import N\n"))
    (cls,) = strategies_of_file(file)
    assert not has_passed(cls)
    remember_passed(cls)
    assert has_passed(cls)
    (tmp_path / "mmuexp_test_part.py").write_text("N = 2\n")
    assert not has_passed(cls)
    (tmp_path / "mmuexp_test_part.py").write_text("N = 1\n")
    assert has_passed(cls)
    file.write_text(file.read_text() + "\n")
    assert not has_passed(cls)


def test_files_of_one_name_in_two_folders_are_two_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    classes = []
    for folder, changes in (("a", []), ("b", [(TOUCH, f"{TOUCH}        pass\n")])):
        (tmp_path / folder).mkdir()
        classes += strategies_of_file(honest_but(tmp_path / folder, *changes))
    remember_passed(classes[1])
    assert [has_passed(cls) for cls in classes] == [False, True]


@pytest.mark.parametrize("name", ["flush", "flush_page"])
def test_a_flush_that_does_nothing_is_found(tmp_path, plain_python, name):
    file = honest_but(tmp_path, (f"{name}={name}", f"{name}=nothing"))
    (cls,) = strategies_of_file(file)
    with pytest.raises(Broken, match=f"after {name.upper()} counts nothing; look at its kernel {name}:"):
        flushes_drop(cls())


def test_a_recording_is_checked_on_too(tmp_path, plain_python):
    path = str(tmp_path / "piece.arrow")
    slice_trace(TRACE, 0, 2000, path)
    (cls,) = strategies_of_file(HONEST_FILE)
    keeps_it_on(path, cls())
    (cls,) = strategies_of_file(TESTS / "kit" / "strategy_files" / "wrong_settled.py")
    with pytest.raises(Broken, match=re.escape(f"{path}, with and without the filter")):
        keeps_it_on(path, cls())


def test_a_recording_that_is_not_there_is_told_before_the_checks(cli):
    done = cli("strategy", "check", "softmmu", "--trace", "nowhere.arrow")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)


def test_a_file_with_the_name_of_ours_is_told(tmp_path, cli, monkeypatch):
    import mmuexp.contract.rules

    monkeypatch.setattr(mmuexp.contract.rules, "CHECKS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = honest_but(tmp_path, ('name = "honest"', 'name = "map-block"'))
    done = cli("strategy", "check", file)
    assert done.code == 0
    assert "map-block is a scheme of mmuexp, too" in done.err
    assert parse_spec(str(file)).name == "map-block"


TELLS = """
from numba.core import event

class Tells(event.Listener):
    def on_start(self, at):
        pass

    def on_end(self, at):
        if at.data["dispatcher"].py_func.__name__ == "loop":
            open({!r}, "w").close()

event.register("numba:compile", Tells())
"""


@pytest.mark.long
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_kernel_without_end_is_ended(tmp_path, number, code):
    compiled = tmp_path / "compiled"
    file = honest_but(tmp_path, (TOUCH, TOUCH + "        while s.only[0] > -5:\n            s.only[0] = 0\n"))
    file.write_text(file.read_text() + TELLS.format(str(compiled)))
    with subprocess.Popen(
        [sys.executable, "-m", "mmuexp", "compare", str(TRACE), "-s", str(file)], stderr=subprocess.PIPE, text=True
    ) as process:
        while not compiled.exists():
            assert process.poll() is None
            time.sleep(0.1)
        then = _cpu_seconds(process.pid)
        while _cpu_seconds(process.pid) < then + 1:  # it runs by then
            time.sleep(0.1)
        asked = time.monotonic()
        process.send_signal(number)
        process.wait(20)
    assert process.returncode == code
    assert time.monotonic() - asked < 10  # two seconds, on a machine that has nothing else to do


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
