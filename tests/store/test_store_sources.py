"""A changed trace, scheme or kernel is never answered from the store; nothing is kept that may be of another one."""

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.places import HONEST_FILE, ROOT
from kit.traces import load, write_trace
from store.conftest import entries

import mmuexp
from mmuexp.native.sources import PACKAGE
from mmuexp.store import identity
from mmuexp.strategy import sourcefiles
from mmuexp.strategy.registry import parse_spec

# what the counting files import and no count depends on
NO_COUNT = {"arguments.py", "errors.py", "progress.py", "version.py", "runtime", "price", "store", "result/manifest.py"}
NO_COUNT |= {"analysis/given.py", "analysis/stored.py"}


def test_every_file_that_counts_is_in_the_identity():
    """Follows the imports of what replays."""
    left = [PACKAGE / "analysis" / name for name in ("passes.py", "tlbmisses.py", "misses.py")]
    seen = set()
    while left:
        path = left.pop()
        name = path.relative_to(PACKAGE).as_posix()
        if path in seen or name in NO_COUNT or name.partition("/")[0] in NO_COUNT:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mmuexp"):
                base = PACKAGE.joinpath(*node.module.split(".")[1:])
                names = [base, *(base / alias.name for alias in node.names)]
                files = (file for one in names for file in (one.with_suffix(".py"), one / "__init__.py"))
                left += filter(Path.exists, files)
    counting = {*identity.counting_files(), PACKAGE / "__init__.py", PACKAGE / "result" / "__init__.py"}
    own = {path for path in seen if "importers" not in path.parts}
    assert len(own) > 40
    assert {str(path) for path in own - counting} == set()


def test_a_trace_that_changed_in_place(store, tmp_path):
    """As long and as old as before, too."""
    trace = Path(write_trace(tmp_path / "t.arrow", (load(0x1000), load(0x2000))))
    other = Path(write_trace(tmp_path / "o.arrow", (load(0x1000), load(0x1010))))
    assert trace.stat().st_size == other.stat().st_size
    before = trace.stat()
    assert mmuexp.compare(trace, "softmmu")["pages"][0] == 2
    trace.write_bytes(other.read_bytes())
    os.utime(trace, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert mmuexp.compare(trace, "softmmu")["pages"][0] == 1


def test_a_trace_that_changes_while_it_is_replayed_is_not_kept(store, tmp_path, monkeypatch):
    from mmuexp.analysis import experiment

    trace = Path(write_trace(tmp_path / "t.arrow", (load(0x1000), load(0x2000))))
    real = experiment.run_passes

    def meanwhile(*words, **how):
        yield from real(*words, **how)
        with open(trace, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\0")

    monkeypatch.setattr(experiment, "run_passes", lambda *w, **h: _last(meanwhile(*w, **h)))
    mmuexp.compare(trace, "softmmu")
    assert entries(store) == 0


def _last(made):
    """All at once, so that the file changes before anything is kept."""
    return list(made)


def test_a_digest_is_taken_again_of_a_file_that_changed_lately(store, tmp_path, monkeypatch):
    from mmuexp.trace import sha256

    path = tmp_path / "file"
    path.write_bytes(b"a")
    first = sha256.digest(path)
    assert first not in sha256.taken().values()
    monkeypatch.setattr(sha256, "CALM_NS", -(10**9))
    assert sha256.digest(path) == first and first in sha256.taken().values()
    assert not sha256.taken()


FAULTY = ("n[Event.TLB_FILLS] += 1", "n[Event.TLB_FILLS] += 2")


def run(*words: str, cwd: Path, **environment: str) -> str:
    """What Python prints, started there, with kernels as plain Python: nothing is compiled."""
    plain = {"NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | plain | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


FILLS = """
import sys, mmuexp
for spec in sys.argv[2:]:
    table = mmuexp.compare(sys.argv[1], [spec], reference=spec)
    print(table["tlb_fills"][0], len(table.attrs["manifest"]["from_store"]))
"""


@pytest.mark.long
def test_a_scheme_file_that_changed(store, trace, tmp_path):
    """And one that only something that it imports changed for."""
    mine, helper = tmp_path / "mine.py", tmp_path / "helper.py"
    shutil.copy(HONEST_FILE, mine)
    importing = tmp_path / "importing.py"
    importing.write_text("import helper\nclass Importing(helper.Honest):\n    name = 'importing'\n")
    shutil.copy(HONEST_FILE, helper)

    def fills(*files) -> list[str]:
        return run("-c", FILLS, trace, *files, cwd=tmp_path).split()

    first = fills(mine, importing)
    assert first[1::2] == ["0", "0"]
    assert fills(mine, importing) == [first[0], "1", first[2], "1"]
    assert run("-m", "mmuexp", "store", "verify", cwd=tmp_path).count("equal") == 2
    was, when = mine.read_text(), mine.stat()
    mine.write_text(was.replace(*FAULTY))
    os.utime(mine, ns=(when.st_atime_ns, when.st_mtime_ns))
    twice = str(2 * int(first[0]))
    assert fills(mine, importing) == [twice, "0", first[2], "1"]
    helper.write_text(was.replace(*FAULTY))
    assert fills(mine, importing) == [twice, "1", twice, "0"]
    mine.write_text(was)
    assert fills(mine) == [first[0], "1"]


EDITED = """
import sys, mmuexp
from pathlib import Path
from mmuexp.store import identity
from mmuexp.strategy.registry import parse_spec
mine = Path(sys.argv[2])
cls = type(parse_spec(sys.argv[2]))
print(identity.scheme(cls) is not None)
mine.write_text(mine.read_text().replace(*sys.argv[3:]))
print(identity.scheme(cls) is not None)
mmuexp.compare(sys.argv[1], sys.argv[2], reference=sys.argv[2])
"""


def test_what_this_process_loaded_is_no_longer_in_the_file(store, trace, tmp_path):
    """The class of before goes on counting, and its counts are not kept as those of the file of now."""
    shutil.copy(HONEST_FILE, tmp_path / "mine.py")
    assert run("-c", EDITED, trace, tmp_path / "mine.py", *FAULTY, cwd=tmp_path).split() == ["True", "False"]
    assert entries(store) == 0


def test_a_class_that_its_file_does_not_tell():
    class Local(type(parse_spec("softmmu"))):
        name = "local"

    assert identity.scheme(Local) is None
    assert identity.scheme(type(parse_spec("softmmu"))) is not None


def test_sources_that_changed_since_the_process_began(monkeypatch):
    assert time.time_ns() > sourcefiles.STARTED_NS
    assert identity.sources() is not None
    monkeypatch.setattr(identity, "STARTED_NS", 0)
    assert identity.sources() is None


EACH = """
import os, sys
from pathlib import Path
import mmuexp
from mmuexp.store import identity
assert Path(mmuexp.__file__).parent == Path.cwd() / "mmuexp"
identity.STARTED_NS = 1 << 63
files, found = identity.counting_files(), {identity.sources()}
for path in files:
    was, when = path.read_bytes(), path.stat()
    path.write_bytes(was[:-1] + b" ")
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    identity._digest.cache_clear()
    found.add(identity.sources())
    path.write_bytes(was)
print(len(found) - len(files))
"""
KERNEL = ("n[Event.TLB_FILLS] += 1", "n[Event.TLB_FILLS] += 3")


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the package that runs instead of the installed one."""
    no_code = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "copy" / "mmuexp", ignore=no_code)
    shutil.copytree(ROOT / "strategies", tmp_path / "copy" / "mmuexp" / "strategies", ignore=no_code)
    time.sleep(0.05)  # the system tells when a process began by hundredths of a second: what is as new is not trusted
    return tmp_path / "copy"


def test_a_kernel_that_changed(store, trace, copy):
    """And each other file that counts: as long and as old as before, too."""

    def fills() -> list[str]:
        return run("-c", FILLS, trace, "softmmu", cwd=copy).split()

    first = fills()
    assert fills() == [first[0], "1"]
    kernel = copy / "mmuexp" / "emulator" / "tlb.py"
    assert KERNEL[0] in kernel.read_text()
    kernel.write_text(kernel.read_text().replace(*KERNEL))
    assert fills() == [str(3 * int(first[0])), "0"]
    assert run("-c", EACH, cwd=copy).split() == ["1"]
