"""Traces on disk: reading, writing, and what can be said about one. Arrow stops here.

`open_trace(path)` gives a `Trace`, whose `batches()` are `guest.Columns`; `TraceWriter` writes one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmuexp.trace.format import TraceWriter
    from mmuexp.trace.reader import Trace, open_trace
    from mmuexp.trace.sha256 import digest

__all__ = ["Trace", "TraceWriter", "digest", "open_trace"]
_WHERE = {"Trace": "reader", "TraceWriter": "format", "digest": "sha256", "open_trace": "reader"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, not before: Arrow takes tenths of a second, and help texts need none of it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
