"""Compiles the QEMU plugin at its first use, with the host's C compiler, into the user's cache folder.

The file's name holds a hash of everything that goes into it, so a changed source is another file and two users of
one version share one compile. Compiling takes about 0.2 s.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from mmuexp.errors import MmuexpError

SOURCE = files("mmuexp.record") / "plugin"
USER, SYSTEM = "mmuexp_plugin", "mmuexp_system"  # the plugins: for a program, for a whole guest
HEADERS = ("blocks.h", "install.h", "instructions.h", "pages.h", "qemu_plugin.h", "ring.h", "rows.h")
HEADERS += ("where.h", "where_v1.h", "where_v3.h")
PARTS = (f"{USER}.c", f"{SYSTEM}.c", *HEADERS)
APIS = (1, 3)  # versions of QEMU's plugin interface: of QEMU 5.2 to 8.2, from 9.1 on
CFLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall")


def source_hash() -> str:
    """16 hex digits of the sha256 of the plugin's sources and flags."""
    state = hashlib.sha256(" ".join(CFLAGS).encode())
    for part in PARTS:
        state.update((SOURCE / part).read_bytes())
    return state.hexdigest()[:16]


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmuexp"


def plugin(name: str = USER, api: int = APIS[0]) -> Path:
    """The plugin `name`, compiled for version `api` of QEMU's plugin interface.

    Raises `MmuexpError`: no compiler, a failed compile, a cache that cannot be written.
    """
    folder = cache_folder()
    target = folder / f"{name}-{source_hash()}-v{api}.so"
    if target.exists() and target.stat().st_size:  # a full disk may have left an empty one
        return target
    compiler = _compiler()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as build:
            for part in PARTS:
                (Path(build) / part).write_bytes((SOURCE / part).read_bytes())
            output = Path(build) / "plugin.so"
            command = [*compiler, *CFLAGS, f"-DPLUGIN_API={api}", "-o", str(output), str(Path(build) / f"{name}.c")]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                first = next(iter((done.stderr or "no message").splitlines()))
                raise MmuexpError(f"the QEMU plugin does not compile: {first}", todo="set CC to a C compiler")
            os.replace(output, target)  # whoever compiles at the same time makes the same file
    except OSError as error:
        todo = "set XDG_CACHE_HOME to a folder that can be written"
        what = f"no place for the compiled QEMU plugin: {error.strerror}"
        raise MmuexpError(what, where=str(folder), todo=todo) from None
    return target


def _compiler() -> list[str]:
    chosen = os.environ.get("CC", "").split()
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    wanted = f"no C compiler ({' '.join(chosen) or 'cc, gcc, clang'}) to build the QEMU plugin with"
    raise MmuexpError(wanted, todo="install one (Debian: apt-get install gcc libc6-dev)")
