"""How pieces are handed out, tried again and given up; the client is none of Dask's, its workers do as told."""

import json
import pkgutil
from collections import Counter

import pytest

from mmuexp.cluster import farm
from mmuexp.cluster.farm import ERROR, REFUSED, Farm, Piece
from mmuexp.errors import MmuexpError

GONE, HANGS = "gone", "hangs"


class Future:
    def __init__(self, outcome):
        self.outcome, self.cancelled = outcome, False

    def add_done_callback(self, call):
        if self.done():
            call(self)

    def done(self):
        return self.outcome not in (GONE, HANGS)

    def cancel(self):
        self.cancelled = True

    def result(self, timeout=None):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return json.dumps(self.outcome).encode()


class Client:
    """`does(address, request)` is what comes of a request: an answer, an exception, GONE (the worker is), or HANGS."""

    def __init__(self, does, *workers):
        self.does, self.there, self.asked, self.cancelled = does, dict.fromkeys(workers, 2), [], []
        self.looks = 0

    def nthreads(self):
        self.looks += 1
        return dict(self.there)

    def subscribe_topic(self, topic, handler):
        self.heard = handler

    def cancel(self, futures):
        self.cancelled += futures

    def submit(self, function, *words, workers, allow_other_workers, pure, key):
        assert not allow_other_workers and not pure
        (address,) = workers
        if function is pkgutil.resolve_name:
            return None
        request = json.loads(words[-1])
        self.asked.append((address, request))
        outcome = {} if "hello" in request else self.does(address, request)
        if outcome == GONE:
            self.there.pop(address, None)
        return Future(outcome)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(farm, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(farm, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(farm, "JOIN_SECONDS", 0.01)


def run(client, pieces, progress=None, **how):
    found = []
    Farm(client, "tcp://s:1", "m:f", {"hello": 1}).run(
        pieces, lambda piece, address, answer: found.append((piece.what, address, answer)), progress
    )
    return found


def pieces(count: int, **more) -> list[Piece]:
    return [Piece({"n": n}, 10, f"trace {n}", **more) for n in range(count)]


def test_each_worker_has_one_piece_at_a_time_and_all_are_done():
    client = Client(lambda address, request: {"n": request["n"]}, "a", "b", "c")
    told = []
    found = run(client, pieces(20), lambda *words: told.append(words))
    assert sorted(answer["n"] for _, _, answer in found) == list(range(20))
    assert {address for _, address, _ in found} == {"a", "b", "c"}
    assert told[-1] == ("tcp://s:1", 200, 200)
    assert all(request["threads"] == 2 for _, request in client.asked if "n" in request)


def test_what_a_worker_dies_of_is_tried_on_another_and_then_given_up():
    client = Client(lambda address, request: GONE if request["n"] == 1 else {}, "a", "b", "c", "d")
    found = {what: answer for what, _, answer in run(client, pieces(3))}
    assert found["trace 0"] == found["trace 2"] == {}
    told = found["trace 1"][ERROR]
    assert told["kind"] == "TraceError" and told["where"] == "trace 1"
    tried = [address for address, request in client.asked if request.get("n") == 1]
    assert len(tried) == len(set(tried)) == farm.ATTEMPTS
    assert all(address in told["what"] for address in tried)


@pytest.mark.parametrize("trouble", [{farm.DIED: "is out of memory"}, RuntimeError("killed")], ids=["memory", "killed"])
def test_a_worker_that_lives_on_after_its_death_is_of_use_again(trouble):
    times = Counter()

    def does(address, request):
        times[address] += 1
        return trouble if times.total() == 1 else {}

    client = Client(does, "a", "b")
    assert len(run(client, pieces(4))) == 4
    first = next(address for address, request in client.asked if "n" in request)
    again = [address for address, request in client.asked if request.get("n") == 0]
    assert len(again) == 2 and again[0] == first and again[1] != first


def test_alone_it_is_tried_on_the_same_worker_a_bounded_number_of_times():
    client = Client(lambda address, request: {farm.DIED: "is out of memory"}, "a")
    ((_, _, answer),) = run(client, pieces(1))
    assert "is out of memory" in answer[ERROR]["what"]
    assert sum("n" in request for _, request in client.asked) == farm.ATTEMPTS


def test_who_refuses_is_told_by_name_and_gets_nothing(monkeypatch):
    told = []
    monkeypatch.setattr(farm, "remark", told.append)
    client = Client(lambda address, request: {}, "a", "b")
    submit = client.submit

    def other(function, *words, workers, **how):
        future = submit(function, *words, workers=workers, **how)
        if future is not None and workers == ["b"]:
            future.outcome = {REFUSED: "has mmuexp 0.0, not 0.1"}
        return future

    client.submit = other
    assert {address for _, address, _ in run(client, pieces(5))} == {"a"}
    assert told == ["b is not used: it has mmuexp 0.0, not 0.1"]
    del client.there["a"]
    with pytest.raises(
        MmuexpError, match=r"has no worker of use: b has mmuexp 0\.0, not 0\.1; install the same on all"
    ):
        run(client, pieces(1))


def test_a_worker_without_our_function_is_refused(monkeypatch):
    told = []
    monkeypatch.setattr(farm, "remark", told.append)
    client = Client(lambda address, request: ModuleNotFoundError("No module named 'mmuexp'"), "a")
    with pytest.raises(MmuexpError, match="a has no mmuexp, or another one: No module named 'mmuexp'"):
        run(client, pieces(1))
    assert len(told) == 1


def test_a_worker_that_joins_later_helps():
    client = Client(lambda address, request: HANGS if address == "a" else {}, "a")
    nthreads = client.nthreads

    def later():
        if client.looks == 3:
            client.there = {"b": 1}
        return nthreads()

    client.nthreads = later
    assert {address for _, address, _ in run(client, pieces(3))} == {"b"}


def test_without_workers_it_waits_and_gives_up():
    with pytest.raises(MmuexpError, match="has had no worker for 0 s; start one with `dask worker tcp://s:1`"):
        run(Client(lambda *_: {}), pieces(1))


def test_a_scheduler_that_is_gone_is_one_line():
    def gone():
        raise OSError("Timed out trying to connect")

    client = Client(lambda *_: {})
    client.nthreads = gone
    with pytest.raises(
        MmuexpError, match=r"the scheduler does not answer any more: Timed out .* what was counted is kept"
    ):
        run(client, pieces(1))


def test_what_take_raises_ends_it_and_what_is_at_work_is_cancelled():
    client = Client(lambda address, request: HANGS if request["n"] == 1 else {}, "a", "b")

    def take(piece, address, answer):
        raise MmuexpError("enough")

    with pytest.raises(MmuexpError, match="enough"):
        Farm(client, "tcp://s:1", "m:f", {"hello": 1}).run(pieces(2), take)
    assert len(client.cancelled) == 1


def test_a_piece_goes_where_its_recording_is():
    client = Client(lambda address, request: {}, "a", "b")
    asked = [Piece({"n": n}, 1, "t", place="ab"[n % 2]) for n in range(6)]
    found = run(client, asked)
    assert len(found) == 6
    assert {(request["n"] % 2, address) for address, request in client.asked if "n" in request} == {(0, "a"), (1, "b")}


def test_progress_counts_what_is_half_done():
    told = []
    client = Client(lambda address, request: HANGS, "a")
    one = Farm(client, "x", "m:f", {"hello": 1})

    def progress(_name, done, rows):
        told.append((done, rows))
        one._heard((0.0, ["a", 0.5]))
        one._heard((0.0, ["who?", 0.5]))
        if len(told) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.run(pieces(1), lambda *_: None, progress)
    assert told[-1] == (5, 10) and len(client.cancelled) == 1
