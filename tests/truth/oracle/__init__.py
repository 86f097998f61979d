"""The oracle: counts what MODEL.md says, written apart from the package and by plainer means.

    run(rows, "map-block,map_block_bits=14", "user") -> {"rows": 7, "accesses": 5, ...}

Rows are tuples (op, vaddr, size, insns, flags, page). Dictionaries and sets stand for tables; nothing is fast.
An empty column is None. Three columns more than the contract's say which host calls were made: mmap_calls
(1 for each fault that maps), mprotect_calls (faults_write, faults_code, protects) and munmap_calls (the rest).
Parts: guest (sections 1 and 2), far (mmuexp/replay/farcode.py), softmmu (3), reserve (2, the mmap schemes), code_pages
(the parameter `code`), mmap (4-6), softmmu_qemu10, direct (fastmem, views), page_table. A scheme's own columns follow
the others'. Its readings stand here, or in the file that has the scheme.

Readings, where MODEL.md is silent or can be read in two ways:

* evict=random: x = 1 at first; where a block is needed and no slot is free, x = (x * 1664525 + 1013904223) mod 2**32
  and the victim is slot (x * pool_blocks) >> 32. FLUSH leaves x alone. Under every policy free slots are taken in
  slot order; fifo then goes round the slots, lifo takes the slot that was allocated last.
* table_lines: each table begins on a 64-byte line. The hit path runs once for each access that is not IO, at its
  first byte. byte-lookup reads a base before the fault and after it; a crossing access is not restarted.
  qemu-fast has no table: 0, also for its spells.
* map_pages: the page that faulted is finished first (blocks dropped, dirty), then its neighbours are mapped as by a
  load. The group is clipped to the block's own pages; the extra page is a group of its own. It applies to
  faults_block as to faults_unmapped. Known in a user-mode trace: an earlier row touched the page, FLUSH or not.
* Errors beyond the page's list: a LOAD or STORE of size 0 or above 64, an EXEC that reaches a third page, a MAP that
  begins no page. MAP of what is known already, unchanged, is none; an IO row is judged by its first page alone.
  IO means something on LOAD, STORE and EXEC rows only.
* mode_switches compares the flags as written; user-mode traces run in user mode whatever the flags say.
* qemu-fast, kernel_offset: the error is an access, not in a spell, that finds its host page mapped for another
  virtual page at that moment. FLUSH_PAGE reaches a page unmoved, moved, and page 0 after the moved page 0xfffff.
* A block that crosses between two virtual pages of one physical page lies in that page twice, with both ranges.
* A store that is noticed on a code page makes it dirty too; in a spell a store that hits the TLB finds it dirty.
* Code and dirty bits belong to physical pages: FLUSH, FLUSH_PAGE and MAP leave them alone, and bitmaps as well.
  The number of instructions is not a part of a block's key; the EXEC that translates gives translated_insns.
* A crossing access under softmmu is finished page by page too: lookup and store of the low page, then of the high.
* Guests of 64 bits: sizes, and the entries that clear=memset clears, are those of the bits that all rows show, also
  for a FLUSH that stands before the row that shows them. A default that is another one for them stands for that also
  where somebody writes it out.
* table_resident_bytes: the handler's writes are those of a fault or a helper; IO rows read no table.
* pool_mib counts whole blocks, extra pages included, and replaces pool_blocks. A guest_limit inside a page leaves that
  page in the reserve. FLUSH under map-block makes a call for a block in use even when no page of it is mapped.
"""

from collections.abc import Iterable
from types import ModuleType

from truth import schemes
from truth.oracle.code_pages import CHECKS
from truth.oracle.far import Executions
from truth.oracle.guest import EXEC, FLUSH, FLUSH_PAGE, LOAD, MAP, PAGE, STORE, Guest, Refused, TraceError
from truth.oracle.reserve import CALLS

__all__ = ["CALLS", "COLUMNS", "TraceError", "columns", "new", "parse", "run", "step"]

_COLUMNS = """rows accesses loads stores execs guest_insns misaligned page_cross io_accesses flushes page_flushes
    pages mode_switches faults faults_unmapped faults_block faults_write faults_code faults_cross faults_io
    faults_softmmu tlb_fills slow_misaligned slow_cross slow_io slow_code code_list_walks softmmu_accesses translations
    translated_insns smc_stores code_page_data_stores protects maps unmaps host_calls evictions peak_mappings
    table_bytes table_lines reserved_bytes blocks_dropped retranslated_insns
    far_accesses table_resident_bytes cold_accesses searched_blocks
    split_mappings"""
COLUMNS = _COLUMNS.split()


def parse(spec: str) -> tuple[str, dict[str, int | str]]:
    """A spec's scheme and its parameters; keys in any case, integers also in hexadecimal."""
    name, *options = spec.split(",")
    values: dict[str, int | str] = {}
    for option in options:
        key, _, value = option.partition("=")
        key = key.strip().lower()
        values[key] = int(value, 0) if value[:1].isdigit() else value
    return name, values


def _file(name: str) -> ModuleType:
    """The file of a scheme."""
    return schemes.FILES[name]


def columns(spec: str) -> list[str]:
    """Every column that a scheme is counted in: those of all schemes, its own, and those of `code` where it is told."""
    name, options = parse(spec)
    own = getattr(_file(name), "OWN", [])
    return [
        *COLUMNS,
        *CALLS,
        *own,
        *(column for column in CHECKS if options.get("code", "page") != "page" and column not in own),
    ]


def new(spec: str, mode: str, trace_bits: int = 32) -> tuple[Guest, object]:
    """A guest that has done nothing, and the scheme that serves it; the guest holds the counts of both."""
    name, options = parse(spec)
    guest = Guest(mode, dict.fromkeys(columns(spec), 0), trace_bits)
    return guest, _file(name).ORACLE(guest, **options)


def run(rows: Iterable[tuple[int, ...]], spec: str, mode: str, trace_bits: int = 32) -> dict[str, int | None]:
    """Every integer column of the contract for this trace under this scheme; TraceError for a row that is an error."""
    guest, scheme = new(spec, mode, trace_bits)
    n, executions = guest.n, Executions()
    for index, row in enumerate(rows):
        try:
            step(guest, scheme, *row)
        except Refused as reason:
            raise TraceError(index, str(reason)) from None
        scheme.row_done()
        executions.row(row[0], row[1], row[4])
        n["rows"] += 1
    n["far_accesses"], n["cold_accesses"] = executions.far(), executions.cold()
    n["pages"] = len(guest.data_pages)
    n.update(scheme.totals())
    empty = [*_file(parse(spec)[0]).EMPTY, *getattr(scheme, "lacks", ())]
    assert not any(n[column] for column in empty), "an event in a column that the scheme does not have"
    return n | dict.fromkeys(empty)


def step(guest: Guest, scheme, op: int, vaddr: int, size: int, insns: int, flags: int, page: int) -> None:
    """One row."""
    if op in (LOAD, STORE, EXEC, FLUSH_PAGE, MAP):
        guest.see(vaddr, size if op in (LOAD, STORE, EXEC) else 0)
    if op in (LOAD, STORE):
        access = guest.access(vaddr, size, op == STORE, insns, flags)
        scheme.access(access)
        for piece in access.pieces:
            guest.touched.add(piece[0])
    elif op == EXEC:
        fresh, pages = guest.execute(vaddr, size, insns, flags)
        for frame in fresh:
            scheme.protect(frame)
        scheme.executed()
        guest.touched.update(pages)
    elif op == FLUSH:
        guest.n["flushes"] += 1
        guest.frame_of.clear()
        guest.flushed = vaddr, size
        scheme.flush()
    elif op == FLUSH_PAGE:
        guest.n["page_flushes"] += 1
        guest.frame_of.pop(vaddr // PAGE, None)
        scheme.flush_page(vaddr // PAGE)
    elif op == MAP:
        if guest.map(vaddr, page):
            scheme.mapped(vaddr // PAGE)
    elif op < 128:
        raise Refused(f"op {op} is reserved")
