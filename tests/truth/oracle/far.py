"""far_accesses and cold_accesses, as the docstring of mmuexp/replay/farcode.py defines them, from the list of all
executions of a trace, cut into generations, and these into long ones.

Part of the oracle: imports the standard library only.
"""

from truth.oracle.guest import EXEC, IO, LOAD, STORE

GENERATION, LONG_GENERATION = 128, 1024

Execution = tuple[int, int]  # address of the block, RAM accesses


class Executions:
    """(address, RAM accesses) of each execution, in order, of those that have any."""

    def __init__(self) -> None:
        self.done: list[Execution] = []
        self.address: int | None = None
        self.accesses = self.seen = self.unknown = 0

    def row(self, op: int, vaddr: int, flags: int) -> None:
        """The next row of the trace."""
        if op == EXEC:
            self.end()
            self.address, self.seen = vaddr, self.seen + 1
        elif op in (LOAD, STORE) and not flags & IO:
            self.accesses += 1
            self.unknown += self.address is None

    def end(self) -> None:
        """No further access belongs to the execution at hand."""
        if self.address is not None and self.accesses:
            self.done.append((self.address, self.accesses))
        self.accesses = 0

    def far(self) -> int | None:
        """The accesses of far executions; None where no row tells of the code of any."""
        return self._not_lately(self._generations())

    def cold(self) -> int | None:
        """The accesses of cold executions; None as of far ones."""
        return self._not_lately(_joined(self._generations(), LONG_GENERATION))

    def _generations(self) -> list[list[Execution]]:
        self.end()
        return _joined([[execution] for execution in self.done], GENERATION)

    def _not_lately(self, generations: list[list[Execution]]) -> int | None:
        """Accesses of executions whose block was executed neither in the same generation nor in the one before."""
        if not self.seen and self.unknown:
            return None
        found, before = 0, set[int]()
        for generation in generations:
            now = set[int]()
            for address, accesses in generation:
                found += 0 if address in now or address in before else accesses
                now.add(address)
            before = now
        return found


def _joined(parts: list[list[Execution]], room: int) -> list[list[Execution]]:
    """Consecutive parts joined, each until what the blocks in it access when first executed is as much as `room`."""
    found: list[list[Execution]] = [[]]
    seen, left = set[int](), room
    for part in parts:
        found[-1] += part
        for address, accesses in part:
            left -= 0 if address in seen else accesses
            seen.add(address)
        if left <= 0:
            found.append([])
            seen, left = set(), room
    return found
