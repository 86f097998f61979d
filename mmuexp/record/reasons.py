"""Says why a recording ends before what it records does, in words for the user and the file."""

from mmuexp.record.ring import Ended

# what `mmuexp.complete` says, and the line on stderr, when rows end before the program does
CUT = {
    Ended.THREADS: "the program has more threads at a time than are numbered (65,536)",
    Ended.SOCKET: "the program closed the recorder's socket",
    Ended.VCPUS: "the guest has more than one processor: their accesses have no one order",
    Ended.QEMU: "this QEMU tells addresses in a way that is not known here (known: QEMU 5.2 to 8.0, and from 9.1 on)",
    Ended.RAM: "the guest's RAM is not shared memory (memory-backend-file or -memfd with share=on)",
    Ended.PAGES: "the guest touched more physical pages than are numbered ({pages}, 196,608 of them outside its RAM)",
    Ended.VPAGES: "the guest touched more virtual pages than are numbered ({pages})",
}
STOPPED = "the text of --stop-on-output was printed"
EXEC = "the program executed another program"


def cut(ended: Ended, bits: int) -> str:
    """Say why the plugin made no more rows of a guest of so many bits."""
    return CUT[ended].format(pages="2**22" if bits == 64 else "2**20")
