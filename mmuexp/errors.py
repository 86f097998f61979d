"""The errors that a user sees as one line: what is wrong, where, and what to do next."""

import os


class MmuexpError(Exception):
    """An input, a strategy or the machine failed (exit code 1).

    `what` names the trouble, `where` the file, row or parameter, `todo` the next step; `str()` is the whole line.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = ""):
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return " ".join((f"{line}; {self.todo}" if self.todo else line).split())


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


def refuse_itself(path: str | os.PathLike, output: str | os.PathLike, what: str) -> None:
    """Raises UsageError with `what` if the file to be written is the very one to be read. Either may be missing."""
    if os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output):
        raise UsageError(what, where=str(output), todo="name another file with -o")
