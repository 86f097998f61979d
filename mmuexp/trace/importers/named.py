"""Names the files of other tools that are not recordings of all accesses, and lists whose columns are to be named.

What looks like one of them is refused with what it is: read as something else it would make a trace, of accesses that
nobody made.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmuexp.errors import option
from mmuexp.trace.importers.source import Sample, quoted

LOOKED_AT = 200  # lines
BEHIND_CACHES = "a trace of memory behind caches, with physical addresses: most accesses are missing"
REQUESTS = "requests to a cache or disk, not memory accesses"
RECORD = "record the program with one of the tools in docs/importing.md"
MOSTLY = 10  # of so many lines of a table one may be something else
LINE_BYTES = 64  # of a cache: what lies behind one asks for whole lines

OPERATION = re.compile(rb"r|l|read|load|ld|w|s|write|store|st|m|i|ifetch", re.IGNORECASE)
HEX = re.compile(rb"(0x)?[0-9a-f]{1,16}", re.IGNORECASE)
REQUESTED = rb"\b(obj(ect)?(_?id)?|lba|blkno|next_access_vtime)\b"  # columns of libCacheSim's tables
APART = re.compile(rb"\s*[,:;|]\s*|\s+")


class Named(NamedTuple):
    """What a file looks like, and what to do."""

    what: str
    todo: str


def named(sample: Sample) -> Named | None:
    """What a file of no format looks like; None if like nothing known."""
    lines = [line.strip() for line in sample.lines if line.strip() and not line.lstrip().startswith(b"#")][:LOOKED_AT]
    found = next(filter(None, (look(sample, lines) for look in LOOKS)), None)
    if found is None or not lines:
        return found
    at = next(at for at, line in enumerate(sample.lines) if line.strip() == lines[0])
    return found._replace(what=f"line {at + 1:,} is {quoted(sample.lines[at])}: {found.what}")


def _all(pattern: bytes, lines: list[bytes]) -> bool:
    shape = re.compile(pattern)
    return bool(lines) and all(shape.fullmatch(line) for line in lines)


def _most(part: int, whole: int) -> bool:
    return part * MOSTLY >= whole * (MOSTLY - 1)


def _match(shape: re.Pattern, column: Sequence[bytes]) -> bool:
    return _most(sum(bool(shape.fullmatch(field)) for field in column), len(column))


def _perf(sample: Sample, lines: list[bytes]) -> Named | None:
    if sample.head.startswith((b"PERFILE2", b"2ELIFREP")) or any(b"PERF_RECORD_" in line for line in lines):
        return Named("looks like perf's: perf samples accesses, and a trace needs all of them", RECORD)
    return None


def _gem5(sample: Sample, lines: list[bytes]) -> Named | None:
    if sample.head.startswith(b"gem5"):
        return Named("looks like a packet or elastic trace of gem5: it is not read yet", RECORD)
    return None


def _requests(sample: Sample, lines: list[bytes]) -> Named | None:
    """libCacheSim's: oracleGeneral and vscsi by name, its tables by their heads."""
    first = sample.lines[0].lower() if sample.lines else b""
    told = re.search(r"oraclegeneral|vscsi|\.lcs\b", sample.name, re.IGNORECASE) is not None
    told = told or (b"," in first and re.search(REQUESTED, first) is not None)
    if told or _all(rb"\d+(\.\d+)?(,\s*\d+){2,}", lines):
        todo = f"{RECORD}; if it holds addresses of a program, name its columns: {option('columns', '')}"
        return Named(f"looks like libCacheSim's: {REQUESTS}", todo)
    return None


def _behind_caches(sample: Sample, lines: list[bytes]) -> Named | None:
    """Ramulator's two kinds and DRAMSim's. Digits alone are not told from din's, whose suffix is asked for."""
    if _all(rb"0[xX][0-9a-fA-F]+\s+(READ|WRITE|IFETCH|P_MEM_RD|P_MEM_WR|P_FETCH)\s+\d+", lines):
        return Named(f"looks like DRAMSim's: {BEHIND_CACHES}", RECORD)
    if _all(rb"\d+(\s+-?\d+){1,2}", lines):
        todo = f"{RECORD}; if it is Dinero's din, say so: {option('from_format', 'din')}"
        return Named(f"looks like Ramulator's: {BEHIND_CACHES}", todo)
    pairs = re.search(r"\.trace\b", sample.name) and _all(rb"0x[0-9a-fA-F]+\s+[RW]", lines)
    if pairs and all(int(line.split()[0], 16) % LINE_BYTES == 0 for line in lines):
        todo = f"{RECORD}; if it is a program's, name its columns: {option('columns', 'ao')}"
        return Named(f"looks like Ramulator's: {BEHIND_CACHES}", todo)
    return None


def _din(sample: Sample, lines: list[bytes]) -> Named | None:
    if _all(rb"[0-5]\s+(0[xX])?[0-9a-fA-F]{1,16}(\s.*)?", lines):
        return Named(
            "looks like Dinero's din, which the content does not tell", f"say so: {option('from_format', 'din')}"
        )
    if sample.head and not sample.is_text and re.search(r"\.din(\.\w+)?$", sample.name, re.IGNORECASE):
        return Named("looks like Dinero's binary form, which cuts addresses to 32 bits", "write it as din or xdin")
    return None


def _address_list(sample: Sample, lines: list[bytes]) -> Named | None:
    """A table in which one column holds operations and another hexadecimal addresses."""
    table = [APART.split(line) for line in lines]
    width = Counter(map(len, table)).most_common(1)[0][0] if table else 0
    table = [row for row in table if len(row) == width]
    if width < 2 or not _most(len(table), len(lines)):
        return None
    columns = list(zip(*table, strict=True))
    operations = [at for at, column in enumerate(columns) if _match(OPERATION, column)]
    numbers = [at for at, column in enumerate(columns) if _match(HEX, column) and at not in operations]
    if len(operations) != 1 or not numbers:
        return None
    address = max(numbers, key=lambda at: (columns[at][-1][:2].lower() == b"0x", len(columns[at][-1]), at))
    spec = "".join("o" if at in operations else "a" if at == address else "-" for at in range(len(columns)))
    digits = _match(re.compile(rb"\d+"), columns[address])
    letter = Counter(columns[operations[0]]).most_common(1)[0][0].decode()
    todo = f"name its columns: {option('columns', spec)} (a address, o operation, t thread, s bytes, - something else)"
    todo += f", and {option('decimal', True)} if addresses are decimal" if digits else ""
    return Named(f"looks like an address list ({letter} in column {operations[0] + 1})", todo)


LOOKS: list[Callable[[Sample, list[bytes]], Named | None]] = [
    _perf, _gem5, _requests, _behind_caches, _din, _address_list
]  # fmt: skip
