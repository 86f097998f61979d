"""What every command does with its output: data to stdout, all else to stderr, files claimed before the work."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mmuexp.cli.saving import save_all, say, write_bytes
from mmuexp.errors import shown
from mmuexp.render.export import FOR_PROGRAMS, PRINTABLE, WRITERS

if TYPE_CHECKING:
    from rich.console import Console

    from mmuexp.render.export import Output
    from mmuexp.result.table import Result

FORMATS = ("table", *(suffix.removeprefix(".") for suffix in PRINTABLE))
STDOUT = "-"
QUICK = (*FOR_PROGRAMS, *PRINTABLE)  # the others are drawn


def stdout_console() -> "Console":
    """For data. Off a terminal and under NO_COLOR it writes plain text; markup in data is left alone."""
    return _console(sys.stdout)


def stderr_console() -> "Console":
    """For progress and remarks."""
    return _console(sys.stderr)


def _console(file: Any) -> "Console":
    from rich.console import Console

    from mmuexp.render.terminal.wrap import page_width

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise  # `run` ends quietly; rich would exit with 1

    plain = not file.isatty() or os.environ.get("TERM") == "dumb"
    return Quiet(
        file=file,
        force_terminal=not plain,
        no_color=plain or bool(os.environ.get("NO_COLOR")),
        markup=False,
        emoji=False,
        highlight=False,
        width=page_width() if plain else None,
    )


def trace_options(command: Callable) -> Callable:
    """--trace FILE, --host PROFILE and --price."""
    help_ = "Take the prices of this host profile, by its name or as a TOML file of your own.  [epyc-vm]"
    trace = click.option("--trace", "traces", metavar="FILE", multiple=True, help="Replay this trace; repeatable.")
    return trace(host_options(help_)(command))


def host_options(help_: str) -> Callable[[Callable], Callable]:
    """--host PROFILE, and --price, whose prices follow the profile's name as settings follow a scheme's."""

    def keep(ctx: click.Context, _param: click.Parameter, prices: Sequence[str]) -> None:
        for price in prices:
            if not all(price.partition("=")) or "," in price:
                raise click.BadParameter(f"{price!r} is not a price; give one as in signal=300 (ns)")
        ctx.meta["mmuexp.prices"] = prices

    def named(ctx: click.Context, _param: click.Parameter, host: str | None) -> str | None:
        prices = ctx.meta.get("mmuexp.prices", ())
        return ",".join([host or "", *prices]) if prices else host

    def add(command: Callable) -> Callable:
        price = click.option(
            "--price",
            metavar="PRIMITIVE=NS",
            multiple=True,
            is_eager=True,  # known before the profile is named
            expose_value=False,
            callback=keep,
            help="Take this price in place of the profile's: signal=300; repeatable.",
        )
        return click.option("--host", metavar="PROFILE", callback=named, help=help_)(price(command))

    return add


def jobs_option(command: Callable) -> Callable:
    """-j, --jobs."""
    help_ = "Replay with N threads; 1 decodes in the same one, too.  [as many as cores]"
    return click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help=help_)(command)


def thread_option(command: Callable) -> Callable:
    """--thread, as the number that the Python interface takes, None for all."""

    def checked(_context, _parameter, text: str) -> int | None:
        if text == "all":
            return None
        from mmuexp.errors import UsageError
        from mmuexp.trace.threads import checked_thread

        try:
            return checked_thread(text)
        except UsageError as error:
            raise click.BadParameter(f"{error.what}; {error.todo}") from None

    help_ = "Take the rows of this thread alone; `mmuexp trace info` names them.  [all]"
    return click.option("--thread", metavar="ID|all", default="all", callback=checked, help=help_)(command)


def warmup_option(command: Callable) -> Callable:
    """--warmup."""
    help_ = "Count from this row on, with all that the rows before it left in tables and pools.  [0]"
    return click.option("--warmup", type=click.IntRange(min=0), metavar="ROWS", help=help_)(command)


def schemes_option(help_: str) -> Callable[[Callable], Callable]:
    """-s SPEC, repeatable, as `specs`."""
    return click.option("-s", "--strategy", "specs", metavar="SPEC", multiple=True, help=help_)


def any_of(suffixes: Iterable[str]) -> str:
    """As help texts list them: `.csv .json or .md`."""
    *others, last = suffixes
    return f"{' '.join(others)} or {last}" if others else last


def output_options(command: Callable) -> Callable:
    """-o FILE, --format and --fail-if, for commands that print a Result."""
    options = [
        click.option(
            "-o",
            "outputs",
            metavar="FILE",
            multiple=True,
            help=f"Write the result to FILE, a {any_of(WRITERS)}, instead of the table;"
            " -o - also prints it. Repeatable.",
        ),
        click.option("--format", "format_", type=click.Choice(FORMATS), help="Write stdout in this format.  [table]"),
        click.option(
            "--fail-if",
            "checks",
            metavar="EXPR",
            multiple=True,
            help="Exit with code 3 if EXPR is true of a row: softmmu:tlb_fills>1000, map-block:access_ns > 1.05 *"
            " softmmu:access_ns.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


class Outputs:
    """Where a Result goes: the files of -o, and stdout when there are none, or `-o -`, or --format asks for it.

    Files are claimed at once, so that a path that cannot be written fails before the work. Use as a context manager:
    what was not saved leaves nothing behind.
    """

    def __init__(self, paths: Sequence[str], format_: str | None = None):
        from mmuexp.render.export import Output

        files = list(dict.fromkeys(path for path in paths if path != STDOUT))
        self.stdout = not files or STDOUT in paths or format_ is not None
        self.format = format_ or "table"
        self.files: list[Output] = []
        try:
            for path in files:
                self.files.append(Output(path))
            refuse_twice(self.files)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for file in self.files:
            file.discard()

    def save(self, result: "Result", *, hurried: bool = False) -> None:
        """Files first: a closed pipe must not cost what was asked for on disk. `hurried`: drawings last."""
        save_all(sorted(self.files, key=lambda file: hurried and not file.path.lower().endswith(QUICK)), result)
        if self.stdout:
            write_stdout(result, self.format)


def refuse_twice(files: "Sequence[Output]") -> None:
    """Two outputs, or an output and a manifest, must not replace each other."""
    from mmuexp.errors import UsageError

    found: dict[str, str] = {}
    for file in files:
        for target in file.targets():
            whole = os.path.realpath(target)
            if whole in found:
                raise UsageError(f"is written for -o {found[whole]} already", where=target, todo="name another file")
            found[whole] = file.path


def write_stdout(result: "Result", format_: str) -> None:
    if format_ == "table":
        from mmuexp.render.terminal.result import print_result

        print_result(result, stdout_console())
    else:
        write_bytes(WRITERS[f".{format_}"](result))
    sys.stdout.flush()


def tell_of_compiling() -> None:
    """On a terminal: what the first run of a scheme waits for."""
    from mmuexp.replay import compiled

    if sys.stderr.isatty():
        compiled.on_compile = lambda name: say(f"compiling {name} for this machine; it takes some seconds")


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """A callback (name, rows done, rows in all) that draws rate and time left; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=stderr_console(), transient=True) as bar:

        def show(name: str, done: int, rows: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(shown(os.path.basename(name)), total=rows, rate="")
            task = bar.tasks[bar.task_ids.index(tasks[name])]
            rate = f"{done / task.elapsed / 1e6:.1f} M rows/s" if task.elapsed else ""
            bar.update(tasks[name], completed=done, rate=rate, refresh=True)  # short work is seen, too

        yield show


def telling(progress: Callable[[str, int, int | None], None] | None) -> Callable[[str, int, int | None], None]:
    """`progress`, and a remark when the replay of the bundled trace begins (not earlier: arguments may be wrong)."""
    from mmuexp.analysis.given import DEFAULT_NAME

    told = False

    def show(name: str, done: int, rows: int | None) -> None:
        nonlocal told
        if name == DEFAULT_NAME and not told:
            say("no --trace given; replaying the bundled trace, luajit (`mmuexp record` makes your own)")
            told = True
        if progress is not None:
            progress(name, done, rows)

    return show


def run_and_save(
    work: Callable[..., "Result"],
    paths: Sequence[str],
    format_: str | None,
    checks: Sequence[str],
    columns: Sequence[str] = (),
    schemes: Sequence[str] | None = None,
) -> None:
    """Claim the outputs, run `work(progress)`, save its result, then apply --fail-if.

    `columns` are those of numbers that this result has and others have not; a check may name them. `schemes` are the
    specs that it may hold, if that is known; a check that names another is refused before the work.

    Interrupted between traces, what was finished is saved before the exit.
    """
    from mmuexp.analysis.experiment import Interrupted
    from mmuexp.result.checks import fail_if, parse_check

    tell_of_compiling()
    parsed = [parse_check(text, columns, schemes) for text in checks]
    with Outputs(paths, format_) as outputs:
        try:
            with progress_bar() as progress:
                result = work(telling(progress))
        except Interrupted as stopped:
            _say_what_is_left_out(stopped.result)
            outputs.save(stopped.result, hurried=True)
            raise
        _say_what_is_left_out(result)
        outputs.save(result)
    fail_if(result, parsed, say)


def _say_what_is_left_out(result: "Result") -> None:
    for one in result.manifest.get("left_out", []):
        say(f"{one['trace']}: {one['strategy']} is left out, it cannot serve this trace: {one['why']}")
    for one in result.manifest.get("live", {}).get("without_engine", []):
        say(f"{one['strategy']} is not measured, {one['why']}")
