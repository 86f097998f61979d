"""Writes results to files. The suffix decides the format; a file is claimed before work starts and appears whole.

`EXPORTERS` is the one list of formats: commands, their help and their errors take suffixes and meanings from it. A new
one is a function here and its line there. It imports nothing heavy, for the help that reads it comes at once.
"""

import contextlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mmuexp.errors import MmuexpError, UsageError, file_name, reason_of
from mmuexp.result.manifest import SUFFIX
from mmuexp.result.saved import FORMAT
from mmuexp.result.table import Result, rows_of
from mmuexp.runtime import partfile
from mmuexp.runtime.interrupt import whole

MOST_SHOWN_ROWS = 2_000  # of a page or a chart, which take some 40 KB of memory a row


def to_csv(found: Any) -> bytes:
    """Return the frame of a result as CSV, or of anything else that has one."""
    return found.frame.to_csv(index=False, lineterminator="\n").encode()


def to_parquet(found: Any) -> bytes:
    """Return the frame of a result as Parquet, or of anything else that has one."""
    plain = found.frame.copy()
    plain.attrs = {}  # the manifest stands beside the file
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def json_bytes(document: Any) -> bytes:
    """Return the document as it stands in all our files."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _json(result: Result) -> bytes:
    about = {"format": FORMAT, "kind": result.kind, "parameters": list(result.parameters), "manifest": result.manifest}
    return json_bytes({**about, "columns": list(result.frame.columns), "rows": rows_of(result.frame)})


def _md(result: Result) -> bytes:
    from mmuexp.render.markdown import markdown

    return markdown(result).encode()


def _html(result: Result) -> bytes:
    from mmuexp.render.html.result import html

    return html(result).encode()


def _drawn(result: Result, kind: str) -> bytes:
    from mmuexp.render.chart import draw, runs

    return getattr(draw, kind)(runs.drawn(result))


class Exporter(NamedTuple):
    """How a result is written to files of one suffix. Beside each, but JSON, stands FILE.manifest.json."""

    write: Callable[[Result], bytes]
    meaning: str
    for_programs: bool = False  # of any length, and read without being laid out
    printable: bool = False  # text that `--format` writes to stdout


EXPORTERS = {
    ".csv": Exporter(to_csv, "the tidy table", for_programs=True, printable=True),
    ".json": Exporter(_json, "table and manifest, which `mmuexp export` reads", for_programs=True, printable=True),
    ".md": Exporter(_md, "the summary, the verdict and every count, as text", printable=True),
    ".parquet": Exporter(to_parquet, "the tidy table, packed", for_programs=True),
    ".html": Exporter(_html, "a page with summary, chart, verdict and every count"),
    ".svg": Exporter(partial(_drawn, kind="svg"), "the chart, as lines"),
    ".png": Exporter(partial(_drawn, kind="png"), "the chart, as pixels"),
}
WRITERS: dict[str, Callable[[Result], bytes]] = {suffix: one.write for suffix, one in EXPORTERS.items()}
FOR_PROGRAMS = tuple(suffix for suffix, one in EXPORTERS.items() if one.for_programs)
PRINTABLE = tuple(suffix for suffix, one in EXPORTERS.items() if one.printable)


class Output:
    """Claims one output file before the work (an unwritable path fails here); it is saved once, or discarded.

    `writers` make the bytes of what is saved, by suffix: those of a Result, unless others are given. Raises UsageError
    for an unknown suffix, MmuexpError for a path that cannot be written. Without `beside` no manifest stands beside it.
    """

    def __init__(self, path: str, writers: Mapping[str, Callable[..., Any]] = WRITERS, *, beside: bool = True):
        self.path = path
        suffix = Path(path).suffix.lower()
        if suffix not in writers:
            what = f"does not say its format by its suffix {suffix!r}"
            raise UsageError(what, where=file_name(path), todo=f"known: {' '.join(writers)}")
        if path.lower().endswith(SUFFIX):
            raise UsageError("is the name of a manifest", where=path, todo=f"end it in .json, but not in {SUFFIX}")
        self.writer = writers[suffix]
        self.manifest = path + SUFFIX if beside and suffix != ".json" else None
        self._pending: list[_Part] = []
        try:
            self._direct = _is_special(path)
            for target in [] if self._direct else self.targets():
                self._pending.append(_claim(target))
        except BaseException as error:
            self.discard()
            if not isinstance(error, OSError):
                raise
            what = f"cannot be written: {reason_of(error)}"
            raise MmuexpError(what, where=path, todo="name another output file") from None

    def targets(self) -> list[str]:
        """The files that `save` writes."""
        return [self.path] if self.manifest is None else [self.path, self.manifest]

    def save(self, found: Any, manifest: dict | None = None) -> None:
        """Write what was found, and the manifest: its own, or the one that is given. Each appears when it is whole."""
        with self._writing():
            self._check_size(found)
            self._data_file().write_bytes(self.writer(found))
            self._finish(found.manifest if manifest is None else manifest)

    def _check_size(self, found: Any) -> None:
        """Raise MmuexpError for a table that is too long to be drawn or laid out in bounded memory."""
        rows = len(found.frame) if isinstance(found, Result) else 0  # a difference is as long as it is
        if rows > MOST_SHOWN_ROWS and Path(self.path).suffix.lower() not in FOR_PROGRAMS:
            what = f"a table of {rows:,} rows is too long for people, who get {MOST_SHOWN_ROWS:,}"
            raise MmuexpError(what, where=self.path, todo=f"name a file for programs: {' '.join(FOR_PROGRAMS)}")

    def _data_file(self) -> Path:
        """Where the table is written: its temporary file, or the pipe or device itself."""
        return Path(self.path if self._direct else self._pending[0].name)

    def _finish(self, manifest: dict) -> None:
        """The table is written: write the manifest, and give both their names."""
        for part in self._pending[1:]:
            Path(part.name).write_bytes(json_bytes(manifest))
        with whole():
            while self._pending:
                part = self._pending[0]
                os.replace(part.name, part.target)
                os.close(part.fd)
                del self._pending[0]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What fails inside leaves nothing behind, and becomes a line for the user."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, MmuexpError) and not error.where:
                error.where = self.path
            if not isinstance(error, OSError):
                raise
            what = f"could not be written: {reason_of(error)}"
            raise MmuexpError(what, where=self.path, todo="free space there") from None

    def discard(self) -> None:
        """Leave nothing behind. Harmless after `save`."""
        for part in self._pending:
            with contextlib.suppress(OSError):
                os.unlink(part.name)
            os.close(part.fd)
        self._pending = []


class _Part(NamedTuple):
    """The temporary file beside `target`; its descriptor holds its lock."""

    name: str
    target: str
    fd: int


def _is_special(path: str) -> bool:
    """A pipe or a device is written as it is: it cannot be replaced by a whole file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "it is a folder")
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "permission denied")
    return not stat.S_ISREG(mode)


def _claim(path: str) -> _Part:
    """An empty temporary file beside the target."""
    target = os.path.realpath(path)  # a link stays a link
    fd, name = partfile.create(target)
    return _Part(name, target, fd)
