"""numba's disk cache, made harmless: a damaged or full cache costs a compilation, never a run."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmuexp.runtime.places import cache_folder
from mmuexp.runtime.threads import apart


def kept(function: Callable, **options: Any) -> Any:
    """Compiled and kept on disk, where there is a place to keep it."""
    import numba

    options |= {"nogil": True, "error_model": "numpy"}
    try:
        with _users_cache():
            return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(**options)(function)


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


def kept_with(*sources: str) -> Callable[[Callable], Any]:
    """As `kept`, of a function that calls `inside` functions of other files: what is kept is theirs, too.

    numba's cache looks at the time of the function's own file alone. The function must allocate nothing: no references
    to arrays are counted, which would take longer than what is done with a short part of one.
    """

    def decorate(function: Callable) -> Any:
        dispatcher = kept(function, _nrt=False)
        if hasattr(dispatcher, "_cache"):
            digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()
            with suppress(AttributeError):  # not kept at all
                kept_file = dispatcher._cache._cache_file
                kept_file._source_stamp = (kept_file._source_stamp, digest)
        return dispatcher

    return decorate


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
    """Is what is compiled of it kept on disk?"""
    return hasattr(dispatcher._cache, "cache_path") and dispatcher._cache.cache_path is not None


def guarded(*others: Any) -> Callable[[Any], Guarded]:
    """Decorator: guards a cached dispatcher, and the cached ones that it calls."""
    return lambda dispatcher: Guarded(dispatcher, *others)
