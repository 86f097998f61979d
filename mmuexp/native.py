"""C that mmuexp brings along, compiled at its first use with the host's compiler, into the user's cache folder.

The file's name holds a hash of everything that goes into it, so a changed source is another file and two users of one
version share one compile.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmuexp.errors import MmuexpError


def cache_folder() -> Path:
    """Where what is compiled for this user is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmuexp"


def digest_of(parts: Mapping[str, bytes], flags: Sequence[str]) -> str:
    """16 hex digits that name what these sources and flags make."""
    state = hashlib.sha256("\0".join(flags).encode())
    for name, content in sorted(parts.items()):
        state.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return state.hexdigest()[:16]


def compiled(name: str, parts: Mapping[str, bytes], flags: Sequence[str], what: str, folder: str = "") -> Path:
    """What the .c files among `parts` (file name -> content) make together. `what` it is, for messages.

    Raises MmuexpError: no compiler, a failed compile, a cache that cannot be written.
    """
    suffix = ".so" if "-shared" in flags else ""
    place = cache_folder() / folder
    target = place / f"{name}-{digest_of(parts, flags)}{suffix}"
    if target.exists() and target.stat().st_size:  # a full disk may have left an empty one
        return target
    compiler = _compiler(what)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix="build-") as build:
            for part, content in parts.items():
                (Path(build) / part).write_bytes(content)
            output = Path(build) / "output"
            sources = [str(Path(build) / part) for part in parts if part.endswith(".c")]
            done = subprocess.run([*compiler, *flags, "-o", str(output), *sources], capture_output=True, text=True)
            if done.returncode:
                lines = (done.stderr or "no message").splitlines()
                said = next((line for line in lines if "error" in line), lines[0]).replace(f"{build}/", "")
                raise MmuexpError(f"{what} does not compile: {said}", todo="mend it, or set CC to another C compiler")
            os.replace(output, target)  # whoever compiles at the same time makes the same file
    except OSError as error:
        todo = "set XDG_CACHE_HOME to a folder that can be written"
        raise MmuexpError(f"no place for {what}: {error.strerror}", where=str(place), todo=todo) from None
    return target


def _compiler(what: str) -> list[str]:
    chosen = os.environ.get("CC", "").split()
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    wanted = f"no C compiler ({' '.join(chosen) or 'cc, gcc, clang'}) to build {what} with"
    raise MmuexpError(wanted, todo="install one (Debian: apt-get install gcc libc6-dev)")
