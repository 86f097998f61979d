"""Which mmuexp this is."""

from functools import lru_cache


@lru_cache(maxsize=1)
def version() -> str:
    """The installed version; "unknown" when run from a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mmuexp")
    except PackageNotFoundError:
        return "unknown"
