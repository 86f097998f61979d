"""Loads the replay loop around one strategy's kernels, compiles it, and keeps it for the next run.

The copy of loop.py that is compiled for a strategy lies in a folder named after a digest of all that decides its
machine code (native/sources.py). A third party's sources are not known as a whole: its loop is compiled anew in each
run, and looks at every index unless `strategy check` has passed the scheme (bounds.py).
"""

import dataclasses
import importlib.util
import inspect
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from mmuexp.emulator.kernel import kernel as compiled
from mmuexp.native.jitcache import Guarded
from mmuexp.native.sources import AT_START, digest_of, kernel_files
from mmuexp.runtime import partfile
from mmuexp.runtime.places import cache_folder
from mmuexp.strategy import Kernels, Strategy, nothing
from mmuexp.strategy.bounds import has_passed, is_own, with_bounds
from mmuexp.strategy.mistakes import CALLED_WITH

on_compile: Callable[[str], None] | None = None  # told a strategy's name when its loop will be compiled, for seconds


@cache
def loop_of(cls: type[Strategy], has_reserve: bool, trusts_passed: bool = True) -> Callable[..., Any]:
    """Load the loop over `cls.kernels`; it is compiled at its first call, from the cache if it can be.

    With bounds checks where they are needed (bounds.py), or, if not `trusts_passed`, for every scheme but our own: that
    is a check, of few rows, for which it is compiled to be ready soon.
    """
    source = Path(__file__).with_name("loop.py")
    copy = _cached_copy(source, cls) if is_own(cls) else None
    module = _load(copy or source, f"mmuexp._loop_{cls.__module__.replace('.', '_')}_{cls.__name__}")
    for field in dataclasses.fields(Kernels):
        if field.name not in ("sites", "spells"):
            kernel = getattr(cls.kernels, field.name)
            setattr(module, field.name, _taking_all(kernel, field.name))
    module.HAS_RESERVE, module.HAS_FETCH = has_reserve, cls.kernels.fetch is not nothing
    module.HAS_SITES, module.HAS_SPELLS = cls.kernels.sites, cls.kernels.spells
    if numba.config.DISABLE_JIT:
        return module.loop
    if copy:
        module.loop.enable_caching()
    elif not (is_own(cls) or (trusts_passed and has_passed(cls))):
        module.loop = with_bounds(module.loop, inlined=trusts_passed)
    if on_compile and not (copy and any((copy.parent / "__pycache__").glob(f"{copy.stem}.*.nbc"))):
        on_compile(cls.name)
    return Guarded(module.loop)


def _taking_all(kernel: Any, name: str) -> Callable[..., Any]:
    """Give a kernel that leaves out some of its arguments a form that takes them all."""
    code, arguments = getattr(kernel, "py_func", kernel).__code__, len(CALLED_WITH[name].split(", "))
    if code.co_flags & inspect.CO_VARARGS or code.co_argcount == arguments:
        return kernel
    if name == "mapped":
        return compiled(lambda s, e, n, page, frame: kernel(s, e, n, page))

    def without(s: Any, e: Any, n: Any, *left_out: Any) -> int:
        kernel(s, e, n)
        return 0

    return compiled(without)


def _load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # it is a Python file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _cached_copy(source: Path, cls: type[Strategy]) -> Path | None:
    """Copy loop.py to where numba keeps its code beside it; None where no cache folder can be written.

    Nor is there one where a source changed since the process began: what is loaded may be the old or the new one.
    """
    if digest_of(kernel_files()) != AT_START:
        return None
    folder = cache_folder() / "loops" / AT_START[:16]
    copy = folder / f"{cls.__module__.rpartition('.')[2]}_{cls.__name__}.py"
    try:
        if not copy.exists():
            folder.mkdir(parents=True, exist_ok=True)
            fd, part = partfile.create(str(copy))
            os.close(fd)
            shutil.copy2(source, part)  # with its time: numba takes a newer source for a changed one
            os.replace(part, copy)
        return copy if os.access(folder, os.W_OK) else None
    except OSError:
        return None
