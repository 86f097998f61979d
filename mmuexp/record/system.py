"""`record_system(...)`: runs a whole guest under qemu-system-i386 or qemu-system-x86_64 and writes all that its
processor does as a trace.

QEMU's arguments are the user's own. We add what a recording needs: one thread that runs the guest, and RAM in shared
memory, by which the plugin knows pages. The processor's own accesses make no rows: page walks, and what it reads and
writes when it delivers an interrupt or an exception. A store to ROM is a row like any other, without effect.

What differs with QEMU's version (7.2 and 10.0 are tested): from 9.1 on plugins see registers, so FLUSH rows carry the
value that CR3 is loaded with, and 0 before. Older ones are asked whether their table of translations was emptied, which
also tells of memory that a device rearranges; where the answer is open, the row is counted in `mmuexp.flushes_unsure`.
A guest of 64 bits may have 1 TiB of RAM, and touch 2**22 virtual pages in one recording; QEMU before 8.2 (7.2: before
7.2.10) does not tell its code of 64 bits from other code, and is refused.
From 9.1 on pages have their guest-physical numbers, and ROM that RAM may replace has one of its own; and each INVLPG is
a FLUSH_PAGE row, where older ones show a page's change alone.
From 8.2 on, and with -icount in any, each device access ends its block and begins another with what is left of it, so
there are more EXEC rows.
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from mmuexp.errors import MmuexpError, UsageError, option
from mmuexp.guest import PAGE_BYTES
from mmuexp.record import build
from mmuexp.record.console import Console, wanted
from mmuexp.record.elf import ELF_MAGIC, GUESTS, I386
from mmuexp.record.qemu import find_qemu, metadata_of, refuse_inputs, run, tell_of_kept
from mmuexp.record.ring import Mode
from mmuexp.record.session import Recording, Session
from mmuexp.trace import TraceWriter

QEMU_PACKAGE = "qemu-system-x86"
MOST_RAM = {32: 1 << 32, 64: 1 << 40}  # bytes, by the width of the guest: the plugin numbers its pages (pages.h)
DEFAULT_RAM = 128 << 20  # bytes: QEMU's own default
UNITS = {"": 20, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}  # of -m: log2 bytes; a bare number is MiB
NEWER = "QEMU from 9.1 on does (Debian 12: apt-get install -t bookworm-backports qemu-system-x86)"
REFUSED = {
    "accel": "the guest is recorded under -accel tcg,thread=single",
    "enable-kvm": "KVM runs the guest on the processor itself: nothing to record",
    "daemonize": "the recorder watches QEMU, which must stay in the foreground",
    "plugin": "the recorder's own plugin is the only one",
}


def record_system(
    arguments: Sequence[str],
    output: str,
    *,
    skip: int = 0,
    limit: int | None = None,
    seconds: float | None = None,
    licence: str | None = None,
    force: bool = False,
    guest: str | None = None,
    start_on_output: str | None = None,
    stop_on_output: str | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Recording:
    """Run `qemu-system-i386 ARGUMENTS`, or the QEMU of another `guest`, and write the guest's rows to `output`.

    The first `skip` rows are left out; what follows begins with MAP rows for the pages that are known by then, which
    `limit` does not count. Skipping counts the rows that recording would make, exactly, for a guest that drops the
    translation of a page in use when it moves the page (`plugin/pages.h`). After `limit` rows, or `seconds` of QEMU's
    running, the guest is ended. An earlier recording is replaced only with `force`, and only when this one has rows.
    With `start_on_output` rows begin, as after `skip`, when QEMU has printed that text, and with `stop_on_output` they
    end so, and the guest: `console.py` says how exactly.

    Raises `MmuexpError` before the guest starts: no QEMU, no compiler, an argument that cannot be recorded, more than
    one processor, an output that cannot be written.
    """
    if output == "-":
        raise MmuexpError(
            "a recording cannot go to stdout, which is QEMU's", todo=f"say {option('output', 'FILE.arrow')}"
        )
    which = GUESTS.get(guest or I386.name)
    if which is None:
        todo = f"known: {', '.join(GUESTS)}"
        raise UsageError("is not a guest that is known here", where=option("guest", guest), todo=todo)
    name = f"qemu-system-{which.name}"
    qemu, version, api = find_qemu(name, QEMU_PACKAGE)
    machine = machine_arguments(arguments, MOST_RAM[which.bits])
    plugin = build.plugin(build.SYSTEM, api, which.bits)
    start, stop = wanted(start_on_output, option("start_on_output")), wanted(stop_on_output, option("stop_on_output"))
    if start and skip:
        what = f"rows begin by {option('skip', '')} or by {option('start_on_output', '')}"
        raise UsageError(what, where="record", todo="give one of them")
    refuse_inputs(arguments, output)
    metadata = metadata_of(which, [name, *arguments], version, licence, skip)
    with TraceWriter(output, mode="system", metadata=metadata, recording=True, force=force) as writer:
        tell_of_kept(writer, note)
        waits_for = f"{start_on_output!r} was not printed by -serial stdio or -nographic" if start else ""
        how: dict[str, Any] = {"limit": limit, "seconds": seconds, "waits_for": waits_for, "note": note}
        session = Session(writer, Mode.SYSTEM, which.bits, skip=skip, **how)
        if start or stop:
            session.console = Console(session.ring, start, stop, session.signals.waker)
        done = run(session, [qemu, *machine, "-plugin", session.plugin_option(plugin), *arguments])
    if unsure := session.ring.flushes_unsure:
        note(f"of {unsure:,} FLUSH rows this QEMU did not tell whether it dropped anything; {NEWER}")
    return done


def machine_arguments(arguments: Sequence[str], most_ram: int = MOST_RAM[32]) -> list[str]:
    """Make what QEMU is told before the user's arguments. Raises UsageError: what those say cannot be recorded."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        if not before.startswith("-") and _is_program(word):  # QEMU takes it for a disk, and would never end
            todo = "leave --system out, or give a kernel with -kernel"
            raise UsageError("is a program, not a disk", where=word, todo=todo)
    options = [(word.lstrip("-"), value) for word, value in _pairs(arguments)]
    for name, value in options:
        if name in REFUSED:
            raise UsageError(REFUSED[name], where=f"-{name}")
        if name == "smp" and _processors(value) > 1:
            what = "more than one processor: their accesses have no one order"
            raise UsageError(what, where=f"-smp {value}", todo="leave -smp out")
        if name in ("machine", "M") and re.search(r"(^|,)accel=(?!tcg)", value):
            raise UsageError(REFUSED["accel"], where=f"-{name} {value}")
    ram = _ram_bytes([value for name, value in options if name == "m"])
    if ram > most_ram:
        pages = f"2**{(most_ram // PAGE_BYTES).bit_length() - 1}"
        what = f"{ram >> 20} MiB of RAM: the format numbers {pages} physical pages, {most_ram >> 20} MiB"
        raise UsageError(what, where="-m")
    settings = ["-accel", "tcg,thread=single"]
    if any(name in ("machine", "M") and "memory-backend=" in value for name, value in options):
        return settings
    backend = f"memory-backend-memfd,id=mmuexp-ram,size={ram},share=on"
    return [*settings, "-object", backend, "-machine", "memory-backend=mmuexp-ram"]


def _is_program(word: str) -> bool:
    try:
        with open(word, "rb") as file:
            return not word.startswith("-") and file.read(len(ELF_MAGIC)) == ELF_MAGIC
    except (OSError, ValueError):
        return False


def _pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Yield each option with the word after it, which is its value if it takes one."""
    following = [*arguments[1:], ""]
    return [(word, value) for word, value in zip(arguments, following, strict=True) if word.startswith("-")]


def _processors(value: str) -> int:
    """Count the processors of -smp 4, -smp cpus=4,..., -smp sockets=2,cores=2; hotpluggable ones count."""
    keys = dict((part if "=" in part else f"cpus={part}").split("=", 1) for part in value.split(","))
    numbers = {key: int(text) for key, text in keys.items() if text.isdigit()}
    product = 1
    for key in ("sockets", "dies", "cores", "threads"):
        product *= numbers.get(key, 1)
    return max(numbers.get("cpus", 1), numbers.get("maxcpus", 1), product)


def _ram_bytes(values: list[str]) -> int:
    """Read the RAM of the last -m as QEMU does: a number of MiB, or with a unit; `size=` may stand before it."""
    if not values:
        return DEFAULT_RAM
    parts = values[-1].split(",")
    size = next((part.removeprefix("size=") for part in parts if part.startswith("size=") or "=" not in part), "128")
    found = re.fullmatch(r"(\d+)([bkmgt]?)", size.lower())
    if not found:
        raise UsageError(f"is not a size: {size!r}", where="-m")
    bytes_ = int(found[1]) << UNITS[found[2]]
    return -(-bytes_ // 8192) * 8192  # QEMU rounds up so


def default_output(arguments: Sequence[str]) -> str:
    """Name the trace after what is booted, else guest.arrow."""
    for word, value in _pairs(arguments):
        if word.lstrip("-") in ("bios", "kernel", "cdrom", "fda", "hda") and value:
            return os.path.basename(value) + ".arrow"
    return "guest.arrow"
