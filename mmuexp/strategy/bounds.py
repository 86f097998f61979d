"""Kernels that look at every index before they use it, and who needs them: a scheme that nobody has checked.

A wrong index in compiled code reads, or overwrites, whatever lies there. So the kernels of somebody else's scheme, and
all that they call, are compiled with bounds checks, until `mmuexp strategy check` has passed that very source with this
very mmuexp. What passed is kept in the cache folder as an empty file, named after a digest of both.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

from mmuexp.native import bits
from mmuexp.native.sources import AT_START, PACKAGE, digest_of, python_files
from mmuexp.runtime.places import cache_folder
from mmuexp.strategy import Strategy
from mmuexp.strategy.sourcefiles import files_of
from mmuexp.version import version

OWN = "mmuexp.strategies."


def is_own(cls: type[Strategy]) -> bool:
    """Is this a scheme that comes with mmuexp?"""
    return cls.__module__.startswith(OWN)


def _mark(cls: type[Strategy]) -> Path:
    """The file that is there if this source has passed."""
    rules = python_files(PACKAGE / "contract", PACKAGE / "strategy")
    passed = digest_of([*rules, *files_of(sys.modules[cls.__module__])], AT_START, version(), cls.__qualname__)
    return cache_folder() / "passed" / passed


def has_passed(cls: type[Strategy]) -> bool:
    """Has `strategy check` passed this very source with this very mmuexp?"""
    try:
        return _mark(cls).is_file()
    except (OSError, SyntaxError, ValueError):  # a file that went away since it was imported
        return False


def remember_passed(cls: type[Strategy]) -> None:
    """Keep that the source has passed, where there is a place to keep it."""
    with suppress(OSError, SyntaxError, ValueError):
        mark = _mark(cls)
        mark.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(mark, os.O_CREAT | os.O_WRONLY, 0o644))


def with_bounds(function: Any, *, inlined: bool) -> Any:
    """A compiled function anew, with bounds checks; so is every compiled function that it calls, part of it or not.

    As parts of it they run in two thirds of the time, faults in a tenth; LLVM takes up to three times as long for them.
    """
    options = {"boundscheck": True} | ({} if inlined else {"forceinline": False})
    return _Copies(lambda one, copy: numba.jit(**one.targetoptions | options)(copy)).of(function)


def interpreted(function: Any) -> Any:
    """A compiled function as plain Python; so is every compiled function that it calls."""
    words: dict[Any, Any] = {bits.lowest_bit: bits.plain_lowest_bit, bits.count_bits: bits.plain_count_bits}
    plain: dict[Any, Any] = {one.py_func.__code__: word for one, word in words.items()}
    return _Copies(lambda one, copy: plain.get(copy.__code__, copy)).of(function)


class _Copies:
    """Copies of compiled functions and of all that these call. `make` makes one of the old one and its new Python."""

    def __init__(self, make: Callable[[Any, Callable[..., Any]], Any]) -> None:
        self._make = make
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []  # what was copied: while it lives, nothing else has its id

    def of(self, value: Any) -> Any:
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, Dispatcher):
            return self._remember(value, self._make(value, self._function(value.py_func)))
        if isinstance(value, ModuleType) and any(isinstance(one, Dispatcher) for one in vars(value).values()):
            copy = self._remember(value, ModuleType(value.__name__))
            vars(copy).update({k: self.of(v) if isinstance(v, Dispatcher) else v for k, v in vars(value).items()})
            return copy
        return value

    def _remember(self, value: Any, copy: Any) -> Any:
        self._made[id(value)] = copy
        self._kept.append(value)
        return copy

    def _function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        names = _names(function.__code__)
        found = {k: self.of(v) if k in names else v for k, v in function.__globals__.items()}
        cells = tuple(CellType(self.of(cell.cell_contents)) for cell in function.__closure__ or ())
        copy = FunctionType(function.__code__, found, function.__name__, function.__defaults__, cells or None)
        copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
        copy.__module__ = function.__module__
        return copy


def _names(code: CodeType) -> set[str]:
    """The names of globals that the code may read."""
    inner = (_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*inner)
