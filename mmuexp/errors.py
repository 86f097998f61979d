"""The errors that a user sees as one line: what is wrong, where, and what to do next."""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def shown(text: str) -> str:
    r"""A text of somebody else's, as it may be printed: what is not printable stands as `\n`, `\x1b`, `\u202e`.

    So a name cannot break a line, nor steer a terminal. A byte of a file's name that is not UTF-8 stands as `\xff`.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code <= 0xFF:
        return f"\\u{code:04x}"
    return char.encode("unicode_escape", "surrogatepass").decode()


def all_shown(value: Any) -> Any:
    """As `shown`, of every text in what a JSON or TOML file holds. Lines stay lines."""
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(map(shown, value.split("\n")))
    if isinstance(value, dict):
        return {all_shown(key): all_shown(one) for key, one in value.items()}
    return list(map(all_shown, value)) if isinstance(value, list) else value


def shell_line(words: Sequence[str]) -> str:
    r"""A command line that a shell reads again as these words; one that is not printable stands as `$'\xff.arrow'`."""
    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{_quoted(word)}'" for word in words)


def _quoted(word: str) -> str:
    return shown(word.replace("\\", "\\\\").replace("'", "\\'"))


def one_line(text: str) -> str:
    """A message on one line that is `shown`; what stands on several lines of it is put behind each other.

    Blanks within a line stay: a message may quote a file in which they count.
    """
    return shown(" ".join(filter(None, map(str.strip, text.splitlines()))))


def file_name(path: str) -> str:
    """A file's name, as `where` of an error: an empty one stands as ''."""
    return path or "''"


def reason_of(error: OSError) -> str:
    """Say why the system refused, as the middle of a sentence."""
    return (error.strerror or str(error)).lower()


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Advise the known name that `word` is nearest to, or what `otherwise` says."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise


class MmuexpError(Exception):
    """An input, a strategy or the machine failed (exit code 1).

    `what` names the trouble, `where` the file, row or parameter, `todo` the next step; `str()` is the whole line.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = ""):
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{shown(self.where)}: {self.what}" if self.where else self.what
        return one_line(f"{line}; {self.todo}" if self.todo else line)


class UsageError(MmuexpError):
    """Wrong usage: an unknown key, a value out of range, an ambiguous parameter (exit code 2)."""

    exit_code = 2


class TraceError(MmuexpError):
    """A trace that cannot be read or contradicts itself. `row` is the offending row of the file, if known."""

    def __init__(self, what: str, *, where: str = "", todo: str = "", row: int | None = None):
        self.row = row
        super().__init__(what, where=where, todo=todo)


class SchemeStopped(TraceError):
    """A row that one scheme cannot serve; others can."""


class CheckFailed(MmuexpError):
    """A check said no (exit code 3)."""

    exit_code = 3


# how the command line writes parameters of the Python interface, where it is not `--name`
_OPTIONS = {
    "memory_mb": "--memory",
    "output": "-o",
    "traces": "--trace",
    "from_format": "--from",
    "root": "-L",
    "seconds": "--time",
}
_in_options = False


@contextmanager
def speaking_of_options() -> Iterator[None]:
    """Have errors name options (`--every 5`) while the command line runs, not parameters of Python (`every=5`)."""
    global _in_options
    before, _in_options = _in_options, True
    try:
        yield
    finally:
        _in_options = before


def option(name: str, value: object = None) -> str:
    """Name a parameter as the reader knows it: `every` in Python, `--every` on the command line.

    With a value it is `every=5` and `--every 5`; True makes `force=True` and `--force`; "" makes `every=`.
    """
    if not _in_options:
        return name if value is None else f"{name}={value if value == '' else repr(value)}"
    flag = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    return flag if value is None or value is True or value == "" else f"{flag} {value}"


def refuse_itself(path: str | os.PathLike, output: str | os.PathLike, what: str) -> None:
    """Raises UsageError with `what` if the file to be written is the very one to be read. Either may be missing."""
    if os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output):
        raise UsageError(what, where=str(output), todo=f"name another file with {option('output', '')}")
