"""`calibrate`: what this host takes for the primitives that a profile prices (MODEL.md, section 7), measured.

The kernel's are timed alone (`engine/primitives.c`), the emulator's on synthetic streams under the live engines, beside
the bare loop. Everything is measured in rounds, one after another; a figure is the median of its rounds, its spread the
distance between their quartiles. `insn` and `access` come from one line through the hit paths of the four schemes:
ns of a hit = access + insn * instructions; the access itself costs what the data cache makes of it, in every scheme.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
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
from mmuexp.registry import default_strategies, strategy_class

ROUNDS = 15
QUICK_ROUNDS = 7
HIT_ROWS = 1 << 18
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
    """Measure this host. Takes some 20 s. Raises NoEngine, EngineFailed."""
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
    about = f"{manifest.machine()['processor']}, {platform.system()} {platform.release()}, measured by mmuexp calibrate"
    made = manifest.made_by("calibrate", sys.argv, started, "yes")
    made |= {"machine": manifest.machine(), "versions": manifest.versions()}
    return Calibration(prices, also, about, datetime.now(UTC).date().isoformat(), made)


def _figure(rounds: np.ndarray, how: str) -> Figure:
    low, middle, high = np.percentile(rounds, [25, 50, 75])
    return Figure(max(0.0, round(float(middle), 3)), round(float(high - low), 3), how)


def _kernel(rounds: int, step: Callable[[str], None]) -> dict[str, np.ndarray]:
    """Each kernel primitive, ns a round."""
    program, found = primitives_program(), {}
    for _ in range(rounds):
        done = subprocess.run([str(program), "1"], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise MmuexpError(f"the host's primitives cannot be measured: {done.stderr.strip()}", where="calibrate")
        for line in done.stdout.splitlines():
            name, ns = line.split()
            found.setdefault(name, []).append(float(ns))
        step("kernel")
    return {name: np.array(ns) for name, ns in found.items()}


def _hits(rounds: int, step: Callable[[str], None]) -> tuple[np.ndarray, np.ndarray]:
    """(insn, access), ns a round: the line through the four hit paths."""
    strategies = default_strategies("user")
    warm, rows = streams.stores_first(), streams.hits(HIT_ROWS)
    units = HIT_ROWS
    insns = np.array([strategy.hit_insns() for strategy in strategies], float)
    slopes, bases = [], []
    with ExitStack() as stack:
        bare = stack.enter_context(Engine(None, "user", checked=False))
        engines = [stack.enter_context(Engine(strategy, "user", checked=False)) for strategy in strategies]
        for engine in (bare, *engines):
            engine.feed(warm)
            engine.feed(rows)
        for turn in range(rounds):
            spent = {}
            for engine in [*engines[turn % 4 :], bare, *engines[: turn % 4]]:
                engine.feed(rows)
                spent[engine] = engine.cpu_ns
            ns = np.array([(spent[engine] - spent[bare]) / units for engine in engines])
            slope, base = np.polyfit(insns, ns, 1)
            slopes.append(slope)
            bases.append(base)
            step("hits")
    return np.array(slopes), np.array(bases)


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
    return [f"ns = {figure.ns:g}", f"spread_ns = {figure.spread_ns:g}", f'source = "{_quoted(source)}"']


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
