"""C that mmuexp brings along, compiled at its first use with the host's compiler, into the user's cache folder.

The file's name holds a hash of everything that goes into it, so a changed source is another file and two users of one
version share one compile.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmuexp.errors import MmuexpError
from mmuexp.runtime import interrupt, partfile
from mmuexp.runtime.places import cache_folder

SEAL_BYTES = hashlib.sha256().digest_size
BUILD = "build-"  # a folder to compile in is named so, and after its process


def digest_of(parts: Mapping[str, bytes], flags: Sequence[str]) -> str:
    """16 hex digits that name what these sources and flags make."""
    state = hashlib.sha256("\0".join(flags).encode())
    for name, content in sorted(parts.items()):
        state.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return state.hexdigest()[:16]


def compiled(name: str, parts: Mapping[str, bytes], flags: Sequence[str], what: str, folder: str = "") -> Path:
    """Compile the .c and link the .o files among `parts` (file name -> content) to one file: a program; a library if
    `flags` have -shared; an object for others to link if they have -r. `what` it is, for messages.

    Raises MmuexpError: no compiler, a failed compile, a cache that cannot be written.
    """
    suffix = ".so" if "-shared" in flags else ".o" if "-r" in flags else ""
    place = cache_folder() / folder
    target = place / f"{name}-{digest_of(parts, flags)}{suffix}"
    if _whole(target):
        return target
    compiler = _compiler(what)
    try:
        place.mkdir(parents=True, exist_ok=True)
        partfile.sweep_folders(str(place), BUILD)
        with _build_folder(place) as build:
            for part, content in parts.items():
                (build / part).write_bytes(content)
            output = build / "output"
            sources = [str(build / part) for part in parts if part.endswith((".c", ".o"))]
            code, message = _run([*compiler, *flags, "-o", str(output), *sources], build)
            if code:
                lines = (message or "no message").splitlines()
                said = next((line for line in lines if "error" in line), lines[0]).replace(f"{build}/", "")
                raise MmuexpError(f"{what} does not compile: {said}", todo="mend it, or set CC to another C compiler")
            if not output.is_file():
                made = f"{what} does not compile: {compiler[0]} ended well and made nothing"
                raise MmuexpError(made, todo="set CC to a C compiler")
            _seal(output)
            os.replace(output, target)  # whoever compiles at the same time makes the same file
    except OSError as error:
        todo = "set XDG_CACHE_HOME to a folder that can be written"
        raise MmuexpError(f"no place for {what}: {error.strerror}", where=str(place), todo=todo) from None
    return target


@contextmanager
def _build_folder(place: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        with interrupt.whole():
            build = stack.enter_context(tempfile.TemporaryDirectory(dir=place, prefix=f"{BUILD}{os.getpid()}-"))
            interrupt.temporaries.add(build)
        yield Path(build)


def _run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Its exit code and what it said. A compiler starts others: interrupted, it ends with all of them, at once."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)}, process_group=0,
    ) as process:  # fmt: skip
        try:
            _, said = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said.decode(errors="replace")


def _seal(output: Path) -> None:
    """Append a digest, by which a damaged file is told from a whole one: the loader ignores bytes after the end."""
    content = output.read_bytes()
    with output.open("ab") as file:
        file.write(hashlib.sha256(content).digest())


def _whole(target: Path) -> bool:
    """Tell whether what was compiled and sealed is there, byte for byte, and may be used."""
    try:
        content = target.read_bytes()
    except OSError:
        return False
    sealed = hashlib.sha256(content[:-SEAL_BYTES]).digest() == content[-SEAL_BYTES:]
    return sealed and (target.suffix in (".so", ".o") or os.access(target, os.X_OK))


def _compiler(what: str) -> list[str]:
    chosen = os.environ.get("CC", "").split()
    for command in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    wanted = f"no C compiler ({' '.join(chosen) or 'cc, gcc, clang'}) to build {what} with"
    raise MmuexpError(wanted, todo="install one (Debian: apt-get install gcc libc6-dev)")
