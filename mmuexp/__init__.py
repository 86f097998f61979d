"""The notebook's interface: `compare`, `sweep` and `open_trace`; the command line adds nothing to them.

    >>> import mmuexp
    >>> table = mmuexp.compare("gzip.arrow", ["softmmu", "map-block,map_block_bits=20"])

Everything else is imported when it is first used (PEP 562 for `open_trace`): importing mmuexp costs nothing.
"""

__all__ = ["__version__", "compare", "open_trace", "sweep"]


def compare(*args, **kwargs):
    """Replay traces under schemes: `experiment.compare`'s table, with its manifest in `.attrs["manifest"]`."""
    from mmuexp import experiment

    return experiment.compare(*args, **kwargs).frame


def sweep(*args, **kwargs):
    """Replay traces over parameter values: `experiment.sweep`'s table, with its manifest in `.attrs["manifest"]`."""
    from mmuexp import experiment

    return experiment.sweep(*args, **kwargs).frame


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mmuexp")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"


def __getattr__(name: str):
    if name == "__version__":
        return _version()
    if name == "open_trace":
        from mmuexp.trace import open_trace

        return open_trace
    raise AttributeError(f"module 'mmuexp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
