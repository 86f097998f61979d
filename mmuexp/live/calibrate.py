"""`calibrate`: what this host takes for the primitives that a profile prices (MODEL.md, section 7), measured.

The kernel's are timed alone (`engine/primitives.c`), the emulator's on synthetic streams under the live engines, beside
the bare loop. Everything is measured in rounds, one after another; a figure is the median of its rounds, its spread the
distance between their quartiles. What comes out below zero is less than its noise, and stands as 0; only an instruction
must be told from noise, for it prices everything (`_hits` measures on, and fails in the end). `insn` and `access` come
from one line through the hit paths of the four schemes: ns of a hit = access + insn * instructions; the access itself
costs what the data cache makes of it, in every scheme.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mmuexp import manifest
from mmuexp.errors import MmuexpError
from mmuexp.host import Profile, profile_of_text
from mmuexp.live import streams
from mmuexp.live.build import primitives_program
from mmuexp.live.engine import Engine
from mmuexp.passes import Progress
from mmuexp.registry import ORDER, strategy_class

ROUNDS = 15
QUICK_ROUNDS = 7
PATIENCE = 8  # times the rounds, until an instruction is told from noise
LEAST_INSN_NS = 0.005  # no processor ends 200 instructions in a ns
PRIMITIVE_SECONDS = 60
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


def calibrate(*, rounds: int = ROUNDS, progress: Progress | None = None) -> Calibration:
    """Measure this host. Takes some 10 s. Raises NoEngine, EngineFailed, MmuexpError where all is noise."""
    started, steps = manifest.utc_now(), 3 * rounds
    done = 0

    def step(what: str) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("calibrate", done, steps)

    kernel = _kernel(rounds, step)
    slope, base = _hits(rounds, step)
    also = _events(rounds, step)
    insn = _figure(slope, "slope of hit paths of 1, 4, 7 and 11 instructions on a synthetic stream")
    access = _figure(base, "what remains of a hit beyond its instructions: the data cache")
    signal, mapping = kernel["signal"], kernel["mmap"]
    prices = {
        "insn": insn,
        "access": access,
        "signal": _figure(signal, "SIGSEGV delivery and sigreturn, the handler skips the instruction"),
        "mmap": _figure(mapping, "mmap of one memfd page over a reserve, not touched"),
        "page_in": _figure(
            kernel["map_on_fault"] - signal - mapping, "SIGSEGV + mmap + minor fault + retry, less signal and mmap"
        ),
        "mprotect": _figure(kernel["write_fault"] - signal, "SIGSEGV + mprotect + retry, less signal"),
        "page_out": _figure(kernel["unmap_all"], "one unmap over 256 mappings of one page, for each"),
        "munmap": _figure(kernel["unmap"] - kernel["unmap_all"], "unmap of one mapped page, less page_out"),
    }
    also |= {
        "map_on_fault": _figure(kernel["map_on_fault"], "SIGSEGV + mmap of one page + minor fault + retry"),
        "write_fault": _figure(kernel["write_fault"], "SIGSEGV + mprotect + retry"),
        "protect": _figure(kernel["protect"], "mprotect of a written page, read-only"),
        "unmap": _figure(kernel["unmap"], "unmap of one mapped page"),
        "walk": _figure(kernel["walk"], "a page walk: two dependent reads in 4 MiB of tables"),
    }
    machine = manifest.machine()
    processor = machine["processor"] or machine["architecture"]
    about = f"{processor}, {machine['system']}, measured by mmuexp calibrate"
    made = manifest.made_by("calibrate", sys.argv, started, "yes")
    made |= {"machine": machine, "versions": manifest.versions()}
    return Calibration(prices, also, about, datetime.now(UTC).date().isoformat(), made)


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
        least = rounds * HIT_TIMES
        while len(slopes) < least or (np.median(slopes) < LEAST_INSN_NS and len(slopes) < PATIENCE * least):
            at = len(slopes) % (len(engines) + 1)
            spent = {}
            for engine in [*engines[at:], bare, *engines[:at]]:
                engine.feed(rows)
                spent[engine] = engine.cpu_ns
            slope, base = _line(insns, [(spent[engine] - spent[bare]) / HIT_ROWS for engine in engines])
            slopes.append(slope)
            bases.append(base)
            if len(slopes) <= least and len(slopes) % HIT_TIMES == 0:
                step("hits")
    found = np.median(slopes)
    if found < LEAST_INSN_NS:
        what = f"what an instruction takes is lost in noise: {found:.2g} ns, the median of {len(slopes)} rounds"
        raise MmuexpError(what, where="calibrate", todo="run it when this machine does nothing else")
    return np.array(slopes), np.array(bases)


def _line(insns: np.ndarray, ns: Sequence[float]) -> tuple[float, float]:
    """(slope, base) of the line through the hit paths."""
    slope, base = np.polyfit(insns, ns, 1)
    return float(slope), float(base)


def _events(rounds: int, step: Callable[[str], None]) -> dict[str, Figure]:
    """What else people ask for: helper, fill, FLUSH by what is mapped. Whole events, as the engines run them."""
    kinds = {
        "helper": ("softmmu", streams.misaligned(EVENT_ROWS), EVENT_ROWS, "a misaligned load by softmmu's helper"),
        "helper_cross": ("softmmu", streams.crossing(EVENT_ROWS), EVENT_ROWS, "a crossing load by softmmu's helper"),
        "fill": ("softmmu", streams.thrashing(EVENT_ROWS), EVENT_ROWS, "a TLB fill by softmmu's helper, no page walk"),
        "signal_completed": ("byte-lookup", streams.crossing(EVENT_ROWS), EVENT_ROWS, "a load done in the handler"),
    }
    for pages in POOLS:
        times = max(1, 4096 // pages)
        what = f"{pages} pages faulted in and dropped by one FLUSH, for each FLUSH (qemu-fast)"
        kinds[f"flush_{pages}_pages"] = ("qemu-fast", streams.touched_and_flushed(pages, times), times, what)
    found: dict[str, list[float]] = {name: [] for name in kinds}
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(Engine(strategy_class(scheme)(), "user", checked=False))
            for name, (scheme, *_) in kinds.items()
        }
        bare = stack.enter_context(Engine(None, "user", checked=False))
        for name, (_, rows, _, _) in kinds.items():
            engines[name].feed(rows)
        for _ in range(rounds):
            for name, (_, rows, events, _) in kinds.items():
                bare.feed(rows)
                engines[name].feed(rows)
                found[name].append((engines[name].cpu_ns - bare.cpu_ns) / events)
            step("events")
    return {name: _figure(np.array(found[name]), how) for name, (_, _, _, how) in kinds.items()}


def profile_now(rounds: int = QUICK_ROUNDS, progress: Progress | None = None) -> Profile:
    """This host's prices, measured now: what a live measurement is compared with."""
    return profile_of_text(profile_text(calibrate(rounds=rounds, progress=progress)), "now")


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
