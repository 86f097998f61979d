"""numba's disk cache, made harmless: a damaged or full cache costs a compilation, never a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmuexp.native.sources import AT_START, digest_of, python_files
from mmuexp.runtime.places import cache_folder
from mmuexp.runtime.threads import apart

Number = Any  # of a kernel: an integer of whatever width numba gives it, which Python has no word for


def kept(function: Callable) -> Any:
    """Compile a function at its first call, and keep the code on disk, where there is a place, until a source changes.

    The function must allocate nothing: references to arrays are not counted, which takes longer than what is done
    with a short one. It may call `inside` functions of its own folder and of those of sources.py.
    """
    import numba

    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    try:
        with _users_cache():
            dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(**options)(function)
    if hasattr(dispatcher, "_cache"):  # not in plain Python, under NUMBA_DISABLE_JIT
        own = python_files(Path(function.__code__.co_filename).parent)
        dispatcher._cache._cache_file._source_stamp = digest_of(own, AT_START)
    return dispatcher


@contextmanager
def _users_cache() -> Iterator[None]:
    """Have numba keep what is decorated meanwhile in the user's cache folder, unless NUMBA_CACHE_DIR names another.

    Beside the sources, where numba would keep it, `pip uninstall` would leave it.
    """
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = before or str(cache_folder() / "kernels")
    try:
        yield
    finally:
        config.CACHE_DIR = before


def inside(function: Callable) -> Any:
    """Compiled as a part of each compiled function that calls it: a call would pass every array."""
    import numba

    return numba.njit(
        nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)


class Guarded:
    """A cached dispatcher. What it takes to call it the first time is tried again, without the cache, if it fails.

    Loading may fail (a damaged file: EOFError, ValueError, ...), and saving after it was compiled (a full disk). The
    function itself runs once, whatever it raises: its arguments are no longer what they were.
    """

    def __init__(self, dispatcher: Any, *others: Any):
        self.dispatcher, self._all = dispatcher, (dispatcher, *others)
        self._ready = not hasattr(dispatcher, "_cache")  # plain Python under NUMBA_DISABLE_JIT

    def __call__(self, *args: Any) -> Any:
        if not self._ready:
            apart(self._prepare, args)
            self._ready = True
        return self.dispatcher(*args)

    def _prepare(self, args: tuple) -> None:
        types = tuple(map(self.dispatcher.typeof_pyval, args))
        try:
            self.dispatcher.compile(types)
        except Exception:
            if not any(is_kept(each) for each in self._all):
                raise  # it would say the same again
            for each in self._all:
                with suppress(Exception):
                    each._cache.flush()
            self.dispatcher.compile(types)


def is_kept(dispatcher: Any) -> bool:
    """Tell whether what is compiled of it is kept on disk."""
    return hasattr(dispatcher._cache, "cache_path") and dispatcher._cache.cache_path is not None


def guarded(*others: Any) -> Callable[[Any], Guarded]:
    """Decorator: guards a cached dispatcher, and the cached ones that it calls."""
    return lambda dispatcher: Guarded(dispatcher, *others)
