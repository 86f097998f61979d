"""The notebook's interface: `compare`, `sweep` and `open_trace`; the command line adds nothing to them.

    >>> import mmuexp
    >>> table = mmuexp.compare("gzip.arrow", ["softmmu", "map-block,map_block_bits=20"])

Names load when they are first used (PEP 562): importing mmuexp costs nothing.
"""

from importlib import import_module

__all__ = ["__version__", "compare", "open_trace", "sweep"]

_HOME = {"compare": "mmuexp.experiment", "sweep": "mmuexp.experiment", "open_trace": "mmuexp.trace"}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mmuexp")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def __getattr__(name: str):
    if name == "__version__":
        return _version()
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mmuexp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
