"""Machine code is never served after a source that it was compiled from changed: each of them is changed, in a copy."""

import ast
import csv
import os
import shutil
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from kit.places import ROOT, TRACES
from numba.core.dispatcher import Dispatcher

from mmuexp.native.jitcache import Guarded
from mmuexp.native.sources import PACKAGE, kernel_files
from mmuexp.replay import loop
from mmuexp.replay.compiled import _cached_copy
from mmuexp.strategy.registry import strategy_class

SCHEMES = ROOT / "strategies"


def modules() -> dict[str, Path]:
    """The modules of ours in which a function may be compiled, and their files."""
    found = {f"mmuexp.strategies.{path.stem}": path for path in SCHEMES.glob("*.py")}
    for path in PACKAGE.rglob("*.py"):
        if "jitcache import" in (text := path.read_text()) or "emulator.kernel import" in text:
            found[".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)] = path
    return found


def kernels() -> dict[str, list[Dispatcher]]:
    """Every compiled function of ours, by the module in which it stands."""
    found = {}
    for name in modules():
        values = (v.dispatcher if isinstance(v, Guarded) else v for v in vars(import_module(name)).values())
        found[name] = [one for one in values if isinstance(one, Dispatcher) and one.py_func.__module__ == name]
    return {name: here for name, here in found.items() if here}


def test_no_kernel_reads_what_is_in_no_digest():
    """What a kernel names comes from a file of its own folder, or from those of the digest, or from a library."""
    named, files, found = {path.resolve() for path in kernel_files()}, modules(), kernels()
    assert {f"mmuexp.{name}" for name in (
        "emulator.tlb", "replay.survey_scan", "replay.fetches", "native.bits", "trace.guest_scan", "trace.verify",
        "trace.streams", "blocks.builder", "blocks.rows",
        "trace.regions", "trace.importers.lackey_scan", "analysis.tlbmisses", "strategies.softmmu",
    )} <= set(found)  # fmt: skip
    for name, functions in found.items():
        used = {word for one in functions for word in one.py_func.__code__.co_names}
        for node in ast.walk(ast.parse(files[name].read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mmuexp."):
                for word in {alias.name for alias in node.names if (alias.asname or alias.name) in used}:
                    value = getattr(import_module(node.module), word)
                    origin = sys.modules[getattr(value, "__module__", node.module)]
                    file = Path(origin.__file__).resolve()
                    assert file in named or file.parent == files[name].resolve().parent, (name, word)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the package that runs instead of the installed one, with a cache of its own."""
    root, no_code = tmp_path_factory.mktemp("copy"), shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, root / "mmuexp", ignore=no_code)
    shutil.copytree(SCHEMES, root / "mmuexp" / "strategies", ignore=no_code)
    return root


def run(root: Path, code: str, *words: str) -> str:
    ours = {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(root / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *(["-c", code] if code else ["-m", "mmuexp"]), *words]
    done = subprocess.run(command, env=os.environ | ours, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    return done.stdout


EACH = """
import os
from pathlib import Path
import mmuexp
from mmuexp.native.sources import AT_START, digest_of, kernel_files
assert Path(mmuexp.__file__).parent == Path.cwd() / "mmuexp"
found = {AT_START}
for path in kernel_files():
    was, when = path.read_bytes(), path.stat()
    path.write_bytes(was[:-1] + b" ")
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    found.add(digest_of(kernel_files()))
    path.write_bytes(was)
print(len(found) - len(kernel_files()), digest_of(kernel_files()) == AT_START)
for name in ("emulator", "native", "replay", "strategies"):
    (more := Path("mmuexp", name, "another.py")).write_text("")
    print(digest_of(kernel_files()) in found)
    more.unlink()
"""


def test_each_changed_or_added_file_is_another_digest(copy):
    """Whatever it is: as long and as old as before, too."""
    assert run(copy, EACH).split() == ["1", "True", *["False"] * 4]


STAMPS = """
from importlib import import_module
from mmuexp.native.jitcache import Guarded, is_kept
import sys
for name in sys.argv[1:]:
    for value in vars(import_module(name)).values():
        one = value.dispatcher if isinstance(value, Guarded) else value
        if hasattr(one, "_cache") and one.py_func.__module__ == name and is_kept(one):
            print(name, one.py_func.__name__, one._cache._cache_file._source_stamp)
"""


def test_what_every_kept_function_is_named_by_changes(copy):
    """With the vocabulary, and with a file beside it that it may read."""
    names = [name for name in kernels() if not name.startswith(("mmuexp.emulator", "mmuexp.strategies"))]
    before = run(copy, STAMPS, *names).split("\n")
    assert len(before) > 20
    for change in ("guest.py", "replay/keys.py"):
        with changed(copy / "mmuexp" / change, "\n", "\n\n"):
            assert not set(run(copy, STAMPS, *names).split("\n")[:-1]) & set(before)
    with changed(copy / "mmuexp/trace/info.py", "\n", "\n\n"):
        same = set(run(copy, STAMPS, *names).split("\n")[:-1]) & set(before)
    assert same and not any(line.startswith("mmuexp.trace.guest_scan") for line in same)


class changed:
    """A source is another while this lasts."""

    def __init__(self, path: Path, old: str, new: str) -> None:
        self.path, self.was = path, path.read_text()
        assert old in self.was
        self.now = self.was.replace(old, new, 1)

    def __enter__(self) -> None:
        self.path.write_text(self.now)

    def __exit__(self, *_) -> None:
        self.path.write_text(self.was)


def test_a_process_whose_sources_changed_since_it_began_keeps_no_loop(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cached_copy(Path(loop.__file__), strategy_class("softmmu"))
    monkeypatch.setattr("mmuexp.replay.compiled.AT_START", "0" * 64)
    assert _cached_copy(Path(loop.__file__), strategy_class("softmmu")) is None


TOUCHED = """
import numpy as np
from mmuexp.trace.regions import _touch
touched = np.zeros(1 << 20, np.uint8)
_touch(np.array([0x4000], "u4"), np.array([4], "u2"), np.array([0], "u1"), touched)
print(np.flatnonzero(touched))
"""
SURVEY = """
import numpy as np
from mmuexp.errors import TraceError
from mmuexp.guest import DTYPES, USER, Columns
from mmuexp.replay.survey import Survey
row = zip((0x1000, 0, 48, 0, 0, USER), DTYPES)
try:
    Survey("user").feed(Columns(*(np.array([value], dtype) for value, dtype in row)))
    print("accepted")
except TraceError as error:
    print(error)
"""
WIDEST = "MAX_ACCESS_BYTES = 64", "MAX_ACCESS_BYTES = 32"


def test_a_kernel_of_another_folder_reads_the_constant_of_today(copy):
    assert run(copy, TOUCHED) == run(copy, TOUCHED) == "[4]\n"
    with changed(copy / "mmuexp/guest.py", "PAGE_BITS = 12", "PAGE_BITS = 13"):
        assert run(copy, TOUCHED) == "[2]\n"
    assert run(copy, TOUCHED) == "[4]\n"


@pytest.mark.long
def test_survey_and_scheme_go_by_the_rules_of_today(copy):
    """A scheme by those of the emulator, and by its own: three sources change at once, each for a figure of its own."""
    words = "compare", str(TRACES / "crossing.arrow"), "-s", "softmmu", "--format", "csv"

    def counted() -> tuple[int, int]:
        row = next(csv.DictReader(StringIO(run(copy, "", *words))))
        return int(row["tlb_fills"]), int(row["slow_io"])

    fills, devices = counted()
    assert (fills > 0, devices) == (True, 0)
    assert run(copy, SURVEY) == "accepted\n"
    own = "    n[Event.SLOW_IO] += 1\n    return tlb_access("
    with (
        changed(copy / "mmuexp/guest.py", *WIDEST),
        changed(copy / "mmuexp/emulator/tlb.py", "n[Event.TLB_FILLS] += 1", "n[Event.TLB_FILLS] += 2"),
        changed(copy / "mmuexp/strategies/softmmu.py", "    return tlb_access(", own),
    ):
        more_fills, devices = counted()
        assert "48 bytes, expected 1 to 32" in run(copy, SURVEY)
    assert (more_fills, devices > 0) == (2 * fills, True)
    assert counted() == (fills, 0)
    assert run(copy, SURVEY) == "accepted\n"
