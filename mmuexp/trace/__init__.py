"""Traces on disk: reading, writing, and what can be said about one. Arrow stops here.

`open_trace(path)` gives a `Trace`, whose `batches()` are `guest.Columns`; `TraceWriter` writes one.
"""

from mmuexp.trace.format import TraceWriter
from mmuexp.trace.reader import Trace, open_trace
from mmuexp.trace.sha256 import digest

__all__ = ["Trace", "TraceWriter", "digest", "open_trace"]
