"""What commands say: remarks and progress to stderr, data to stdout."""

import os
import sys
from typing import TYPE_CHECKING, Any

from mmuexp.errors import shown

if TYPE_CHECKING:
    from rich.console import Console


def say(line: str) -> None:
    """Write a remark for the user to stderr."""
    print(f"mmuexp: {shown(line)}", file=sys.stderr)


def write_bytes(content: bytes) -> None:
    """Write UTF-8 to stdout, whatever encoding a terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


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
