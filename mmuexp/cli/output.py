"""Where a command's output goes: files, which are claimed before the work and appear whole, and stdout."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from mmuexp.cli.console import say, stdout_console, write_bytes
from mmuexp.cli.progress import progress_bar, tell_of_compiling, telling
from mmuexp.errors import MmuexpError
from mmuexp.render.export import FOR_PROGRAMS, PRINTABLE, WRITERS, Output

if TYPE_CHECKING:
    from rich.console import Console

    from mmuexp.result.table import Result

STDOUT = "-"
QUICK = (*FOR_PROGRAMS, *PRINTABLE)  # the others are drawn


@contextmanager
def claimed(paths: Sequence[str], claim: Callable[[str], Any]) -> Iterator[list[Any]]:
    """Claim the files of -o, so that a path that cannot be written fails before the work.

    Gives an Output each, as `claim` makes it of a path. What was not saved leaves nothing behind.
    """
    with ExitStack() as stack:
        files: list[Any] = []
        for path in dict.fromkeys(path for path in paths if path != STDOUT):
            files.append(claim(path))
            stack.callback(files[-1].discard)
        _refuse_twice(files)
        yield files


def _refuse_twice(files: Sequence[Output]) -> None:
    """Two outputs, or an output and a manifest, must not replace each other."""
    from mmuexp.errors import UsageError

    found: dict[str, str] = {}
    for file in files:
        for target in file.targets():
            whole = os.path.realpath(target)
            if whole in found:
                raise UsageError(f"is written for -o {found[whole]} already", where=target, todo="name another file")
            found[whole] = file.path


@contextmanager
def saving(
    paths: Sequence[str],
    format_: str | None,
    writers: Mapping[str, Callable[[Any], bytes]],
    print_table: Callable,
    *,
    always: bool = False,
) -> Iterator[Callable[..., None]]:
    """Claim the files of -o, and give a function that saves to them and to stdout.

    Data goes to stdout if there are no files, `-o -` or --format asks for it, or `always`: `writers`, by suffix, write
    it as bytes, and `print_table(data, console)` for people. Files come first, as a closed pipe must not cost what was
    asked for on disk; of two drawings and a table, `hurried`, the table does.
    """
    to_stdout = not set(paths) - {STDOUT} or STDOUT in paths or format_ is not None or always
    with claimed(paths, lambda path: Output(path, writers)) as files:

        def save(data: Any, manifest: dict | None = None, hurried: bool = False) -> None:
            in_order = sorted(files, key=lambda file: hurried and not file.path.lower().endswith(QUICK))
            _save_all(in_order, data, manifest)
            if to_stdout and format_ in (None, "table"):
                print_table(data, stdout_console())
            elif to_stdout:
                write_bytes(writers[f".{format_}"](data))
            sys.stdout.flush()

        yield save


def _save_all(files: Sequence[Output], data: Any, manifest: dict | None) -> None:
    """Save to each file. Where one cannot be written the others still are; then the first error is raised."""
    failed: list[MmuexpError] = []
    for file in files:
        try:
            file.save(data, manifest)
            say(f"wrote {file.path}")
        except MmuexpError as error:
            failed.append(error)
    for later in failed[1:]:
        say(str(later))
    if failed:
        raise failed[0]


def run_and_save(
    work: Callable[..., "Result"],
    paths: Sequence[str],
    format_: str | None,
    checks: Sequence[str],
    columns: Sequence[str] = (),
    schemes: Sequence[str] | None = None,
) -> "Result":
    """Claim the outputs, run `work(progress)`, save its result, then apply --fail-if.

    `columns` are those of numbers that this result has and others have not; a check may name them. `schemes` are the
    specs that it may hold, if that is known; a check that names another is refused before the work.

    Interrupted between traces, what was finished is saved before the exit.
    """
    from mmuexp.analysis.experiment import Interrupted
    from mmuexp.render.figures import row_names
    from mmuexp.result.checks import fail_if, parse_check

    tell_of_compiling()
    parsed = [parse_check(text, columns, schemes, row_names()) for text in checks] if checks else []
    with saving(paths, format_, WRITERS, _print_result) as save:
        try:
            with progress_bar() as progress:
                result = work(telling(progress))
        except Interrupted as stopped:
            _say_what_was_done(stopped.result)
            save(stopped.result, hurried=True)
            raise
        _say_what_was_done(result)
        save(result)
    fail_if(result, parsed, say)
    return result


def refuse_failures(result: "Result") -> None:
    """Raises MmuexpError in the end where recordings of a corpus could not be replayed: each has cost its own row."""
    if failed := result.manifest.get("failed"):
        in_all = len(failed) + result.frame["trace"].nunique()
        raise MmuexpError(f"{len(failed):,} of {in_all:,} recordings could not be replayed", todo="see above")


def _print_result(result: "Result", console: "Console") -> None:
    from mmuexp.render.terminal.result import print_result

    print_result(result, console)


def say_what_is_from_store(manifests: Iterable[Mapping[str, Any]]) -> None:
    """Name the runs of these results that were not replayed now, if there are any."""
    parts = [part for one in manifests for part in one.get("from_store", [])]
    if runs := sum(len(part["strategies"]) for part in parts):
        say(f"{runs:,} {'runs are' if runs > 1 else 'run is'} from the store of counts; --no-store replays")


def _say_what_was_done(result: "Result") -> None:
    say_what_is_from_store([result.manifest])
    for one in result.manifest.get("left_out", []):
        say(f"{one['trace']}: {one['strategy']} is left out, it cannot serve this trace: {one['why']}")
    for one in result.manifest.get("failed", []):
        say(one["why"])
    for one in result.manifest.get("live", {}).get("without_engine", []):
        say(f"{one['strategy']} is not measured, {one['why']}")
