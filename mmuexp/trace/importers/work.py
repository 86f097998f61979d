"""Runs an import: opens a file, finds out what it is, has its importer read it, and writes the trace."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from mmuexp.errors import TraceError, UsageError, option
from mmuexp.progress import Progress
from mmuexp.trace.importers import Imported, Note, Options, Told, formats, importer, importers
from mmuexp.trace.importers.refused import refuse_by_name
from mmuexp.trace.importers.rows import REBASE_BITS, Rows, Target, Wide
from mmuexp.trace.importers.source import Source, opened, refuse_output

TELL_SECONDS = 0.2


def import_trace(
    path: str,
    output: str,
    *,
    from_format: str | None = None,
    rebase: str | bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Turn what another tool recorded (a file, a folder, `-` for stdin) into a trace.

    `from_format` is one of `formats()`, by default what the content says. `rebase` moves regions, of 256 MiB or as it
    says (`16MiB`), into 4 GiB; without it a trace has addresses of 64 bits where the recording has such. Raises
    TraceError, with the number of a bad line or record, and UsageError; then nothing is written.
    """
    bits, options = _rebase_bits(rebase), options or Options()
    if from_format is not None:
        importer(from_format)  # a wrong name is told before anything is read

    def work(wide: bool) -> Imported:
        return _import(path, output, from_format, bits, options, progress, wide)

    try:
        return work(False)
    except Wide:
        if bits or path == "-" or not (os.path.isfile(path) or os.path.isdir(path)):
            raise
        return work(True)


def _import(
    path: str,
    output: str,
    from_format: str | None,
    bits: int,
    options: Options,
    progress: Progress | None,
    wide: bool,
) -> Imported:
    with opened(path) as source:
        name, work = (from_format, importer(from_format)) if from_format is not None else detect(source, options)
        _refuse_options(name, work, options)
        refuse_output(source, output)
        with Target(output, wide) as target:
            rows: list[Rows] = []

            def rows_of(unit: str) -> Rows:
                rows.append(Rows(source.name, unit, target, bits, options.size or 0))
                return rows[0]

            told = work.read(_Watched(source, progress, rows), rows_of, options)
            (made,) = rows
            made.finish()
            if not made.written:
                what = f"holds no access and no instruction that {name} tells of"
                raise TraceError(what, where=source.name, todo=getattr(work, "NOTHING", "record it again"))
            done = _imported(name, told, made)
            if target.is_wide and (guest := told.metadata.get("guest")) in ("i386", "arm"):
                what = f"says that its guest is {guest}, and has addresses beyond 32 bits"
                raise TraceError(what, where=source.name, todo="record it again")
            target.close(told.complete, _metadata(name, told, made, done, bits))
    return done


def detect(source: Source, options: Options) -> tuple[str, Any]:
    """The format's name and its importer, by content. Raises TraceError where no format is recognized."""
    sample = source.sample
    for name in formats():
        if options.columns and "columns" in getattr(importer(name), "OPTIONS", ()):
            return name, importer(name)
    for name, work in importers():
        if work.looks_like(sample):
            return name, work
    refuse_by_name(sample, source.name)


def _refuse_options(name: str, work: Any, options: Options) -> None:
    takes = getattr(work, "OPTIONS", ())
    for field, value in options._asdict().items():
        if value not in (None, False) and field not in takes:
            named = option(field, True)
            those = [one for one in formats() if field in getattr(importer(one), "OPTIONS", ())]
            todo = f"it is for {', '.join(those)}" if those else "leave it out"
            raise UsageError(f"{named} is not for {name}", todo=todo)
    if options.size is not None and not 1 <= options.size <= 64:
        raise UsageError(f"{option('size', options.size)} is not from 1 to 64")
    if options.thread is not None and options.interleave:
        raise UsageError(f"{option('thread', '')} and {option('interleave', True)} exclude each other", todo="give one")


def _rebase_bits(rebase: str | bool) -> int:
    if not rebase:
        return 0
    size = "256MiB" if rebase is True else rebase
    if size not in REBASE_BITS:
        raise UsageError(f"{size!r} is not a size of regions to move", todo=f"there are {' and '.join(REBASE_BITS)}")
    return REBASE_BITS[size]


def _imported(name: str, told: Told, rows: Rows) -> Imported:
    notes = (
        *told.notes,
        Note("split_records", rows.split_records, "records over 64 bytes split"),
        Note("rebase_cut_records", rows.cut_records, "records cut where a region ends"),
    )
    return Imported(name, rows.written, told.units, rows.unit, rows.moved() if rows.bits else [], notes, told.remarks)


def _metadata(name: str, told: Told, rows: Rows, done: Imported, bits: int) -> dict[str, str]:
    """What the trace says of itself: everything that was left out is there as a count, 0 too."""
    keys = {"recorder": told.recorder, "import_format": name} | told.metadata
    keys |= {note.key: str(note.number) for note in done.notes if bits or note.key != "rebase_cut_records"}
    if bits:
        keys["rebase"] = " ".join(f"{origin:#x}->{new:#x}" for origin, new in done.moved) or "nothing moved"
    return keys


class _Watched:
    """A source that tells progress: rows so far, and how many it will be if the rest is as what was read."""

    def __init__(self, source: Source, progress: Progress | None, rows: list[Rows]):
        self._source, self._progress, self._rows, self._told = source, progress, rows, time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def chunks(self) -> Iterator[bytes]:
        """As the source's."""
        for data in self._source.chunks():
            yield data
            self.tell(self._source.share)

    def tell(self, share: Callable[[], float]) -> None:
        """Say how far it is, now and then. `share` is of all that there is to read."""
        now = time.monotonic()
        if self._progress is None or now - self._told < TELL_SECONDS or not self._rows:
            return
        self._told, done, part = now, self._rows[0].written, share()
        self._progress(self._source.name, done, int(done / part) if part else None)
