"""Import lists of addresses, as courses hand them out: `--columns` says what stands where.

    00418f2c R             --columns ao      a address, o operation
    l 0xDEADBEEF 4         --columns oa-     - something else
    0 R 10                 --columns toa     t thread
    W 3212859348           --columns oa --decimal
    0x7ffe10c8,store,8     --columns aos     s bytes, decimal

Columns are parted by blanks, or by one comma, colon, semicolon or bar. Operations, in capitals or not: r l read load
ld; w s write store st; m, which is both; i ifetch, which are left out. Lines that begin with # are remarks.
"""

import re
from collections.abc import Callable
from typing import Any

from mmuexp.errors import UsageError, option
from mmuexp.trace.importers import Options, Told
from mmuexp.trace.importers.rows import Rows
from mmuexp.trace.importers.text import Layout, Refused, Text

OPTIONS = ("thread", "interleave", "size", "skip_foreign", "columns", "decimal")
MEANINGS = "a address, o operation, t thread, s bytes, - something else"
OPERATIONS = "r l read load ld w s write store st m i ifetch"


def read(source: Any, rows_of: Callable[[str], Rows], options: Options) -> Told:
    """Give the list's lines to rows. Raises TraceError with the line's number, UsageError for columns that are none."""
    from mmuexp.trace.importers import addresses_scan as scan

    spec = options.columns or ""
    codes = _codes(spec, scan)
    layout = Layout(
        scan.parse,
        "address list",
        f"{len(spec)} columns, {option('columns', spec)}",
        lambda line, why: _explain(line, spec, options.decimal),
        f"say what its columns are with {option('columns', '')}: {MEANINGS}",
        "instructions left out: an address list tells no lengths",
    )
    text = Text(source, rows_of("line"), options, layout, (len(spec), codes, int(options.decimal), 0))
    told = text.read(columns=spec)
    if not options.decimal and told.units and not text.state[scan.LETTERS]:
        remark = f"no address has a letter: if they are decimal, import again with {option('decimal', True)}"
        told = told._replace(remarks=(*told.remarks, remark))
    return told


def _codes(spec: str, scan: Any) -> int:
    """What each column is, 3 bits each."""
    shown, todo = option("columns", spec), f"name each column in its order: {MEANINGS}, as in oa"
    if not spec:
        raise UsageError(f"an address list needs {option('columns', '')}", todo=todo)
    known = {"-": scan.OTHER, "a": scan.ADDRESS, "o": scan.OPERATION, "t": scan.THREAD, "s": scan.SIZE}
    if unknown := [one for one in spec if one not in known]:
        raise UsageError(f"{shown} has {unknown[0]!r}, which is not a column", todo=todo)
    if twice := [one for one in "aots" if spec.count(one) > 1]:
        raise UsageError(f"{shown} has {twice[0]!r} twice", todo=todo)
    if missing := [one for one in "ao" if one not in spec]:
        raise UsageError(f"{shown} has no {missing[0]!r}", todo=todo)
    if len(spec) > scan.MOST_COLUMNS:
        raise UsageError(f"{shown} names more than {scan.MOST_COLUMNS} columns", todo="leave out columns of the file")
    return sum(known[one] << 3 * place for place, one in enumerate(spec))


def _explain(line: bytes, spec: str, in_decimal: bool) -> Refused | None:
    """What is wrong with a line: how many columns it has, or the first one that does not hold what it should."""
    fields = re.split(r"\s*[,:;|]\s*|\s+", line.decode("utf-8", "replace").strip())
    count = f"{len(fields)} column{'s' if len(fields) > 1 else ''}"
    if len(fields) != len(spec):
        more = f"; a - stands for one that is not needed: {spec + '-' * (len(fields) - len(spec))}"
        todo = f"name each column in its order: {MEANINGS}{more if len(fields) > len(spec) else ''}"
        return Refused(f"has {count}, where {option('columns', spec)} names {len(spec)}", todo)
    shapes = {
        "a": (r"\d+", "decimal address") if in_decimal else (r"(0[xX])?[0-9a-fA-F]+", "hexadecimal address"),
        "o": (OPERATIONS.replace(" ", "|"), f"operation ({OPERATIONS})"),
        "t": (r"\d+|0[xX][0-9a-fA-F]+", "number of a thread"),
        "s": (r"\d+", "decimal number of bytes"),
    }
    for place, (one, field) in enumerate(zip(spec, fields, strict=True)):
        shape, words = shapes.get(one, (".*", ""))
        if not re.fullmatch(shape, field, re.IGNORECASE):
            todo = f"mend {option('columns', spec)}, or leave such lines out: {option('skip_foreign', True)}"
            return Refused(f"has no {words} in column {place + 1}", todo)
    return None
