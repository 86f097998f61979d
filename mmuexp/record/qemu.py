"""`record(...)`: runs a program under qemu-i386 or qemu-x86_64 and writes what it does as a trace."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from mmuexp.errors import MmuexpError, UsageError, file_name, option, refuse_itself, shell_line
from mmuexp.record import build, libraries, program, symbols
from mmuexp.record.elf import Guest
from mmuexp.record.ring import Mode
from mmuexp.record.session import Recording, Session
from mmuexp.trace import TraceWriter, digest
from mmuexp.trace.format import utf8

QEMU_PACKAGE = "qemu-user; the static build has no plugins"
# It says the same as -L. The other variables of QEMU's are options of it too, which the file would not tell: they make
# other rows (QEMU_SINGLESTEP), or a recording that never begins (QEMU_GDB).
KEPT_VARIABLE = "QEMU_LD_PREFIX"
SEED = "1"  # AT_RANDOM and the like: the same program makes the same rows each time


def record(
    command: Sequence[str],
    output: str,
    *,
    skip: int = 0,
    limit: int | None = None,
    seconds: float | None = None,
    root: str | None = None,
    licence: str | None = None,
    force: bool = False,
    start_at_pc: str | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Recording:
    """Run `command` (an x86 Linux program or a script, and its arguments) and write its rows to `output`.

    The first `skip` rows are left out, and at most `limit` are recorded; the program always runs to its end, with our
    standard input, output and error, unless it runs longer than `seconds`. `root` is the folder where its loader and
    libraries are looked up first (QEMU's -L). `licence` goes into the file. An earlier recording is replaced only with
    `force`, and only when this one has rows. With `start_at_pc`, an address or a symbol of the program, rows begin with
    the first block that holds it. `note` gets a line when the recording ends before the program, and
    when a variable of our environment is kept from QEMU.

    Raises `MmuexpError` before the program starts: what cannot be run or recorded, no QEMU, no compiler, an output
    that cannot be written.
    """
    if output == "-":
        raise MmuexpError(
            "a recording cannot go to stdout, which is the program's", todo=f"say {option('output', 'FILE.arrow')}"
        )
    if root is not None and not os.path.isdir(root):
        todo = f"name the folder that libraries are unpacked into, or leave {option('root')} out"
        raise MmuexpError("no such folder", where=f"{option('root')} {file_name(root)}", todo=todo)
    root = root or os.environ.get(KEPT_VARIABLE)
    found = program.find(command[0], root)
    guest = found.guest
    qemu, version, api = find_qemu(f"qemu-{guest.name}", QEMU_PACKAGE, build.APIS[:1])  # Debian's newer: no plugins
    plugin = build.plugin(build.USER, api, guest.bits)
    if os.path.exists(output) and os.path.samefile(output, found.path):
        raise MmuexpError(
            "is the program that is to be recorded", where=output, todo=f"say {option('output', 'FILE.arrow')}"
        )
    refuse_inputs([*found.arguments, *command[1:]], output)
    start = waits_for = ""
    if start_at_pc is not None:
        if skip:
            what = f"rows begin by {option('skip', '')} or by {option('start_at_pc', '')}"
            raise UsageError(what, where="record", todo="give one of them")
        address, in_code = symbols.find(found, start_at_pc)
        start, waits_for = f",start={address},in_code={int(in_code)}", f"{start_at_pc} was never executed"
    metadata = metadata_of(guest, command, version, licence, skip) | {"program.sha256": digest(found.path)}
    with TraceWriter(output, mode="user", metadata=metadata, recording=True, force=force) as writer:
        tell_of_kept(writer, note)
        how: dict[str, Any] = {"limit": limit, "seconds": seconds, "waits_for": waits_for, "start": start, "note": note}
        session = Session(writer, Mode.USER, guest.bits, skip=skip, **how)
        settings = ["-seed", SEED, "-0", found.name]
        if root:
            settings += ["-L", root, *(libraries.guest_environment(root, found.path, guest) if found.loader else [])]
            session.at_end = lambda: _from_outside(session, root, found.loader)
        words = [qemu, *settings, "-plugin", session.plugin_option(plugin), found.path, *found.arguments, *command[1:]]
        return run(session, words, clean_environment(note))


def _from_outside(session: Session, root: str, loader: str | None) -> dict[str, str]:
    """Tell the metadata of libraries that were not found below -L; a line says it, too."""
    loaded = session.ring.loaded
    if loader and not os.path.exists(os.path.join(root, loader.lstrip("/"))):
        loaded = [loader, *loaded]
    found = libraries.outside(root, loaded)
    if not found:
        return {}
    session.note(f"loaded from outside {root}: {', '.join(map(utf8, found))}")
    return {"outside_root": shell_line(found)}


def refuse_inputs(words: Sequence[str], output: str) -> None:
    """Raise UsageError if a file that is named among the arguments, as FILE or in KEY=FILE,... is the output."""
    for word in words:
        for part in (word, *re.split("[,=]", word)):
            refuse_itself(part, output, "is named by the command that is to be recorded")


def tell_of_kept(writer: TraceWriter, note: Callable[[str], None]) -> None:
    """Say where the rows are that an earlier recorder left, which was killed."""
    if writer.kept:
        note(f"a recorder that was killed left rows, now in {writer.kept}; mmuexp trace recover {writer.kept} -o NEW")


def clean_environment(note: Callable[[str], None]) -> dict[str, str]:
    """Copy our environment without the options of QEMU that are in it, of which `note` gets a line."""
    ours = {name for name in os.environ if name.startswith("QEMU_") and name != KEPT_VARIABLE}
    if ours:
        note(f"{', '.join(sorted(ours))}: left out of the environment, because QEMU takes it for an option")
    return {name: text for name, text in os.environ.items() if name not in ours}


def run(session: Session, command: Sequence[str], environment: dict[str, str] | None = None) -> Recording:
    """Start QEMU, in our environment or the one that is given, and record it to its end.

    Raises `MmuexpError` when it cannot be started.
    """
    try:
        session.start(command, environment)
        return session.watch()
    except OSError as error:  # the system refused a process or a descriptor: nothing ran
        session.writer.abort()
        raise MmuexpError(f"cannot start: {error.strerror}", where=command[0]) from None
    finally:
        session.end()


def metadata_of(guest: Guest, command: Sequence[str], version: str, licence: str | None, skip: int) -> dict[str, str]:
    """Make what the file says about where it came from."""
    metadata = {
        "guest": guest.name,
        "recorder": f"{recorder_name()}; {version}",
        "command": shell_line(command),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if licence:
        metadata["licence"] = licence
    if skip:
        metadata["skip"] = str(skip)  # `trace recover` knows the window by it, should we be killed
    return metadata


def find_qemu(name: str, package: str, known: Sequence[int] = build.APIS) -> tuple[str, str, int]:
    """Find a QEMU: its path and version line, and the `known` version of the plugin interface that it offers.

    Raises `MmuexpError` when it is missing or offers none of them.
    """
    path = shutil.which(name)
    if path is None:
        raise MmuexpError(f"no {name} in PATH", todo=f"install it (Debian: apt-get install {package})")
    done = subprocess.run([path, "--version"], capture_output=True, text=True)
    line = (done.stdout.splitlines() or [""])[0].strip()
    found = re.search(r"version (\d+)\.(\d+)", line)
    if done.returncode or not found:
        raise MmuexpError("does not answer to --version as QEMU does", where=path)
    number = int(found[1]), int(found[2])
    api = 1 if number < (9, 0) else 2 if number < (9, 1) else 3
    if api not in known:
        wanted = " or ".join(map(str, known))
        what = f"QEMU {found[1]}.{found[2]} does not have version {wanted} of the plugin interface"
        todo = "QEMU 5.2 to 8.2 have it" if known == (1,) else "QEMU 5.2 to 8.2 have 1, QEMU from 9.1 on has 3"
        raise MmuexpError(what, where=path, todo=todo)
    return path, line, api


def recorder_name() -> str:
    from mmuexp.version import version

    return f"mmuexp {version()} (plugin {build.source_hash()})"
