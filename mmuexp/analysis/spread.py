"""Spreads an experiment over a cluster: pieces of it are counted there, before its traces are gone through here.

A piece is one trace with a group of schemes, so that one decode feeds all of them. What the store has is not sent;
what comes back is kept in it at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmuexp.analysis.piece import ENTRY, error_of, greeting
from mmuexp.cluster.connect import connected
from mmuexp.cluster.farm import ERROR, Answer, Farm, Piece
from mmuexp.cluster.travel import Packer
from mmuexp.progress import Progress

FEWEST, MOST = 4, 64  # schemes of a piece, where a trace has so many: decoding takes as long as some of them
A_WORKER = 4  # pieces for each worker that are aimed at: who is done early takes another


@dataclass
class Task:
    """One trace, at one load address, with the schemes that it is to be counted under."""

    label: str
    path: str | None  # absolute, as a worker finds it; None for the one that comes with mmuexp
    sha256: str
    rows: int
    place: str
    schemes: Sequence[Any]
    may_leave_out: Sequence[str]
    seed: int | None
    keep: Callable[[Mapping[str, Any], str], None]  # called with what was counted, by spec, and the digest afterwards
    failed: Callable[[Exception], None]


@dataclass
class Facts:
    """What a recording tells of itself, looked at by a worker: it stands for the open trace where that is asked."""

    path: str
    mode: str
    address_bits: int
    rows: int | None
    file_rows: int
    complete: str | None
    window: list[int] | None
    metadata: dict[str, str]
    size_bytes: int
    digest: str
    thread: int | None = None
    worker: str = ""  # that looked

    def sha256(self) -> str:
        """Of the file."""
        return self.digest


@dataclass
class Spread:
    """The cluster as an experiment sees it. `how` is what all pieces are told: cuts, thread, jobs."""

    farm: Farm
    packer: Packer
    how: dict[str, Any]
    pieces: int = 0
    done: int = 0

    def look(self, paths: Sequence[str], label_of: Callable[[str], str]) -> dict[str, Facts | Exception]:
        """What recordings tell that only workers read: facts or what is wrong with each."""
        found: dict[str, Facts | Exception] = {}

        def take(piece: Piece, worker: str, answer: Answer) -> None:
            path = piece.request["trace"]["path"]
            if ERROR in answer:
                found[path] = error_of(answer[ERROR])
            else:
                found[path] = Facts(path=path, worker=worker, thread=self.how["thread"], **answer["facts"])

        asked = [{"do": "look", "trace": {"path": path, "label": label_of(path)}, **self.how} for path in paths]
        self.farm.run([Piece(one, 1, one["trace"]["label"]) for one in asked], take)
        return found

    def count(self, tasks: Sequence[Task], progress: Progress | None) -> None:
        """Have all of it counted; each task is told what came of it as it comes in."""
        in_all = sum(len(task.schemes) for task in tasks)
        group = min(MOST, max(FEWEST, -(-in_all // (A_WORKER * self.farm.workers())))) if tasks else 1
        pieces: list[Piece] = []
        task_of: dict[int, Task] = {}
        for task in tasks:
            for some in _groups(task.schemes, group):
                pieces.append(Piece(self._request(task, some), task.rows, task.label, task.place))
                task_of[id(pieces[-1])] = task
        self.pieces = len(pieces)

        def take(piece: Piece, _worker: str, answer: Answer) -> None:
            self.done += 1
            task = task_of[id(piece)]
            if ERROR in answer:
                task.failed(error_of(answer[ERROR]))
            else:
                task.keep(answer["values"], answer["sha256"])

        self.farm.run(pieces, take, progress)

    def _request(self, task: Task, schemes: Sequence[Any]) -> dict[str, Any]:
        trace = {"path": task.path, "label": task.label, "sha256": task.sha256}
        leave = [str(one) for one in schemes if str(one) in task.may_leave_out]
        asked = {"do": "count", "trace": trace, "schemes": self.packer.packed(schemes)}
        return {**asked, "seed": task.seed, "may_leave_out": leave, **self.how}


def _groups(schemes: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """The schemes in as few groups as there must be, of about the same size."""
    parts = -(-len(schemes) // most)
    for part in range(parts):
        yield schemes[part * len(schemes) // parts : (part + 1) * len(schemes) // parts]


@contextmanager
def spread_over(address: str, schemes: Sequence[Any], **how: Any) -> Iterator[Spread]:
    """Connect to a cluster, for an experiment with these schemes. Raises MmuexpError."""
    packer = Packer()
    one_a_class = list({type(strategy): strategy for strategy in schemes}.values())
    greet = greeting(packer.packed(one_a_class))
    with connected(address) as client:
        yield Spread(Farm(client, address, ENTRY, greet), packer, how)
