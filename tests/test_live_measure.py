"""`measure`: medians of what is left when the bare loop's time is taken away, by engines whose times are known."""

from pathlib import Path
from statistics import median

import pytest
from kernels import columns_of
from liveruns import SCHEMES, Rows, timed_apart
from recording import is_running
from tracegen import random_trace
from tracerows import load, store

from mmuexp.live import measure as measuring
from mmuexp.live.engine import Engine, EngineFailed
from mmuexp.live.measure import measure
from mmuexp.registry import parse_spec
from mmuexp.trace import open_trace

TRACES = Path(__file__).parent.parent / "traces"
ROWS = [load(0x1000 + 4 * i) if i % 3 else store(0x2000 + 4 * i) for i in range(60)]
SPECS = ["softmmu", "map-block", "qemu-fast"]
LOOP = [40, 10, 25, 30, 5]  # ns a row in each round
SCHEME = {"softmmu": [7, 3, 9, 5, 4], "map-block": [2, 2, 2, 2, 3], "qemu-fast": [1, -1, 0.5, 0, 2]}  # over the loop


class Fake:
    """An engine whose times are known; `log` is the order in which they were fed."""

    made: list["Fake"]
    log: list[str]
    fails_at: dict[str, str]  # scheme -> "start" or "feed"

    def __init__(self, strategy, mode, *, checked):
        assert not checked  # checks take time
        self.name = "bare" if strategy is None else str(strategy)
        self.round = sum(fake.name == self.name for fake in Fake.made)
        self.open, self.cpu_ns = True, 0
        if Fake.fails_at.get(self.name) == "start":
            raise EngineFailed("no start")
        Fake.made.append(self)

    def feed(self, columns):
        if Fake.fails_at.get(self.name) == "feed":
            raise EngineFailed("no feed")
        assert self.open
        Fake.log.append(self.name)
        each = LOOP[self.round] + (0 if self.name == "bare" else SCHEME[self.name][self.round])
        self.cpu_ns = int(each * len(columns.op))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open = False


@pytest.fixture
def fake(monkeypatch):
    Fake.made, Fake.log, Fake.fails_at = [], [], {}
    monkeypatch.setattr(measuring, "Engine", Fake)
    return Fake


def measured(rounds=5, batch=20, rows=ROWS, **options):
    return measure(Rows(rows, "user", batch), [parse_spec(spec) for spec in SPECS], "t", rounds=rounds, **options)


def test_a_figure_is_the_median_of_rounds_less_the_loop(fake):
    for spec, one in zip(SPECS, measured(), strict=True):
        assert one.ns == median(SCHEME[spec])
        assert (one.least_ns, one.most_ns) == (min(SCHEME[spec]), max(SCHEME[spec]))
        assert one.spread_ns == one.most_ns - one.least_ns
        assert one.loop_ns == median(LOOP)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_any_number_of_rounds(fake, rounds):
    assert [one.ns for one in measured(rounds)] == [median(SCHEME[spec][:rounds]) for spec in SPECS]
    assert len(fake.made) == rounds * (len(SPECS) + 1)  # engines are new in each


def test_it_is_for_each_access_not_each_row(fake):
    """Blocks are rows without an access; their time counts, for it is taken of both."""
    rows = random_trace(3, 900, "user")
    accesses = sum(row[0] < 2 for row in rows) if isinstance(rows[0], tuple) else int((columns_of(rows).op < 2).sum())
    assert 0 < accesses < 900
    one = measured(1, 100, rows)[0]
    assert one.ns == pytest.approx(SCHEME["softmmu"][0] * len(columns_of(rows).op) / accesses)
    assert one.loop_ns == pytest.approx(LOOP[0] * len(columns_of(rows).op) / accesses)


def test_each_batch_is_fed_to_all_and_none_is_always_first(fake):
    measured(4, 20)
    names = ["bare", *SPECS]
    turns = [fake.log[at : at + 4] for at in range(0, len(fake.log), 4)]
    assert len(turns) == 4 * 3
    assert all(sorted(turn) == sorted(names) for turn in turns)
    for place in range(4):  # nor last: in 12 turns each is 3 times at each place
        assert sorted(turn[place] for turn in turns) == sorted(names * 3)


def test_a_trace_of_one_batch_rotates_over_the_rounds(fake):
    measured(4, 100)
    assert {fake.log[at] for at in range(0, len(fake.log), 4)} == {"bare", *SPECS}


def test_something_else_goes_between_the_rounds(fake):
    fed = []
    measured(2, 100, between=lambda: fed.append(len(fake.log)))
    assert fed == [0, 4, 8]


def test_an_empty_trace_takes_nothing(fake):
    assert [one.ns for one in measure(Rows([], "user"), [parse_spec("softmmu")], rounds=2)] == [0]


def test_progress_goes_over_all_rounds(fake):
    told = []
    measured(2, 20, progress=lambda *what: told.append(what))
    assert told == [("t, for real", 20 * (at + 1), 120) for at in range(6)]


@pytest.mark.parametrize("how", ["start", "feed"])
@pytest.mark.parametrize("which", ["bare", *SPECS])
def test_all_are_closed_when_one_fails(fake, how, which):
    fake.fails_at = {which: how}
    with pytest.raises(EngineFailed, match=f"no {how}"):
        measured()
    assert not [one.name for one in fake.made if one.open]


def test_no_process_is_left(monkeypatch):
    """Real ones: the second is killed while it works."""
    processes, honest = [], Engine._start

    def start(self, command):
        honest(self, command)
        processes.append(self._process)

    def feed(self, columns):
        if len(processes) == 3 and self is not None and self.name == "map-block":
            self._process.kill()
        return fed(self, columns)

    fed = Engine.feed
    monkeypatch.setattr(Engine, "_start", start)
    monkeypatch.setattr(Engine, "feed", feed)
    with pytest.raises(EngineFailed, match="map-block"):
        measure(Rows(ROWS, "user"), [parse_spec("softmmu"), parse_spec("map-block")], rounds=1)
    assert len(processes) == 3
    assert not [one.pid for one in processes if is_running(one.pid)]


@pytest.mark.parametrize("spec", SCHEMES)
@pytest.mark.parametrize("name", ["crossing", "smc", "linux_early"])
def test_what_is_timed_counts_as_the_model(name, spec):
    with open_trace(str(TRACES / f"{name}.arrow")) as trace:
        columns = next(iter(trace.batches()))
        spec = spec if spec != "qemu-fast" or trace.mode == "user" else "qemu-fast,guest_limit=0x100000000"
        assert timed_apart(columns, trace.mode, spec) == ""
