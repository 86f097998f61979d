"""Names what kernels are compiled from, so that machine code is never served after one of its sources changed.

numba's own cache compares the time of the file that a function stands in, and knows nothing of the kernels that the
function calls, nor of the constants that they read. So all that is kept is named after a digest of whole folders: a
file that joins them is covered at once.
"""

import hashlib
import platform
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

PACKAGE = Path(__file__).parents[1]
FOLDERS = ("blocks", "emulator", "native", "replay")
BESIDE = ("guest.py", "events.py", "strategy/__init__.py", "strategy/base.py")  # the words of these and of a scheme
COMPILED_BY = (
    sys.version, numba.__version__, llvmlite.__version__, np.__version__, platform.machine(), str(numba.config.OPT)
)  # fmt: skip


def kernel_files() -> list[Path]:
    """List every file that a kernel of a scheme, or of the survey, may be compiled from."""
    schemes: Any = find_spec("mmuexp.strategies")
    folders = [*(PACKAGE / name for name in FOLDERS), *map(Path, schemes.submodule_search_locations)]
    return [*python_files(*folders), *(PACKAGE / name for name in BESIDE)]


def python_files(*folders: Path) -> list[Path]:
    """List the Python files in these folders, not in folders below them, in a fixed order."""
    return sorted(path for folder in folders for path in folder.glob("*.py"))


def digest_of(files: Iterable[Path], *more: str) -> str:
    """64 hex digits that name these files by folder, name and content, what compiles them, and `more`."""
    state = hashlib.sha256("\0".join((*COMPILED_BY, *more)).encode())
    for path in files:
        content = path.read_bytes()
        state.update(f"\0{path.parent.name}/{path.name}\0{len(content)}\0".encode() + content)
    return state.hexdigest()


AT_START = digest_of(kernel_files())  # what is loaded is as the files were when the process began, not as they are now
