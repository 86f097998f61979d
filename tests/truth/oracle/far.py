"""far_accesses, as the docstring of mmuexp/replay/farcode.py defines it, from the list of all executions of a trace.

Part of the oracle: imports the standard library only.
"""

from truth.oracle.guest import EXEC, IO, LOAD, STORE

GENERATION = 128


class Executions:
    """(address, RAM accesses) of each execution, in order, of those that have any."""

    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []
        self.address: int | None = None
        self.accesses = self.seen = 0

    def row(self, op: int, vaddr: int, flags: int) -> None:
        """The next row of the trace."""
        if op == EXEC:
            self.end()
            self.address, self.seen = vaddr, self.seen + 1
        elif op in (LOAD, STORE) and not flags & IO:
            self.accesses += 1

    def end(self) -> None:
        """No further access belongs to the execution at hand."""
        if self.address is not None and self.accesses:
            self.done.append((self.address, self.accesses))
        self.accesses = 0

    def far(self) -> int | None:
        """The accesses of far executions; None where no row tells of the code of any."""
        if not self.seen and self.accesses:
            return None
        self.end()
        return sum(n for n, lately in self._with_age() if not lately)

    def _with_age(self) -> list[tuple[int, bool]]:
        """Each execution's accesses, and: was its block executed in this generation or in the one before?"""
        found, number, room = [], 0, GENERATION
        last: dict[int, int] = {}  # address -> the generation in which it was executed last
        for address, accesses in self.done:
            age = number - last[address] if address in last else None
            found.append((accesses, age in (0, 1)))
            last[address] = number
            if age != 0:
                room -= accesses
            if room <= 0:
                number, room = number + 1, GENERATION
        return found
