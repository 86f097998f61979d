"""Hands pieces of work to the workers of a cluster, one at a time to each, and takes back what came of them.

Dask starts functions on workers, carries bytes and sees who died; which piece goes where is decided here, for three
things that Dask's own scheduling does not do: a worker that may not count (another version) is given nothing, also if
it joins later; a piece is tried on another worker a bounded number of times, also where a killed worker comes back
under a new address; and a worker's memory is that of one piece, however many threads it has.

Nothing of ours is unpickled on the way: what Dask is told to call are functions of Python's library, which find ours on
the worker by name. So the scheduler needs no mmuexp, and a worker without it is told by name.
"""

import json
import operator
import pkgutil
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mmuexp.errors import MmuexpError, one_line
from mmuexp.progress import Progress, remark

ATTEMPTS = 3  # workers that a piece may end before it is given up
LOOK_SECONDS = 0.5  # between two looks at who is there
WAIT_SECONDS = 60.0  # for a worker, where there is none
JOIN_SECONDS = 5.0  # for another one, where all that are there have refused
FETCH_SECONDS = 60  # for a result that is ready
LOOK_AHEAD = 256  # pieces among which a worker finds the one that suits it
NAMED = 5  # workers in a message
DIED, ERROR, REFUSED = "died", "error", "refused"  # keys of an answer that tells why there is no other
AGAIN = "run it again: what was counted is kept"

Answer = dict[str, Any]


@dataclass
class Piece:
    """Work for one worker: a `request` in JSON, how much it is in rows, and what it is of, for messages."""

    request: dict[str, Any]
    rows: int
    what: str
    place: str = ""  # the worker that should get it, if it can
    ended: list[str] = field(default_factory=list)  # workers that died of it, or while they were at it


@dataclass
class _Worker:
    threads: int
    entry: Any = None  # the future of the function that answers, on this worker
    future: Any = None  # of an answer that is waited for
    piece: Piece | None = None  # None while it is greeted
    greeted: bool = False
    done: float = 0.0  # of its piece, 0 to 1


class Farm:
    """The workers behind Dask's client. `entry` names the function that answers requests, as "module:function".

    Each worker is sent the greeting first, and may refuse.
    """

    def __init__(self, client: Any, address: str, entry: str, greeting: dict[str, Any]):
        self.client, self.address, self.entry, self.greeting = client, address, entry, greeting
        self.topic = f"mmuexp-{uuid.uuid4().hex}"
        self.refused: dict[str, str] = {}  # worker -> why
        self._workers: dict[str, _Worker] = {}
        self._came: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._looked = 0.0
        self._seen = time.monotonic()  # when a worker was there that may be of use
        self._used = False  # has one of them agreed to work?
        client.subscribe_topic(self.topic, self._heard)

    def run(
        self, pieces: Iterable[Piece], take: Callable[[Piece, str, Answer], None], progress: Progress | None = None
    ) -> None:
        """Have every piece done; `take` is called with each, its worker and the answer, in the order they come in.

        Raises MmuexpError where no worker is left, and what `take` raises; then what is at work is cancelled.
        """
        left, done = deque(pieces), 0
        in_all = sum(piece.rows for piece in left)
        try:
            while left or any(worker.piece for worker in self._workers.values()):
                self._look()
                self._give(left)
                for piece, address, answer in self._answers():
                    if answer is None:
                        left.appendleft(piece)
                    else:
                        done += piece.rows
                        take(piece, address, answer)
                    self._give(left)
                if progress is not None:
                    at_work = sum(one.done * one.piece.rows for one in self._workers.values() if one.piece)
                    progress(self.address, done + int(at_work), in_all)
        finally:
            self._cancel()

    def workers(self) -> int:
        """How many workers may be of use now; waits for the first."""
        while True:
            self._look()
            if self._workers:
                return len(self._workers)
            time.sleep(LOOK_SECONDS / 5)

    def _cancel(self) -> None:
        """Have nobody work for us any more."""
        at_work = [worker.future for worker in self._workers.values() if worker.future is not None]
        self._workers = {address: one for address, one in self._workers.items() if one.greeted}
        for worker in self._workers.values():
            worker.future = worker.piece = None
        if at_work:
            with suppress(Exception):  # the scheduler is gone, and with it the work
                self.client.cancel(at_work)

    def _look(self) -> None:
        """See who is there: who is new is greeted, and who is gone ends what it was at."""
        now = time.monotonic()
        if now < self._looked + LOOK_SECONDS:
            return
        self._looked = now
        try:
            there: dict[str, int] = dict(self.client.nthreads())
        except Exception as error:  # of Dask's, whichever part of it notices first
            what = f"the scheduler does not answer any more: {one_line(str(error)) or type(error).__name__}"
            raise MmuexpError(what, where=self.address, todo=AGAIN) from None
        for address, threads in there.items():
            if address not in self._workers and address not in self.refused:
                self._workers[address] = worker = _Worker(threads)
                worker.entry = self._submit(address, pkgutil.resolve_name, self.entry)
                self._ask(address, self.greeting)
        for address, worker in self._workers.items():
            if address not in there:
                self._came.put((address, worker.future))
        if there.keys() & self._workers.keys():
            self._seen = now
        elif there.keys() & self.refused.keys() and now > self._seen + (WAIT_SECONDS if self._used else JOIN_SECONDS):
            told = "; ".join(f"{address} {self.refused[address]}" for address in sorted(there)[:NAMED])
            raise MmuexpError(f"has no worker of use: {told}", where=self.address, todo="install the same on all")
        elif now > self._seen + WAIT_SECONDS:
            what = f"has had no worker for {WAIT_SECONDS:.0f} s"
            raise MmuexpError(what, where=self.address, todo=f"start one with `dask worker {self.address}`; {AGAIN}")

    def _give(self, left: deque[Piece]) -> None:
        """Give each worker that has nothing to do the piece that suits it best."""
        for address, worker in self._workers.items():
            if left and worker.greeted and worker.future is None:
                at = self._fittest(left, address)
                if at is None:
                    continue
                worker.piece, worker.done = left[at], 0.0
                del left[at]
                self._ask(address, worker.piece.request | {"topic": self.topic, "threads": worker.threads})

    def _fittest(self, left: deque[Piece], address: str) -> int | None:
        """Which of the next pieces suits a worker best? None where another worker shall try what this one died of."""

        def unfit(at: int) -> int:
            return 2 * (address in left[at].ended) + (left[at].place not in ("", address))

        best = min(range(min(len(left), LOOK_AHEAD)), key=unfit)
        others = [name for name, one in self._workers.items() if one.greeted and name not in left[best].ended]
        return None if address in left[best].ended and others else best

    def _ask(self, address: str, request: dict[str, Any]) -> None:
        worker = self._workers[address]
        asked = json.dumps(request | {"worker": address}).encode()
        worker.future = self._submit(address, operator.call, worker.entry, asked)
        worker.future.add_done_callback(lambda future: self._came.put((address, future)))

    def _submit(self, address: str, function: Callable, *words: Any) -> Any:
        key = f"mmuexp-{uuid.uuid4().hex}"
        return self.client.submit(function, *words, workers=[address], allow_other_workers=False, pure=False, key=key)

    def _answers(self) -> Iterator[tuple[Piece, str, Answer | None]]:
        """Pieces, their workers and what came of each; None is that it has to be done again. Waits for the first."""
        wait = True
        while True:
            try:
                address, future = self._came.get(timeout=LOOK_SECONDS) if wait else self._came.get_nowait()
            except queue.Empty:
                return
            wait = False
            worker = self._workers.get(address)
            if worker is None or worker.future is not future:
                continue  # it was gone before
            piece, worker.piece, worker.future = worker.piece, None, None
            answer = _answer_of(future)
            if REFUSED in answer:
                self._refuse(address, answer[REFUSED])
                if piece is not None:
                    yield piece, address, None
            elif DIED in answer:
                del self._workers[address]
                if piece is not None:
                    yield piece, address, self._again(piece, address, answer[DIED])
            elif piece is None:
                worker.greeted = self._used = True
            else:
                yield piece, address, answer

    def _again(self, piece: Piece, address: str, why: str) -> Answer | None:
        """None for a piece that another worker may try; else the answer that says why none will."""
        piece.ended.append(address)
        if len(piece.ended) < ATTEMPTS:
            return None
        what = f"ended each of {ATTEMPTS} workers that were at it ({', '.join(piece.ended)}); the last one {why}"
        todo = "give each worker more memory, or replay fewer schemes"
        return {ERROR: {"kind": "TraceError", "what": what, "where": piece.what, "todo": todo}}

    def _refuse(self, address: str, why: str) -> None:
        self.refused[address] = why
        del self._workers[address]
        remark(f"{address} is not used: it {why}")

    def _heard(self, event: tuple[float, Any]) -> None:
        """A worker tells how much of its piece is done; Dask calls this in its own thread."""
        address, done = event[1]
        worker = self._workers.get(address)
        if worker is not None:
            worker.done = float(done)


def _answer_of(future: Any) -> Answer:
    """What a worker answered, or what became of it."""
    if not future.done():
        future.cancel()
        return {DIED: "is gone"}
    try:
        return dict(json.loads(future.result(timeout=FETCH_SECONDS)))
    except (ImportError, AttributeError) as error:  # our function is not there
        return {REFUSED: f"has no mmuexp, or another one: {one_line(str(error))}"}
    except Exception as error:  # Dask's: a worker was killed, or cannot be reached; and what a library raises
        return {DIED: f"ended with {type(error).__name__}: {one_line(str(error))[:200]}"}
