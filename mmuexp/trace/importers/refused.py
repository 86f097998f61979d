"""Names what is not a trace that can be imported, so that a refusal says what it is and what to do."""

import re
from collections.abc import Callable
from typing import NoReturn

from mmuexp.errors import TraceError, option
from mmuexp.trace.importers import formats
from mmuexp.trace.importers.named import named
from mmuexp.trace.importers.source import Sample, quoted


def refuse_by_name(sample: Sample, where: str) -> NoReturn:
    """Raises TraceError: what the file is, as far as it can be told, and what to do."""
    for recognized, what, todo in REFUSED:
        if recognized(sample):
            raise TraceError(what, where=where, todo=todo)
    if (found := named(sample)) is not None:
        raise TraceError(found.what, where=where, todo=found.todo)
    todo = f"there are {', '.join(formats())}: if it is one of them, say which with {option('from_format', '')}"
    if sample.folder:
        raise TraceError("is a folder without a recording that can be imported", where=where, todo=todo)
    if sample.is_text:
        number = next((at for at, line in enumerate(sample.lines) if line == sample.line), 0)
        what = f"line {number + 1:,} is {quoted(sample.line)}, which no format begins with"
    else:
        what = f"begins with the bytes {sample.head[:16].hex(' ')}, as no format does"
    raise TraceError(what, where=where, todo=todo)


def _raw(sample: Sample) -> bool:
    """drmemtrace's raw entries have 8 bytes; the first ones have the type "extended" in their top bits."""
    return not sample.is_text and len(sample.head) >= 16 and sample.head[7] in (0xC0, 0xC4)


def _view(sample: Sample) -> bool:
    """The text of drmemtrace's tool `view`: a record's number, an instruction's, the thread, what it is."""
    return any(re.match(rb"\s*\d+\s+\d+:\s+\d+ (<marker|ifetch|read|write)", line) for line in sample.lines[:20])


REFUSED: list[tuple[Callable[[Sample], bool], str, str]] = [
    (
        lambda sample: sample.head.startswith((b"\xff\xfe", b"\xfe\xff")),
        "is text in UTF-16, as some shells write what they redirect",
        "write it again as plain text: iconv -f UTF-16 -t UTF-8 FILE",
    ),
    (
        lambda sample: sample.head.startswith(b"\xef\xbb\xbf"),
        "is text behind a byte order mark, which no tool that records writes",
        "take the mark away: sed '1s/^\\xef\\xbb\\xbf//' FILE",
    ),
    (
        _raw,
        "is a raw recording of drmemtrace",
        "convert it with `drraw2trace -indir FOLDER`, or `drrun -t drmemtrace -indir FOLDER`, then import its trace/ "
        "folder",
    ),
    (
        _view,
        "is what drmemtrace's tool `view` prints",
        "import the .trace file that it was printed from",
    ),
]
