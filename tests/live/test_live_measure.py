"""`measure`: medians of what is left when the bare loop's time is taken away, by engines whose times are known."""

import os
from statistics import median

import pytest
from kit.places import TRACES
from kit.recordings import is_running
from kit.replays import SCHEMES, Rows, timed_apart
from kit.traces import columns_of, exec_, load, random_trace, store

from mmuexp.live import measure as measuring
from mmuexp.live.measure import Budget, TimedRun, apart, interval, measure
from mmuexp.live.process import Engine, EngineFailed
from mmuexp.strategy.registry import parse_spec
from mmuexp.trace import open_trace

ROWS = [load(0x1000 + 4 * i) if i % 3 else store(0x2000 + 4 * i) for i in range(60)]
SPECS = ["softmmu", "map-block", "qemu-fast"]
LOOP = [40, 10, 25, 30, 5]  # ns a row in each round
SCHEME = {"softmmu": [7, 3, 9, 5, 4], "map-block": [2, 2, 2, 2, 3], "qemu-fast": [1, -1, 0.5, 0, 2]}  # over the loop


class Fake:
    """An engine whose times are known; `log` is the order in which they were fed."""

    made: list["Fake"]
    log: list[str]
    fails_at: dict[str, str]  # scheme -> "start" or "feed"

    def __init__(self, strategy, mode, *, checked, cpu, address_bits):
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
    chosen = [parse_spec(spec) for spec in SPECS]
    return measure(Rows(rows, "user", batch), chosen, "t", budget=Budget(rounds), **options)


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


# until schemes are told apart


class Noisy(Fake):
    """One of two schemes takes 1 ns a row more than the loop, the other `gap` / 1000 more; both share noise."""

    gap: float

    def feed(self, columns):
        super().feed(columns)
        noise, sign = (7919 * self.round) % 101, (-1) ** self.round
        mine = {"bare": 0, "softmmu": 1000 + noise + 3 * sign, "map-block": 1000 + self.gap + noise - 3 * sign}
        self.cpu_ns = int(1000 + mine[self.name]) * len(columns.op)


def noisy(monkeypatch, gap: float, **budget) -> list[TimedRun]:
    monkeypatch.setattr(measuring, "Engine", Noisy)
    monkeypatch.setattr(Noisy, "gap", gap, raising=False)
    monkeypatch.setitem(globals(), "LOOP", [0] * 2000)
    monkeypatch.setitem(globals(), "SCHEME", dict.fromkeys(SPECS, [0] * 2000))
    chosen = [parse_spec("softmmu"), parse_spec("map-block")]
    return measure(Rows(ROWS, "user"), chosen, "t", budget=Budget(**budget))


def test_rounds_end_when_all_schemes_are_told_apart(fake, monkeypatch):
    """The noise that both share is ten times what they differ by, and hides nothing."""
    one, other = noisy(monkeypatch, 10, seconds=60)
    assert one.rounds == other.rounds == measuring.LEAST_ROUNDS
    assert other.ns > one.ns
    assert one.high_ns > other.low_ns  # each alone is not known so well


def test_rounds_end_when_the_time_has_passed(fake, monkeypatch):
    now = [0.0]

    def tick():
        now[0] += 0.25
        return now[0]

    monkeypatch.setattr(measuring.time, "monotonic", tick)  # a round takes 0.25 s
    assert [one.rounds for one in noisy(monkeypatch, 0, seconds=10)] == [40, 40]
    assert [one.rounds for one in noisy(monkeypatch, 0, seconds=0.1)] == [1, 1]


def test_exact_rounds_are_taken_whatever_they_say(fake, monkeypatch):
    assert [one.rounds for one in noisy(monkeypatch, 50, rounds=23)] == [23, 23]


@pytest.mark.parametrize(
    ("rounds", "at"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (20, 5), (100, 39)]
)
def test_the_interval_of_a_median(rounds, at):
    """Places from a table of the binomial distribution: 9 rounds, the second and the last but one, and so on."""
    found = interval([7 * i % rounds for i in range(rounds)] if rounds % 7 else [*range(rounds)])
    assert found == (at, rounds - 1 - at)


def test_an_interval_of_many_rounds_is_found_at_once():
    low, high = interval(range(10_000))
    assert (low, high) == (4901, 5098)


def test_schemes_are_apart_by_their_differences():
    noise = [10 * (i % 5) for i in range(10)]
    assert apart([1 + ns for ns in noise], noise)
    assert not apart([(-1) ** i + ns for i, ns in enumerate(noise)], noise)


def test_engines_share_a_processor_and_the_caller_keeps_its_own():
    before = os.sched_getaffinity(0)
    for cpu in before:
        with Engine(None, "user", checked=False, cpu=cpu) as engine:
            assert os.sched_getaffinity(engine._process.pid) == {cpu}
    assert os.sched_getaffinity(0) == before


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
    assert [one.ns for one in measure(Rows([], "user"), [parse_spec("softmmu")], budget=Budget(2))] == [0]


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
        measure(Rows(ROWS, "user"), [parse_spec("softmmu"), parse_spec("map-block")], budget=Budget(1))
    assert len(processes) == 3
    assert not [one.pid for one in processes if is_running(one.pid)]


@pytest.mark.parametrize("spec", SCHEMES)
@pytest.mark.parametrize("name", ["crossing", "smc", "linux_early"])
def test_what_is_timed_counts_as_the_model(name, spec):
    with open_trace(str(TRACES / f"{name}.arrow")) as trace:
        columns = next(iter(trace.batches()))
        spec = spec if spec != "qemu-fast" or trace.mode == "user" else "qemu-fast,guest_limit=0x100000000"
        assert timed_apart(columns, trace.mode, spec) == ""


class Cold(Fake):
    """An engine that takes 1000 ns a row among the first 25, then 40 (the loop), or as many more as its name says."""

    def feed(self, columns):
        done = getattr(self, "done", 0)
        super().feed(columns)
        more = 0 if self.name == "bare" else SCHEME[self.name][0]
        self.cpu_ns = sum(1000 if row < 25 else 40 + more for row in range(done, done + len(columns.op)))
        self.done = done + len(columns.op)


@pytest.mark.parametrize("batch", [1, 7, 20, 25, 60])
def test_a_warm_up_runs_and_is_not_timed(fake, monkeypatch, batch):
    monkeypatch.setattr(measuring, "Engine", Cold)
    found = measured(1, batch, warmup=25)
    assert [(one.ns, one.loop_ns) for one in found] == [(SCHEME[spec][0], 40) for spec in SPECS]
    assert {made.done for made in fake.made} == {60}
    assert measured(1, batch, warmup=20)[0].loop_ns == (5 * 1000 + 35 * 40) / 40


def test_a_turn_ends_where_a_warm_up_does(fake, monkeypatch):
    monkeypatch.setattr(measuring, "Engine", Cold)
    measured(1, 20, warmup=25)
    assert fake.log.count("bare") == 1 + 2 + 1


def test_execs_of_a_warm_up_are_no_accesses(fake, monkeypatch):
    monkeypatch.setattr(measuring, "Engine", Cold)
    rows = [exec_(0x8000) if i % 2 else load(0x1000) for i in range(60)]
    assert measured(1, 9, rows, warmup=26)[0].loop_ns == 34 * 40 / 17
