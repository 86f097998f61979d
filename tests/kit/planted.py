"""A copy of the package with something planted in its sources: does what was added in one place reach every other?"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kit.places import ROOT


class Planted:
    """The package in `folder`, changed. `edits`: file of the repository -> (text it holds once, what replaces it)."""

    def __init__(self, folder: Path, edits: Mapping[str, tuple[str, str]]):
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "mmuexp", folder / "mmuexp", ignore=ignored)
        shutil.copytree(ROOT / "strategies", folder / "mmuexp" / "strategies", ignore=ignored)
        for name, (before, after) in edits.items():
            file = folder / (name if name.startswith("mmuexp/") else f"mmuexp/{name}")
            text = file.read_text()
            assert text.count(before) == 1, f"{name} holds {before!r} {text.count(before)} times"
            file.write_text(text.replace(before, after))

    def python(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run Python over the copy, kernels as plain Python: nothing is compiled anew for a test."""
        there = {"PYTHONPATH": str(self.folder), "NUMBA_DISABLE_JIT": "1", "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=os.environ | there, capture_output=True, text=True
        )

    def mmuexp(self, *arguments: str) -> str:
        """What a command of the copy writes to stdout."""
        done = self.python("-m", "mmuexp", *arguments)
        assert not done.returncode, done.stderr
        return done.stdout
