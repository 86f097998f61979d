"""`calibrate`: what this host takes for each primitive that a profile prices (primitives.py), measured.

The kernel's are timed alone (`engine/primitives.c`), and with them an instruction that runs seldom, a page walk, a
patch and a comparison; hit paths and helpers on synthetic streams under the live engines, beside the bare loop
(`timing.py`); the translator is QEMU's (`translating.py`). Everything is measured in rounds, one after another. A
figure is the median of its rounds, its range lies between their quartiles, for the kernel's between a call that finds
its own code and data in the caches and one that finds the guest's there. Hit paths of near code are those of short
loops, of far code (farcode.py) those of long ones, which do not fit into a cache of decoded code; both with data of the
first cache, as most accesses of a program find theirs, and a range that reaches to data of the second; of cold code
those of many blocks that run in no order, so that the processor foresees neither code nor jumps. What comes out
below zero is less than its noise, and stands as 0; only an instruction must be told from noise, for it prices
everything: it is measured on, and an error in the end. What cannot be measured at all, as the translator without a
QEMU, is left out.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mmuexp.arguments import whole_number
from mmuexp.errors import MmuexpError, UsageError, option
from mmuexp.live import timing
from mmuexp.live.build import primitives_program
from mmuexp.live.timing import EVENTS, FOR_PEOPLE, PRICED, Step, TimedEvent
from mmuexp.live.translating import translate_ns
from mmuexp.price.host import DEPENDENT, LINE, Profile, profile_of_text
from mmuexp.progress import Progress
from mmuexp.result import manifest

ROUNDS = 15
LEAST_ROUNDS = 3
QUICK_ROUNDS = 7
PATIENCE = 8  # times the rounds, until an instruction is told from noise
LEAST_INSN_NS = 0.005  # no processor ends 200 instructions in a ns
PRIMITIVE_SECONDS = 60
BETWEEN_SECONDS = 3.0  # from one round to the next, when they are taken between others

KERNEL = {  # a price -> (what is timed, less the rest), as primitives.c names them
    "insn": (("insn",), "an instruction of a helper that runs between guest code, which uses the caches"),
    "walk_level": (("walk_level",), "a read in a guest's page tables that waits for the one before"),
    "signal": (("signal",), "SIGSEGV delivery and sigreturn, the handler skips the instruction"),
    "mmap": (("mmap",), "mmap of one memfd page over a reserve, not touched"),
    "page_in": (("map_on_fault", "signal", "mmap"), "SIGSEGV + mmap + minor fault + retry, less signal and mmap"),
    "mprotect": (("write_fault", "signal"), "SIGSEGV + mprotect + retry, less signal"),
    "mapping": (
        ("mapping",),
        "a mapping split off or joined: a page amid one protected and opened, less one with its own, of four",
    ),
    "page_out": (("unmap_all",), "one unmap over 256 mappings of one page, for each"),
    "munmap": (("unmap", "unmap_all"), "unmap of one mapped page, less page_out"),
    "patch": (
        ("patch",),
        "a load patched: found by its address, a stub of 39 bytes, a jump over it; and run, less a patched one",
    ),
    "compare_table": (
        ("compare_table",),
        "4 KiB beside a copy by SSE2; the range reaches to tables that fill the second-level cache",
    ),
}
UNPRICED = {  # and what else people ask for
    "also.map_on_fault": (("map_on_fault",), "SIGSEGV + mmap of one page + minor fault + retry"),
    "also.write_fault": (("write_fault",), "SIGSEGV + mprotect + retry"),
    "also.protect": (("protect",), "mprotect of a written page, read-only"),
    "also.unmap": (("unmap",), "unmap of one mapped page"),
}
ENDS = ("near.", "far.")  # the range of a call: the guest between two used no cache, or all of the second level
TIERS = {"long": "far", "scattered": "cold"}  # where hits are measured -> of which code they are
OTHERWISE = (timing.WIDE, "inline.")  # the same done in another way, or over more data: its range reaches there
TRANSLATE = "translate"
NEEDED = ("hit", "insn")  # to be told from noise


@dataclass(frozen=True)
class TimedFigure:
    """ns: the median of the rounds; low_ns and high_ns its range; `rounds` all of them, in their order."""

    ns: float
    low_ns: float
    high_ns: float
    how: str
    rounds: tuple[float, ...] = ()

    @property
    def spread_ns(self) -> float:
        return self.high_ns - self.low_ns


@dataclass(frozen=True)
class Calibration:
    """`figures` by the table of a profile that each goes to: "signal", "path.softmmu", "also.unmap"."""

    figures: dict[str, TimedFigure]
    about: str
    date: str
    manifest: dict[str, Any]

    def profile(self) -> Profile:
        """Make a host profile of the figures, as `compare(host=...)` takes it."""
        return profile_of_text(profile_text(self), "now")


class Sampler:
    """Rounds as they are taken: all at once by `calibrate`, one by one between what is measured beside them.

    Raises NoEngine when it is made, before any work; EngineFailed, and MmuexpError where all is noise.
    """

    def __init__(self) -> None:
        self.started = manifest.utc_now()
        self.rounds, self._ended = 0, 0.0
        self.found: dict[str, list[float]] = {}  # ns by what was timed
        primitives_program()

    def sample(self, rounds: int, kinds: Mapping[str, TimedEvent], step: Step = lambda what: None) -> None:
        self._add(kernel(rounds, step))
        self._add(timing.events(rounds, step, kinds))
        self._add(timing.hits(rounds, step))
        self._add({TRANSLATE: translate_ns(rounds)})
        self.rounds += rounds

    def _add(self, new: Mapping[str, list[float]]) -> None:
        for name, ns in new.items():
            self.found.setdefault(name, []).extend(ns)

    def between(self) -> None:
        """A round, if the last was not just now: to be called between the rounds of something else."""
        if time.monotonic() - self._ended >= BETWEEN_SECONDS:
            self.sample(1, PRICED)
            self._ended = time.monotonic()

    def profile(self) -> Profile:
        """This host's prices, as they were while `between` was called: what a live measurement is compared with."""
        if self.rounds < QUICK_ROUNDS:
            self.sample(QUICK_ROUNDS - self.rounds, PRICED)
        return self.calibration().profile()

    def so_far(self) -> Profile | None:
        """As `profile`, for who was interrupted: nothing more is measured. None if too little was until now."""
        return None if self.rounds < LEAST_ROUNDS or self._lost() else self.calibration().profile()

    def calibration(self) -> Calibration:
        for _ in range((PATIENCE - 1) * self.rounds):
            if not self._lost():
                break
            self._add(kernel(1))
            self._add(timing.hits(1))
        figures = figures_of(self.found)
        if lost := self._lost():
            ns, rounds = figures[lost].ns, len(figures[lost].rounds)
            what = f"what an instruction takes is lost in noise: {ns:.2g} ns, the median of {rounds}"
            raise MmuexpError(what, where="calibrate", todo="run it when this machine does nothing else")
        machine = manifest.machine()
        processor = machine["processor"] or machine["architecture"]
        about = f"{processor}, {machine['system']}, measured by mmuexp calibrate"
        made = manifest.of_run("calibrate", sys.argv, self.started, "yes")
        return Calibration(figures, about, datetime.now(UTC).date().isoformat(), made)

    def _lost(self) -> str | None:
        figures = figures_of(self.found)
        return next((name for name in NEEDED if np.median(figures[name].rounds) < LEAST_INSN_NS), None)


def calibrate(*, rounds: int = ROUNDS, progress: Progress | None = None) -> Calibration:
    """Measure this host. Takes some 20 s. Raises UsageError, NoEngine, EngineFailed, MmuexpError where all is noise."""
    rounds = whole_number(rounds, "rounds", "give whole rounds") or 0
    if not LEAST_ROUNDS <= rounds <= 10_000:
        raise UsageError(f"{rounds} rounds", where=option("rounds"), todo=f"give {LEAST_ROUNDS} to 10,000")
    steps, done = 3 * rounds, 0

    def step(what: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("calibrate", done, steps)

    sampler = Sampler()
    sampler.sample(rounds, EVENTS, step)
    return sampler.calibration()


def figures_of(found: Mapping[str, list[float]]) -> dict[str, TimedFigure]:
    """The figures of a profile, in its order, of what was timed."""
    ns = {name: np.array(rounds) for name, rounds in found.items()}
    figures = {}
    for name in LINE:
        figures[name] = _of_loops(ns, "short", name)
    figures |= {
        name: _reaching(_figure(ns[name], kind.how), ns, *(f"{other}{name}" for other in OTHERWISE))
        for name, kind in PRICED.items()
        if name in ns
    }
    figures |= _of_kernel(ns, KERNEL)
    if len(ns.get(TRANSLATE, [])):
        how = "a guest instruction that qemu-i386 translates, in blocks of six that run once"
        figures[TRANSLATE] = _figure(ns[TRANSLATE], how)
    for kind, tier in TIERS.items():
        figures |= {f"{name}_{tier}": _of_loops(ns, kind, name) for name in LINE}
    for name, waiting in zip(LINE, DEPENDENT, strict=True):
        figures[waiting] = _figure(ns[f"dependent {name}"], f"{name}, {timing.KINDS['dependent'].how}")
    for kind, group in {"short": "path", **TIERS}.items():
        for path in [name.removeprefix(f"{kind} ") for name in ns if name.startswith(f"{kind} path.")]:
            figures[path.replace("path", group, 1)] = _of_loops(ns, kind, path)
    for path in [name.removeprefix("dependent ") for name in ns if name.startswith("dependent path.")]:
        how = f"a whole hit, {timing.KINDS['dependent'].how}"
        figures[path.replace("path", "dependent", 1)] = _figure(ns[f"dependent {path}"], how)
    figures |= {f"also.{name}": _figure(ns[name], kind.how) for name, kind in FOR_PEOPLE.items() if name in ns}
    return figures | _of_kernel(ns, UNPRICED)


def _of_kernel(
    ns: Mapping[str, np.ndarray], kinds: Mapping[str, tuple[tuple[str, ...], str]]
) -> dict[str, TimedFigure]:
    found = {}
    for name, ((first, *less), how) in kinds.items():
        one = _figure(ns[first] - sum(ns[other] for other in less), how)
        ends = [] if less else [where + first for where in ENDS]  # of what is timed alone; a difference keeps its own
        found[name] = _reaching(one, ns, *ends)
    return found


def _reaching(one: TimedFigure, ns: Mapping[str, np.ndarray], *ends: str) -> TimedFigure:
    """The same with a range that holds these, too, where they were timed."""
    others = [_figure(ns[end], "").ns for end in ends if end in ns]
    return replace(one, low_ns=min(one.low_ns, *others), high_ns=max(one.high_ns, *others)) if others else one


def _of_loops(ns: Mapping[str, np.ndarray], kind: str, name: str) -> TimedFigure:
    """What a hit takes in code of one kind: of a scheme, or of the line through all of them."""
    part = {"hit": "its slope", "access": "what lies below it"}.get(name)
    how = f"of the line through the hit paths by their instructions: {part}" if part else "a whole hit, access included"
    how += f", {timing.KINDS[kind].how}, data in the first cache; the range reaches to the second"
    return _reaching(_figure(ns[f"{kind} {name}"], how), ns, f"{timing.WIDE}{kind} {name}")


def _figure(rounds: np.ndarray, how: str) -> TimedFigure:
    low, middle, high = (float(quartile) for quartile in np.percentile(rounds, [25, 50, 75]))
    if middle < 0:
        how = f"{how}; not measurable: {middle:.2g} ns, less than its noise"
    return TimedFigure(max(0.0, middle), max(0.0, low), max(0.0, high), how, tuple(map(float, rounds)))


def kernel(rounds: int, step: Step = lambda what: None) -> dict[str, list[float]]:
    """Each figure of `primitives.c`, ns a round."""
    program = primitives_program()
    found: dict[str, list[float]] = {}
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
    return found


def profile_text(calibration: Calibration) -> str:
    """The calibration as a host profile (TOML), which `--host` reads."""
    lines = [f"# Written by `mmuexp calibrate` on {calibration.date}; figures are medians, with their ranges."]
    lines += [f'about = "{_quoted(calibration.about)} on {calibration.date}"', ""]
    for name, figure in calibration.figures.items():
        lines += [f"[{name}]"]
        lines += [f"{key} = {_digits(getattr(figure, key))}" for key in ("ns", "low_ns", "high_ns", "spread_ns")]
        lines += [f'source = "{_quoted(f"measured: {figure.how}")}"', ""]
    return "\n".join(lines)


def rounds_text(calibration: Calibration) -> str:
    """Every round of every figure, as CSV."""
    rows = [
        f"{name},{number},{ns!r}" for name, figure in calibration.figures.items()
        for number, ns in enumerate(figure.rounds)
    ]  # fmt: skip
    return "\n".join(["figure,round,ns", *rows, ""])


def table_text(calibration: Calibration) -> str:
    """The calibration for people: a line each figure."""
    lines = [calibration.about]
    for name, figure in calibration.figures.items():
        ranged = f"{figure.low_ns:,.2f} to {figure.high_ns:,.2f}"
        lines.append(f"  {name:24} {figure.ns:13,.2f} ns  {ranged:>28}  {figure.how}")
    return "\n".join(lines)


def _digits(ns: float) -> str:
    """Four digits, or whole ns."""
    return f"{ns:.0f}" if ns >= 1000 else f"{ns:.4g}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
