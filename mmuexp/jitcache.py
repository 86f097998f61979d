"""numba's disk cache, made harmless: a damaged or full cache costs a compilation, never a run."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def kept(function: Callable) -> Any:
    """Compiled and kept on disk, where there is a place to keep it."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(nogil=True, error_model="numpy")(function)


class Guarded:
    """A cached dispatcher. Its first call is tried again, without what the cache holds, if it fails.

    Loading fails before the function runs (a damaged file: EOFError, ValueError, ...) and saving fails after it was
    compiled (a full disk), so the second try finds every argument as the first did.
    """

    def __init__(self, dispatcher: Any, *others: Any):
        self._dispatcher, self._all = dispatcher, (dispatcher, *others)
        self._proved = not hasattr(dispatcher, "_cache")  # plain Python under NUMBA_DISABLE_JIT

    def __call__(self, *args: Any) -> Any:
        if self._proved:
            return self._dispatcher(*args)
        try:
            answer = self._dispatcher(*args)
        except Exception:
            for each in self._all:
                with suppress(Exception):
                    each._cache.flush()
            answer = self._dispatcher(*args)
        self._proved = True
        return answer


def guarded(*others: Any) -> Callable[[Any], Guarded]:
    """Decorator: guards a cached dispatcher, and the cached ones that it calls."""
    return lambda dispatcher: Guarded(dispatcher, *others)
