"""Import what `valgrind --tool=lackey --trace-mem=yes PROGRAM` prints: one line for each instruction and access.

    I  04001234,3      an instruction: address in hex, bytes
     L 1ffeffe7,8      a load; S a store, M both

Lackey knows no blocks: an EXEC row is the longest run of consecutive instructions, as rows_scan.py makes them. It does
not say which machine it ran on.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mmuexp.errors import TraceError, option
from mmuexp.trace.importers import Note, Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.source import Sample, quoted

OPTIONS = ("skip_foreign",)
NOTHING = "was valgrind run with --trace-mem=yes?"
MOST_LINE_BYTES = 1 << 20
BANNER_BYTES = 4096
OWN = re.compile(rb"(==|--|\*\*)[\d:. ]*\d\1|(I |SB| [LSM]) [0-9a-fA-F]+|[ ]?[ILSM] [0-9a-fA-F]{3,16}[ \t]*$")
RECORD = "valgrind --tool=lackey --trace-mem=yes --log-file=FILE"


def looks_like(sample: Sample) -> bool:
    """The first line is lackey's, or more than half of the first ones are: a program may have printed before."""
    lines = [line for line in sample.lines if line.strip()]
    if not lines:
        return False
    return bool(OWN.match(lines[0])) or sum(bool(OWN.match(line)) for line in lines) * 2 > len(lines)


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give lackey's lines to rows. Raises TraceError with the line's number."""
    text = _Text(source.name, rows_of("line"), options.skip_foreign)
    before = b""
    for data in source.chunks():
        text.feed(before, final=False)
        before = data
    text.feed(before, final=True)
    return text.told()


class _Text:
    def __init__(self, where: str, rows: Rows, skip_foreign: bool):
        from mmuexp.trace.importers import lackey_scan as scan

        self.scan, self.where, self.rows, self.skip_foreign = scan, where, rows, skip_foreign
        self.state = np.zeros(scan.STATE_WORDS, np.int64)
        self.line, self.rest, self.banner = 0, b"", b""

    def feed(self, data: bytes, final: bool) -> None:
        """The next bytes of the text. What lies after the last whole line waits for more."""
        self.banner += data[: BANNER_BYTES - len(self.banner)]
        data = self.rest + data
        array, at = np.frombuffer(data, np.uint8), 0
        while True:
            rows = self.rows
            events, used, lines, why = self.scan.parse(
                array[at:], final, self.skip_foreign, self.state, *rows.events, rows.held, self.line
            )
            self.line += lines
            at += used
            rows.add(events)
            if why:
                raise self._refusal(why, data[at:], final)
            if events < len(rows.events.kinds):
                break
        self.rest = data[at:]
        if len(self.rest) > MOST_LINE_BYTES:
            raise self._refusal(self.scan.MALFORMED, self.rest, False)

    def told(self) -> Told:
        """What is known of the whole text."""
        scan, state, keys = self.scan, self.state, {}
        if found := re.search(rb"^==[^\n]*\d== Command: (.*?)\r?$", self.banner, re.MULTILINE):
            keys["command"] = found[1].decode("utf-8", "replace")
        if found := re.search(rb"Using (Valgrind-[^ ;]+)", self.banner):
            keys["recorder_version"] = found[1].decode("utf-8", "replace")
        complete = "yes" if state[scan.ENDED] else "the log has no end" if state[scan.BANNERS] else None
        foreign = Note("left_out_lines", int(state[scan.FOREIGN]), "lines that are not lackey's left out")
        return Told("valgrind lackey", self.line, keys, complete, (foreign,))

    def _refusal(self, why: int, rest: bytes, final: bool) -> TraceError:
        scan, skip = self.scan, option("skip_foreign", True)
        line, end, _ = rest.partition(b"\n")
        shown, shape = quoted(line.removesuffix(b"\r")), "expected 'I  ADDR,SIZE' or ' L|S|M ADDR,SIZE'"
        what, todo = {
            scan.MALFORMED: (
                f"{shown} is not lackey's: {shape}",
                f"record with {RECORD} (the program's output stays out), or leave such lines out: {skip}",
            ),
            scan.THIRD_COLUMN: (
                f"{shown} has a third column: {shape}",
                "cut it off, as `cut -d' ' -f1-3` or an editor does",
            ),
            scan.TWO_PROCESSES: (
                f"{quoted(line)} is of a second process; the first one was {self.state[scan.PID]}",
                "give each process a log of its own: valgrind --log-file=lackey.%p",
            ),
            scan.PAGES: (
                f"{shown} has no size: the file holds pages, not accesses",
                f"record with {RECORD}, or read it as a list of addresses: {option('columns', 'oa')}",
            ),
        }[why]
        if why in (scan.MALFORMED, scan.PAGES) and final and not end and self.line:
            what = f"{quoted(line)} ends within a line: the log was cut"
            todo = f"record it again, or leave that line out: {skip}"
        return TraceError(f"line {self.line + 1:,} {what}", where=self.where, todo=todo, row=self.line)
