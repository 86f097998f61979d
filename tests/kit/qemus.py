"""The QEMUs under which guests are recorded: the one in PATH, and one from 9.1 on, which shows registers to plugins.

The newer one is looked for in the folder that MMUEXP_NEWER_QEMU names, then in PATH; `make check` fetches Debian's
backport (10.0, 14 MB) where neither has it.
"""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kit.places import TESTS
from kit.recording import workshop

NAME = "qemu-system-i386"
FETCH = TESTS / "kit" / "record_programs" / "fetch_qemu"
IN_PATH, FETCHED = "in PATH", "fetched"


def is_newer(path: str | None) -> bool:
    line = subprocess.run([path, "--version"], capture_output=True, text=True).stdout if path else ""
    found = re.search(r"version (\d+)\.(\d+)", line)
    return bool(found) and (int(found[1]), int(found[2])) >= (9, 1)


def there() -> str | None:
    """The folder of a newer QEMU on this machine."""
    named = os.environ.get("MMUEXP_NEWER_QEMU")
    path = f"{named}/{NAME}" if named else shutil.which(NAME)
    return str(Path(path).parent) if is_newer(path) else None


@functools.cache
def fetched() -> str:
    folder = workshop() / "newer-qemu"
    done = subprocess.run(["sh", str(FETCH), str(folder)], capture_output=True, text=True)
    if done.returncode or not is_newer(f"{folder}/{NAME}"):
        no = pytest.fail if os.environ.get("CI") else pytest.skip  # a machine without network may do without it
        no(f"no {NAME} from 9.1 on is here (MMUEXP_NEWER_QEMU=FOLDER), and none could be fetched: {done.stderr[:200]}")
    return str(folder)


def newer_ones() -> list:
    """What a fixture's parameters are, for a newer QEMU."""
    return [there()] if there() else [pytest.param(FETCHED, marks=pytest.mark.long)]


def here() -> list:
    """The same for the QEMU in PATH and a newer one."""
    return [IN_PATH, *(newer_ones() if not is_newer(shutil.which(NAME)) else [])]


def environment(which: str) -> dict[str, str]:
    """What must be in the environment, for that QEMU."""
    folder = "" if which == IN_PATH else f"{fetched() if which == FETCHED else which}:"
    return {"PATH": folder + os.environ["PATH"]}
