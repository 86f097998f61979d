"""The replay loop around one strategy's kernels: loaded, compiled, and kept for the next run.

numba's disk cache sees one function and its source file, not the kernels that the function calls. So the copy of
loop.py that is compiled for a strategy lies in a folder named after everything that decides its machine code: all our
kernel sources, and the versions of Python, numba and NumPy. A third party's sources are not known as a whole: its loop
is compiled anew in each run, and looks at every index unless `strategy check` has passed the scheme (bounds.py).
"""

import dataclasses
import hashlib
import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType

import numba
import numpy as np

from mmuexp.native.jitcache import Guarded
from mmuexp.runtime import partfile
from mmuexp.runtime.places import cache_folder
from mmuexp.strategy import Kernels, Strategy, nothing
from mmuexp.strategy.bounds import OWN, has_passed, is_own, with_bounds

on_compile: Callable[[str], None] | None = None  # told a strategy's name when its loop will be compiled, for seconds


@cache
def loop_of(cls: type[Strategy], has_reserve: bool, trusts_passed: bool = True) -> Callable:
    """The loop over `cls.kernels`; compiled at its first call, from the cache if it can be.

    With bounds checks where they are needed (bounds.py), or, if not `trusts_passed`, for every scheme but our own.
    """
    source = Path(__file__).with_name("loop.py")
    copy = _cached_copy(source, cls) if is_own(cls) else None
    module = _load(copy or source, f"mmuexp._loop_{cls.__module__.replace('.', '_')}_{cls.__name__}")
    for kernel in dataclasses.fields(Kernels):
        setattr(module, kernel.name, getattr(cls.kernels, kernel.name))
    module.HAS_RESERVE, module.HAS_FETCH = has_reserve, cls.kernels.fetch is not nothing
    if numba.config.DISABLE_JIT:
        return module.loop
    if copy:
        module.loop.enable_caching()
    elif not (is_own(cls) or (trusts_passed and has_passed(cls))):
        module.loop = with_bounds(module.loop)
    if on_compile and not (copy and any((copy.parent / "__pycache__").glob(f"{copy.stem}.*.nbc"))):
        on_compile(cls.name)
    return Guarded(module.loop)


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    """Of all sources that kernels are compiled from, and of what compiles them."""
    strategies = importlib.import_module(OWN.rstrip("."))
    digest = hashlib.sha256(
        f"{sys.version} {numba.__version__} {np.__version__} {platform.machine()} {numba.config.OPT}".encode()
    )
    package = Path(__file__).parents[1]
    folders = [package / "emulator", package / "replay", Path(strategies.__path__[0])]
    files = [package / f"{name}.py" for name in ("guest", "events", "strategy/base", "native/bits")]
    for path in files + [f for folder in folders for f in sorted(folder.glob("*.py"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _cached_copy(source: Path, cls: type[Strategy]) -> Path | None:
    """The copy of loop.py that numba caches beside; None where no cache folder can be written."""
    folder = cache_folder() / "loops" / _fingerprint()
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
