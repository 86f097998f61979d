"""The code before format 2, as a peer: the last commit that replayed tables of rows, in an environment of its own."""

import subprocess
import tarfile
from io import BytesIO

from . import peers
from .processes import ROOT
from .worker import Worker

COMMIT = "88013da078a62d049af1d60e046abcc35bb91f31"
FOLDERS = ("mmuexp/replay", "mmuexp/trace")


def _git(*command: str) -> bytes:
    """Ask git about this repository. Raises RuntimeError where it has no such commit: a shallow clone, an archive."""
    done = subprocess.run(["git", "-C", ROOT, *command], capture_output=True)
    if done.returncode:
        raise RuntimeError(f"the repository here has no commit {COMMIT[:7]}")
    return done.stdout


def worker() -> Worker:
    """A child that compares with that code, on one core. Its own recordings are in traces/, as rows."""
    folder = peers.cache_folder() / f"rows-{COMMIT[:7]}"
    if not (folder / ".venv" / peers.INSTALLED).exists():
        with tarfile.open(fileobj=BytesIO(_git("archive", COMMIT))) as files:
            files.extractall(folder, filter="data")
    python = peers.environment(folder / ".venv", "-e", str(folder))
    return Worker([str(python), "-m", "tests.bench.ours"], cores=1, cwd=folder)


def lines() -> tuple[int, int]:
    """Lines of Python in FOLDERS, then and now."""
    names = _git("ls-tree", "-r", "--name-only", COMMIT, *FOLDERS).decode().split()
    now = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    before = sum(_git("show", f"{COMMIT}:{name}").count(b"\n") for name in names if name.endswith(".py"))
    return before, sum(path.read_bytes().count(b"\n") for path in now)
