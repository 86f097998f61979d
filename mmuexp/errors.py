"""The errors that a user sees as one line: what is wrong, where, and what to do next."""


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
