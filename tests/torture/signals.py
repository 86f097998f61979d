"""SIGINT and SIGTERM at random moments of each command: it ends within two seconds and leaves nothing half-made.

A command runs in a session of its own, so that whatever it leaves running is found. It gets its signal alone, as from
`kill`, or together with its children, as from a terminal. Before its own code runs, Python answers a signal as it
likes: then only the end and what is left are looked at.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmuexp.runtime.places import cache_folder

from .commands import Command, prepare

PROMISE_SECONDS = 2.0
HANG_SECONDS = 30.0  # then it is killed
COLD_SECONDS = 6.0  # of the compiling of a first run, in which signals are sent
LAST_SECONDS = 0.3  # what ends so soon after a signal may have ended by itself
BAD_WORDS = ("Traceback", "Exception ignored", "this is a bug", "Error:", "_as_parameter_")


@dataclass
class Shot:
    """One signal, and what came of it."""

    name: str
    number: signal.Signals
    cold: bool
    to_group: bool
    after: float  # seconds from the start of the process
    early: bool = False  # Python had not yet begun with our code
    late: bool = False  # all was written: Python ends
    missed: bool = False  # the command had ended before
    took: float = 0.0  # seconds from the signal to the end
    code: int | None = None
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        facts = {"cold": self.cold, "group": self.to_group, "early": self.early, "late": self.late}
        how = ", ".join(name for name, true in facts.items() if true) or "warm"
        end = "had ended" if self.missed else f"{self.took:.2f} s, exit code {self.code}"
        wrong = "".join(f"\n    WRONG: {line}" for line in self.wrong)
        return f"{self.name:<14} {self.number.name} after {self.after:.3f} s ({how}): {end}{wrong}"


class Torturer:
    """`busy` stretches the two seconds by how many more processes want to run than there are processors."""

    def __init__(self, folder: Path, seed: int, only: list[str] | None = None, *, busy: bool = False):
        if (
            signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        ):  # a shell's background job: what it starts ignores ^C, too
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.folder, self.random, self.busy = folder, random.Random(seed), busy
        self.done: list[Shot] = []
        self.cache = folder / "cache"
        if (compiled := cache_folder()).exists():  # a copy, which whoever is killed may damage
            kept = shutil.ignore_patterns("store", "imports", "fetched", "sent", "*.part")
            shutil.copytree(compiled, self.cache / compiled.name, ignore=kept)
        os.environ["XDG_CACHE_HOME"] = str(self.cache)
        os.environ["MMUEXP_STORE"] = ""  # a replay that is found there takes no time
        found = prepare(folder)
        self.commands = {name: found[name] for name in only or found}
        self.lasts = {name: self._undisturbed(command) for name, command in self.commands.items()}

    def shots(self, count: int, seconds: float) -> Iterator[Shot]:
        """Until so many signals hit a running command, or so many seconds are over: each command in turn."""
        ends, names = time.monotonic() + seconds, list(self.commands)
        while sum(not shot.missed for shot in self.done) < count and time.monotonic() < ends:
            name = names[len(self.done) % len(names)]
            cold = self.random.random() < 0.2 and not self.commands[name].endless
            lasts = COLD_SECONDS if cold else self.lasts[name]
            number = self.random.choice([signal.SIGINT, signal.SIGTERM])
            shot = Shot(name, number, cold, self.random.random() < 0.5, self.random.uniform(0, lasts))
            self._shoot(shot, self.commands[name])
            if shot.missed and not cold:
                self.lasts[name] *= 0.8  # the first run compiled
            self.done.append(shot)
            yield shot

    def _undisturbed(self, command: Command) -> float:
        """Seconds that it takes, once; its code is compiled then."""
        if command.endless:
            return 3.0
        place, began = self._place(), time.monotonic()
        with (place / "stderr").open("wb") as errors:
            code = self._start(command, place, errors, cold=False).wait()
        if code:
            raise SystemExit(f"{command.words} fails by itself: {(place / 'stderr').read_text()}")
        return time.monotonic() - began

    def _place(self) -> Path:
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        (place / "here").mkdir(parents=True)
        return place

    def _start(self, command: Command, place: Path, errors, *, cold: bool) -> subprocess.Popen:
        environment = os.environ | ({"XDG_CACHE_HOME": str(place / "cache")} if cold else {})
        return subprocess.Popen(
            [sys.executable, "-m", "mmuexp", *command.words], cwd=place / "here", env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
        )  # fmt: skip

    def _shoot(self, shot: Shot, command: Command) -> None:
        place = self._place()
        with (place / "stderr").open("wb") as errors:
            process = self._start(command, place, errors, cold=shot.cold)
        try:
            self._interrupt(shot, process)
        finally:  # nothing outlives this program either
            shot.wrong += _orphans(process.pid)
        process.wait()
        if not shot.missed:
            shot.wrong += self._judged(shot, command, place)

    def _interrupt(self, shot: Shot, process: subprocess.Popen) -> None:
        time.sleep(shot.after)
        shot.late = _has(process.pid, "SigIgn", signal.SIGTERM)
        shot.early = not shot.late and not _has(process.pid, "SigCgt", signal.SIGTERM)
        shot.missed = process.poll() is not None
        load, began = os.getloadavg()[0], time.monotonic()
        if not shot.missed:
            (os.killpg if shot.to_group else os.kill)(process.pid, shot.number)
        limit = PROMISE_SECONDS * (max(1.0, load / os.cpu_count()) if self.busy else 1.0)
        try:
            shot.code = process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            shot.wrong.append(f"still runs after {HANG_SECONDS:g} s")
        shot.took = time.monotonic() - began
        if shot.took > limit:
            shot.wrong.append(f"took {shot.took:.2f} s")

    def _judged(self, shot: Shot, command: Command, place: Path) -> Iterator[str]:
        said = (place / "stderr").read_text(errors="replace")
        fine = {128 + shot.number}
        if not shot.early and [word for word in BAD_WORDS if word in said]:
            yield said.strip()
        if (shot.late or shot.took < LAST_SECONDS) and not command.endless:
            fine.add(0)
        if shot.code is not None and shot.code not in fine and not shot.early:
            yield f"exit code {shot.code}: {said.strip()}"
        here = {path.name for path in (place / "here").rglob("*")}
        if strange := here - set(command.writes):
            yield f"left behind: {sorted(strange)}"
        for name in here:
            manifest = f"{name}.manifest.json"
            if manifest in command.writes and manifest not in here:
                yield f"{name} has no manifest"
            if name.endswith(".manifest.json"):
                json.loads((place / "here" / name).read_text())
        for cache in (self.cache, place / "cache"):
            half = [*cache.rglob("build-*"), *cache.rglob("loops/*/.*"), *cache.glob("mmuexp/vega/tmp*")]
            if half:
                yield f"left in the cache: {[path.name for path in half]}"
                for path in half:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _has(pid: int, which: str, number: int) -> bool:
    """Is the signal in this set of the process: caught, ignored?"""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(which):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except OSError:
        pass
    return False


def _orphans(session: int) -> list[str]:
    """What still runs of a session; it is ended."""
    deadline = time.monotonic() + 1.0  # what was killed may not have died yet
    while (found := _of_session(session)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    return [f"still runs: {name}" for name in found.values()]


def _of_session(session: int) -> dict[int, str]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text(errors="replace").rpartition(")")
        except OSError:
            continue
        state, _parent, _group, its = rest.split()[:4]
        if int(its) == session and state not in "ZX":
            found[int(stat.parent.name)] = name.partition("(")[2]
    return found


def summary(shots: list[Shot]) -> str:
    """How many signals hit, how long the ends took, what was wrong."""
    hit = [shot for shot in shots if not shot.missed]
    took = sorted(shot.took for shot in hit)
    wrong = [shot for shot in shots if shot.wrong]
    codes = ", ".join(f"{code}: {times}" for code, times in Counter(shot.code for shot in hit).most_common())
    quick = f"ends took {took[len(took) // 2]:.2f} s (median) to {took[-1]:.2f} s" if took else "none hit"
    return "\n".join([f"{len(hit)} signals; {quick}; exit codes {codes}; {len(wrong)} wrong", *map(str, wrong)])
