"""Remarks to stderr, bytes to stdout, results to files: one that fails does not cost the others."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmuexp.errors import MmuexpError, shown

if TYPE_CHECKING:
    from mmuexp.render.export import Output


def say(line: str) -> None:
    """A remark for the user, on stderr."""
    print(f"mmuexp: {shown(line)}", file=sys.stderr)


def save_all(files: "Sequence[Output]", result: Any) -> None:
    """Save to each file. Where one cannot be written the others still are; then the first error is raised."""
    failed: list[MmuexpError] = []
    for file in files:
        try:
            file.save(result)
            say(f"wrote {file.path}")
        except MmuexpError as error:
            failed.append(error)
    for later in failed[1:]:
        say(str(later))
    if failed:
        raise failed[0]


def write_bytes(content: bytes) -> None:
    """UTF-8 to stdout, whatever encoding a terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
