"""The live engine of a scheme as a program: its C half, and what all schemes share, which is compiled once (1 s)."""

import inspect
import platform
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mmuexp.errors import MmuexpError, option
from mmuexp.events import Event
from mmuexp.guest import ADDRESS_BITS
from mmuexp.native.compiler import compiled
from mmuexp.strategy import Strategy

SHARED = files("mmuexp.live") / "engine"
NO_SCHEME = "none.c"  # the loop alone
PRIMITIVES = "primitives.c"
SHARED_PARTS = sorted(path.name for path in SHARED.iterdir() if path.name.endswith((".c", ".h")))
HEADERS = [name for name in SHARED_PARTS if name.endswith(".h")]
SOURCES = [name for name in SHARED_PARTS if name not in (*HEADERS, NO_SCHEME, PRIMITIVES)]
# No SSE and no red zone: a fast path may call a helper from inside inline assembly. Not position independent: the
# listing addresses its tables as it says, `table + reg*8`.
CFLAGS = ("-std=gnu11", "-O2", "-no-pie", "-fno-pic", "-mgeneral-regs-only", "-mno-red-zone", "-fcf-protection=none")


class NoEngine(MmuexpError):
    """The scheme has no engine, or this host cannot run one."""


def source_of(strategy: type[Strategy]) -> Path:
    """The C half of a scheme: NAME.c beside the NAME.py that defines it. Raises NoEngine when there is none."""
    source = Path(inspect.getfile(strategy)).with_suffix(".c")
    if not source.is_file():
        what = f"has no live engine: there is no {source.name} beside {source.stem}.py"
        raise NoEngine(what, where=strategy.name, todo="strategies/qemu_fast.c is the example to write one by")
    return source


@cache
def engine_of(strategy: type[Strategy] | None, extra: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> Path:
    """The compiled engine of a scheme; None is the loop without translation. `extra` flags are for tests, `own` are
    those of the scheme's C half alone.

    Raises NoEngine: another architecture, no C half, no compiler, a failed compile, a cache that cannot be written.
    """
    _check_host()
    source = SHARED / NO_SCHEME if strategy is None else source_of(strategy)
    headers, flags = {name: (SHARED / name).read_bytes() for name in HEADERS}, (*CFLAGS, *extra)
    headers["events.h"] = f"#define EVENTS(X) {' '.join(f'X({event.column})' for event in Event)}\n".encode()
    sources = {name: (SHARED / name).read_bytes() for name in SOURCES}
    what = "the live engine" if strategy is None else f"the live engine of {strategy.name}"
    shared = _built("shared", sources | headers, (*flags, "-r"), what)  # compiled once for all schemes
    parts = {"shared.o": shared.read_bytes(), **headers, source.name: source.read_bytes()}
    return _built(Path(source.name).stem, parts, (*flags, *own), what)


def engine_for(strategy: Strategy | None, extra: tuple[str, ...] = (), address_bits: int = ADDRESS_BITS) -> Path:
    """The compiled engine of a scheme with these parameters: those of `COMPILED_IN` are flags, -DNAME=VALUE.

    `address_bits` are the trace's; of 64, a program of its own.

    Raises NoEngine as `engine_of`, and where the scheme says that these have none.
    """
    extra = extra if address_bits == ADDRESS_BITS else ("-DWIDE", *extra)
    if strategy is None:
        return engine_of(None, extra)
    if why := strategy.no_engine():
        raise NoEngine(f"has no live engine: {why}", where=str(strategy), todo="leave it out, or set it otherwise")
    choices = {name: strategy.params()[name].choices for name in strategy.COMPILED_IN}
    flags = (f"-D{name.upper()}={among.index(getattr(strategy, name))}" for name, among in choices.items())
    cls: Any = type(strategy)
    return engine_of(cls, extra, tuple(flags))


@cache
def primitives_program() -> Path:
    """The compiled `primitives.c`, which times the host's kernel. Raises NoEngine."""
    _check_host()
    parts = {PRIMITIVES: (SHARED / PRIMITIVES).read_bytes()}
    return _built("primitives", parts, ("-std=gnu11", "-O2"), "the program that times the host")


def _check_host() -> None:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        what = f"the live engine runs on x86-64 Linux, and this is {platform.system()} on {platform.machine()}"
        raise NoEngine(what, todo=f"the model needs no engine: compare works without {option('live', '')}")


def _built(name: str, parts: dict[str, bytes], flags: tuple[str, ...], what: str) -> Path:
    try:
        return compiled(name, parts, flags, what, "engines")
    except MmuexpError as error:
        raise NoEngine(error.what, where=error.where, todo=error.todo) from None
