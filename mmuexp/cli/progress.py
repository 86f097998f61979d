"""What a command tells while it works, on a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmuexp.cli.console import say, stderr_console
from mmuexp.errors import shown
from mmuexp.progress import Progress, shown_by


def tell_of_compiling() -> None:
    """On a terminal, have the first run of a scheme say what it waits for; anywhere, tell of a broken store."""
    from mmuexp.replay import compiled
    from mmuexp.store import database

    database.on_trouble = say
    if sys.stderr.isatty():
        compiled.on_compile = lambda name: say(f"compiling {name} for this machine; it takes some seconds")


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """Give a callback that draws rate and time left; None where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    done, rate = (BarColumn(), TaskProgressColumn()), TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), *done, rate, TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=stderr_console(), transient=True) as bar:

        def show(name: str, done: int, rows: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(shown(os.path.basename(name)), total=rows, rate="")
            task = bar.tasks[bar.task_ids.index(tasks[name])]
            rate = f"{done / task.elapsed / 1e6:.1f} M rows/s" if task.elapsed else ""
            bar.update(tasks[name], completed=done, rate=rate, refresh=True)  # short work is seen, too

        with shown_by(show):
            yield show


def telling(progress: Progress | None) -> Progress:
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
