"""The loop of what `trace info` counts of accesses and blocks: one pass over valid rows."""

from mmuexp.guest import PAGE_BITS, PAGE_MASK, USER, Op
from mmuexp.native.jitcache import guarded, kept
from mmuexp.replay.pages import followed_by

LATER = 255  # a data row's position that says so
EXEC = int(Op.EXEC)  # the ops below it are LOAD and STORE
USER_FLAG = int(USER)

# Places in `state`; the last three are of the latest EXEC row: its last byte, its instructions, and whether the
# last of these has accessed data.
USER_ACCESSES, REPEATED, END, INSNS, ACCESSED = range(5)
PLACES = 5
BYTES_BITS = 16  # of a piece of a page: its first byte's address above, and below how many bytes it has
MOST_BYTES = (1 << BYTES_BITS) - 1


@guarded()
@kept
def scan(vaddrs, sizes, insns, ops, flags, step, state, access_sizes, code):
    """Count into `state`, `access_sizes` (rows by bytes) and `code` (1 for a page that a block begins or ends on).

    A block of one instruction that repeats the last one of the block before, which has accessed data, is another
    iteration of a rep (or an instruction that QEMU had to begin anew): a jump to itself accesses no data. A block ends
    where its last byte is. `step`: which page follows another (pages.py).
    """
    for i in range(len(ops)):
        if ops[i] < EXEC:
            access_sizes[sizes[i]] += 1
            state[USER_ACCESSES] += (flags[i] & USER_FLAG) != 0
            if insns[i] > 0 and (insns[i] == state[INSNS] or insns[i] == LATER):
                state[ACCESSED] = 1
        elif ops[i] == EXEC:
            start = int(vaddrs[i])
            end, page = start + int(sizes[i]) - 1, start >> PAGE_BITS
            if end >> PAGE_BITS != page:
                end = followed_by(page, step) << PAGE_BITS | end & PAGE_MASK
            code[page] = code[end >> PAGE_BITS] = 1
            state[REPEATED] += insns[i] == 1 and end == state[END] and state[ACCESSED] == 1
            state[END], state[INSNS], state[ACCESSED] = end, insns[i], 0


@guarded()
@kept
def join(pieces):
    """Join, in place, those of sorted pieces, each in one page, that overlap or touch. Returns how many are left."""
    left, first, end = 0, 0, 0
    for i in range(len(pieces)):
        begins = int(pieces[i]) >> BYTES_BITS
        if left == 0 or begins > end or begins >> PAGE_BITS != first >> PAGE_BITS:
            first, end, left = begins, begins, left + 1
        end = max(end, begins + (int(pieces[i]) & MOST_BYTES))
        pieces[left - 1] = first << BYTES_BITS | end - first
    return left
