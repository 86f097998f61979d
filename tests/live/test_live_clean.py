"""The engine is clean under AddressSanitizer, UBSan and valgrind's memcheck, real faults and all, and still agrees."""

import subprocess

import pytest
from kit.recordings import need
from kit.replays import SCHEMES
from kit.traces import columns_of, random_trace
from truth.schemes import FILES

from mmuexp.live.build import engine_of
from mmuexp.live.process import Engine
from mmuexp.replay.replay import Replay
from mmuexp.replay.survey import Survey
from mmuexp.strategy.registry import parse_spec

SANITIZERS = {
    # The engine's own SIGSEGV handler stays, on its own stack; guest RAM (16 TiB of addresses) and the reserve lie
    # between ASan's shadow and the stack. Accesses of fast paths are inline assembly, which is not instrumented: they
    # are meant to fault. Everything else is: tables, helpers, handler.
    "address": ("allow_user_segv_handler=1:handle_segv=0:use_sigaltstack=0:detect_leaks=1", "__asan_init"),
    "undefined": ("halt_on_error=1:print_stacktrace=1", "__ubsan_handle"),
}
TIGHT = [spec for name in SCHEMES for spec in FILES[name].TIGHT]


def replayed(spec: str, mode: str, rows: int, **options) -> None:
    """Model and engine over a random trace, to its end."""
    strategy, columns = parse_spec(spec), columns_of(random_trace(rows, rows, mode))
    survey, replay = Survey(mode), Replay(strategy, mode)
    replay.feed(survey.feed(columns))
    with Engine(strategy, mode, **options) as engine:
        engine.feed(columns)
        engine.end()
        model, live = replay.counts(), engine.counts()
        assert {name: model[name] for name in model.keys() & live.keys()} == {
            name: live[name] for name in model.keys() & live.keys()
        }
        engine._process.stdin.close()
        assert engine._process.wait(60) == 0  # also what is found at exit


@pytest.mark.long
@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("spec", TIGHT)
def test_sanitizers(sanitizer, spec, monkeypatch):
    options, symbol = SANITIZERS[sanitizer]
    monkeypatch.setenv("ASAN_OPTIONS", options)
    monkeypatch.setenv("UBSAN_OPTIONS", options)
    extra = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-g")
    names = subprocess.run(["nm", engine_of(type(parse_spec(spec)), extra)], capture_output=True, text=True).stdout
    assert symbol in names
    for mode in ("user", "system"):
        for checked in (True, False):
            replayed(spec, mode, 2500, extra=extra, checked=checked)


# Accesses that fault are what the engine is about; what memcheck knows beyond ASan is values that were never written.
EXPECTED = "\n".join(f"{{\nfaults\nMemcheck:Addr{size}\nobj:*\n}}" for size in (1, 2, 4, 8))


FEWER = {"views": "views,views=2"}  # valgrind has no address space for 32


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_memcheck(scheme, tmp_path):
    """No value is used that was never written. (In user mode: memcheck has no 16 TiB of addresses.)"""
    need("valgrind", "valgrind")
    log, expected = tmp_path / "memcheck.log", tmp_path / "expected.supp"
    expected.write_text(EXPECTED)
    options = ["--error-exitcode=9", f"--log-file={log}", f"--suppressions={expected}", "--smc-check=all-non-file"]
    options += ["--vex-iropt-register-updates=allregs-at-mem-access"]
    options += ["--leak-check=no"]  # it would look for pointers in all of the guest's memory
    for checked in (True, False):
        replayed(FEWER.get(scheme, scheme), "user", 2000, checked=checked, wrapper=("valgrind", *options))
        assert "ERROR SUMMARY: 0 errors" in log.read_text(), log.read_text()


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O3", "-Os", "-fno-omit-frame-pointer"])
@pytest.mark.parametrize("spec", TIGHT)
def test_it_agrees_however_it_is_compiled(level, spec):
    """Inline assembly says all that it reads and changes: no register is right by luck."""
    modes = ("user", "system") if TIGHT.index(spec) % 2 else ("system", "user")  # both, of each scheme's several specs
    for mode, checked in zip(modes, (True, False), strict=True):
        replayed(spec, mode, 2500, extra=(level,), checked=checked)
