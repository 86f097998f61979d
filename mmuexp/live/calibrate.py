"""`calibrate`: what this host takes for the primitives that a profile prices (MODEL.md, section 7), measured.

The kernel's are timed alone (`engine/primitives.c`), the emulator's on synthetic streams under the live engines, beside
the bare loop. Everything is measured in rounds, one after another; a figure is the median of its rounds, its spread the
distance between their quartiles. What comes out below zero is less than its noise, and stands as 0; only an instruction
must be told from noise, for it prices everything: it is measured on, and an error in the end. `insn` and `access` come
from one line through the hit paths of the four schemes: ns of a hit = access + insn * instructions; the access itself
costs what the data cache makes of it, in every scheme.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mmuexp import manifest
from mmuexp.arguments import whole_number
from mmuexp.errors import MmuexpError, UsageError, option
from mmuexp.guest import Columns
from mmuexp.host import Profile, profile_of_text
from mmuexp.live import streams
from mmuexp.live.build import primitives_program
from mmuexp.live.engine import Engine
from mmuexp.progress import Progress
from mmuexp.registry import ORDER, strategy_class

ROUNDS = 15
QUICK_ROUNDS = 7
PATIENCE = 8  # times the rounds, until an instruction is told from noise
LEAST_INSN_NS = 0.005  # no processor ends 200 instructions in a ns
PRIMITIVE_SECONDS = 60
BETWEEN_SECONDS = 1.0  # from one round to the next, when they are taken between others
HIT_ROWS = 1 << 18
HIT_TIMES = 8  # that hits are measured in a round: they differ by tenths of a ns, and take a ms
EVENT_ROWS = 1 << 13
POOLS = (16, 64, 256, 1024)  # pages that a FLUSH finds mapped


@dataclass(frozen=True)
class Figure:
    """ns: the median of the rounds, and the distance between their quartiles."""

    ns: float
    spread_ns: float
    how: str


@dataclass(frozen=True)
class Calibration:
    """`prices` go into the profile's tables, `also` is what else was measured, for people."""

    prices: dict[str, Figure]
    also: dict[str, Figure]
    about: str
    date: str
    manifest: dict[str, Any]

    def profile(self) -> Profile:
        """Make a host profile of the prices, as `compare(host=...)` takes it."""
        return profile_of_text(profile_text(self), "now")


class Sampler:
    """Rounds as they are taken: all at once by `calibrate`, one by one between what is measured beside them.

    Raises NoEngine when it is made, before any work; EngineFailed, and MmuexpError where all is noise.
    """

    def __init__(self) -> None:
        self.started = manifest.utc_now()
        self.rounds, self._ended = 0, 0.0
        self.kernel: dict[str, list[float]] = {}
        self.events: dict[str, list[float]] = {}
        self.slopes: list[float] = []
        self.bases: list[float] = []
        primitives_program()

    def sample(self, rounds: int, kinds: Mapping[str, Event], step: Callable[[str], None] = lambda what: None) -> None:
        for found, new in ((self.kernel, _kernel(rounds, step)), (self.events, _events(rounds, step, kinds))):
            for name, ns in new.items():
                found.setdefault(name, []).extend(ns)
        self._hit(rounds, step)
        self.rounds += rounds

    def _hit(self, rounds: int, step: Callable[[str], None] = lambda what: None) -> None:
        slopes, bases = _hits(rounds, step)
        self.slopes.extend(slopes)
        self.bases.extend(bases)

    def between(self) -> None:
        """A round, if the last was not just now: to be called between the rounds of something else."""
        if time.monotonic() - self._ended >= BETWEEN_SECONDS:
            self.sample(1, HELPERS)
            self._ended = time.monotonic()

    def profile(self) -> Profile:
        """This host's prices, as they were while `between` was called: what a live measurement is compared with."""
        if self.rounds < QUICK_ROUNDS:
            self.sample(QUICK_ROUNDS - self.rounds, HELPERS)
        return self.calibration().profile()

    def calibration(self) -> Calibration:
        for _ in range((PATIENCE - 1) * self.rounds):
            if np.median(self.slopes) >= LEAST_INSN_NS:
                break
            self._hit(1)
        slope, base, kernel = np.array(self.slopes), np.array(self.bases), _arrays(self.kernel)
        if np.median(slope) < LEAST_INSN_NS:
            what = f"what an instruction takes is lost in noise: {np.median(slope):.2g} ns, the median of {len(slope)}"
            raise MmuexpError(what, where="calibrate", todo="run it when this machine does nothing else")
        signal, mapping = kernel["signal"], kernel["mmap"]
        prices = {
            "hit": _figure(slope, "slope of hit paths of 1, 4, 7 and 11 instructions on a synthetic stream"),
            "insn": _figure(slope, "as an instruction of the hit path"),
            "access": _figure(base, "what remains of a hit beyond its instructions: the data cache"),
            "helper": _figure(np.array(self.events["helper"]), "a misaligned load by softmmu's helper"),
            "walk_level": _figure(kernel["walk"] / 2, "a dependent read in 4 MiB of page tables"),
            "signal": _figure(signal, "SIGSEGV delivery and sigreturn, the handler skips the instruction"),
            "mmap": _figure(mapping, "mmap of one memfd page over a reserve, not touched"),
            "page_in": _figure(
                kernel["map_on_fault"] - signal - mapping, "SIGSEGV + mmap + minor fault + retry, less signal and mmap"
            ),
            "mprotect": _figure(kernel["write_fault"] - signal, "SIGSEGV + mprotect + retry, less signal"),
            "page_out": _figure(kernel["unmap_all"], "one unmap over 256 mappings of one page, for each"),
            "munmap": _figure(kernel["unmap"] - kernel["unmap_all"], "unmap of one mapped page, less page_out"),
        }
        also = {name: _figure(ns, EVENTS[name].how) for name, ns in _arrays(self.events).items()} | {
            "map_on_fault": _figure(kernel["map_on_fault"], "SIGSEGV + mmap of one page + minor fault + retry"),
            "write_fault": _figure(kernel["write_fault"], "SIGSEGV + mprotect + retry"),
            "protect": _figure(kernel["protect"], "mprotect of a written page, read-only"),
            "unmap": _figure(kernel["unmap"], "unmap of one mapped page"),
            "walk": _figure(kernel["walk"], "a page walk: two dependent reads in 4 MiB of tables"),
        }
        machine = manifest.machine()
        processor = machine["processor"] or machine["architecture"]
        about = f"{processor}, {machine['system']}, measured by mmuexp calibrate"
        made = manifest.of_run("calibrate", sys.argv, self.started, "yes")
        return Calibration(prices, also, about, datetime.now(UTC).date().isoformat(), made)


def calibrate(*, rounds: int = ROUNDS, progress: Progress | None = None) -> Calibration:
    """Measure this host. Takes some 10 s. Raises UsageError, NoEngine, EngineFailed, MmuexpError where all is noise."""
    rounds = whole_number(rounds, "rounds", "give whole rounds")
    if rounds is None or not 3 <= rounds <= 10_000:
        raise UsageError(f"{rounds} rounds", where=option("rounds"), todo="give 3 to 10,000")
    steps, done = 3 * rounds, 0

    def step(what: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("calibrate", done, steps)

    sampler = Sampler()
    sampler.sample(rounds, EVENTS, step)
    return sampler.calibration()


def _arrays(found: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    return {name: np.array(ns) for name, ns in found.items()}


def _figure(rounds: np.ndarray, how: str) -> Figure:
    low, middle, high = (float(quartile) for quartile in np.percentile(rounds, [25, 50, 75]))
    if middle < 0:
        return Figure(0.0, high - low, f"{how}; {middle:.2g} ns, less than its noise")
    return Figure(middle, high - low, how)


def _kernel(rounds: int, step: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Each kernel primitive, ns a round."""
    program, found = primitives_program(), {}
    what = "the host's primitives cannot be measured"
    for _ in range(rounds):
        try:
            done = subprocess.run([str(program), "1"], capture_output=True, text=True, timeout=PRIMITIVE_SECONDS)
        except subprocess.TimeoutExpired:
            raise MmuexpError(f"{what}: they took more than {PRIMITIVE_SECONDS} s", where="calibrate") from None
        except OSError as error:
            raise MmuexpError(f"{what}: {error.strerror}", where=str(program)) from None
        if done.returncode:
            said = done.stderr.strip() or f"they ended with code {done.returncode}"
            raise MmuexpError(f"{what}: {said}", where="calibrate")
        for line in done.stdout.splitlines():
            name, ns = line.split()
            found.setdefault(name, []).append(float(ns))
        step("kernel")
    return {name: np.array(ns) for name, ns in found.items()}


def _hits(rounds: int, step: Callable[[str], None]) -> tuple[np.ndarray, np.ndarray]:
    """(insn, access), ns a round: the line through the four hit paths."""
    strategies = [strategy_class(name)() for name in ORDER]
    warm, rows = streams.stores_first(), streams.hits(HIT_ROWS)
    insns = np.array([strategy.hit_insns() for strategy in strategies], float)
    slopes, bases = [], []
    with ExitStack() as stack:
        bare = stack.enter_context(Engine(None, "user", checked=False))
        engines = [stack.enter_context(Engine(strategy, "user", checked=False)) for strategy in strategies]
        for engine in (bare, *engines):
            engine.feed(warm)
            engine.feed(rows)
        for turn in range(rounds * HIT_TIMES):
            at = turn % (len(engines) + 1)
            spent = {}
            for engine in [*engines[at:], bare, *engines[:at]]:
                engine.feed(rows)
                spent[engine] = engine.cpu_ns
            slope, base = _line(insns, [(spent[engine] - spent[bare]) / HIT_ROWS for engine in engines])
            slopes.append(slope)
            bases.append(base)
            if (turn + 1) % HIT_TIMES == 0:
                step("hits")
    return np.array(slopes), np.array(bases)


def _line(insns: np.ndarray, ns: Sequence[float]) -> tuple[float, float]:
    """(slope, base) of the line through the hit paths."""
    slope, base = np.polyfit(insns, ns, 1)
    return float(slope), float(base)


class Event(NamedTuple):
    """An event that the engine of `scheme` meets `events` times on `rows`."""

    scheme: str
    rows: Callable[[], Columns]
    events: int
    how: str


def _flush(pages: int) -> Event:
    times = max(1, 4096 // pages)
    how = f"{pages} pages faulted in and dropped by one FLUSH, for each FLUSH (qemu-fast)"
    return Event("qemu-fast", partial(streams.touched_and_flushed, pages, times), times, how)


def _event(scheme: str, stream: Callable[[int], Columns], how: str) -> Event:
    return Event(scheme, partial(stream, EVENT_ROWS), EVENT_ROWS, how)


HELPERS = {  # what helpers take, which is not their length
    "helper": _event("softmmu", streams.misaligned, "a misaligned load by softmmu's helper"),
    "helper_cross": _event("softmmu", streams.crossing, "a crossing load by softmmu's helper"),
    "fill": _event("softmmu", streams.thrashing, "a TLB fill by softmmu's helper, no page walk"),
}
EVENTS = HELPERS | {  # and what else people ask for
    "signal_completed": _event("byte-lookup", streams.crossing, "a load done in the handler"),
    **{f"flush_{pages}_pages": _flush(pages) for pages in POOLS},
}


def _events(rounds: int, step: Callable[[str], None], kinds: Mapping[str, Event]) -> dict[str, np.ndarray]:
    """Whole events as the engines run them, ns a round."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    rows = {name: kind.rows() for name, kind in kinds.items()}
    with ExitStack() as stack:
        bare = stack.enter_context(Engine(None, "user", checked=False))
        engines = {
            name: stack.enter_context(Engine(strategy_class(kind.scheme)(), "user", checked=False))
            for name, kind in kinds.items()
        }
        for name, engine in engines.items():
            bare.feed(rows[name])
            engine.feed(rows[name])
        for _ in range(rounds):
            for name, engine in engines.items():
                bare.feed(rows[name])
                engine.feed(rows[name])
                found[name].append((engine.cpu_ns - bare.cpu_ns) / kinds[name].events)
            step("events")
    return _arrays(found)


def profile_text(calibration: Calibration) -> str:
    """The calibration as a host profile (TOML), which `--host` reads."""
    lines = [
        f"# Written by `mmuexp calibrate` on {calibration.date}; figures are medians, spreads are between quartiles."
    ]
    lines += [f'about = "{_quoted(calibration.about)} on {calibration.date}"', ""]
    for name, figure in calibration.prices.items():
        lines += [f"[{name}]", *_entry(figure), ""]
    for name, figure in calibration.also.items():
        lines += [f"[also.{name}]", *_entry(figure), ""]
    return "\n".join(lines)


def _entry(figure: Figure) -> list[str]:
    source = f"measured: {figure.how}"
    return [f"ns = {_digits(figure.ns)}", f"spread_ns = {_digits(figure.spread_ns)}", f'source = "{_quoted(source)}"']


def _digits(ns: float) -> str:
    """Four digits, or whole ns."""
    return f"{ns:.0f}" if ns >= 1000 else f"{ns:.4g}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
