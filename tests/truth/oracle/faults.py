"""The host faults of a trace, one by one, from the oracle: it is run row by row, and its counters' changes are read.

    faults(rows, "map-block", "user") -> [(row, vaddr, "faults_block"), ...]

A scheme that serves a crossing access page by page takes its faults in that order: the oracle's `serve` is watched for
which page it is at. Whatever it counts outside of `serve` is a fault of the access as a whole, at the row's address.
"""

from collections.abc import Iterable

from truth.oracle import COLUMNS, new, step
from truth.oracle.guest import PAGE

CAUSES = [column for column in COLUMNS if column.startswith("faults_")]


def faults(rows: Iterable[tuple[int, ...]], spec: str, mode: str, trace_bits: int = 32) -> list[tuple[int, int, str]]:
    """(row, vaddr, cause) of every host fault, in order."""
    guest, scheme = new(spec, mode, trace_bits)
    found: list[tuple[int, int, str]] = []
    seen = dict.fromkeys(CAUSES, 0)

    def note(row: int, vaddr: int) -> None:
        for cause in CAUSES:
            found.extend([(row, vaddr, cause)] * (guest.n[cause] - seen[cause]))
            seen[cause] = guest.n[cause]

    at = 0
    if hasattr(scheme, "serve"):
        serve = scheme.serve

        def watched(position, piece, store, cause):
            page, _, first, _ = piece
            mapped = serve(position, piece, store, cause)
            note(at, page * PAGE + first)
            return mapped

        scheme.serve = watched
    for at, row in enumerate(rows):
        step(guest, scheme, *row)
        note(at, row[1])
        scheme.row_done()
    return found
