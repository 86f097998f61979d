"""The loop that writes rows as lines of text: din, xdin or lackey's."""

import numpy as np

from mmuexp.guest import PAGE_BYTES, PAGE_MASK, Op
from mmuexp.native.jitcache import guarded, inside, kept

DIN, XDIN, LACKEY = 0, 1, 2  # how a line looks
LINE_BYTES = 32  # none is longer: a letter, 16 digits of an address, 5 of a size, what parts them
LOAD, STORE, EXEC, FLUSH, FLUSH_PAGE, OPS = 0, 1, 2, int(Op.FLUSH), int(Op.FLUSH_PAGE), 6
LETTERS = np.frombuffer(b"012rwivvLSI", np.uint8)
LETTERS_OF = (0, 3, 8)  # where a style's letters begin, in the order of ops
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)

# The open block, carried over calls: where it begins, its bytes, its instructions, how many of them are written.
BLOCK_AT, BLOCK_BYTES, BLOCK_INSNS, WRITTEN = range(4)
PLACES = 4


@inside
def _number(out, at, value, base, least):
    """Write a number of at least `least` digits; returns where it ends."""
    digits, rest = 1, value // base
    while rest:
        digits, rest = digits + 1, rest // base
    end = at + max(digits, least)
    for place in range(end - 1, at - 1, -1):
        out[place] = HEX[value % base]
        value //= base
    return end


@inside
def _line(out, at, style, op, address, size):
    letter = LETTERS[LETTERS_OF[style] + op]
    sixteen, ten = np.uint64(16), np.uint64(10)
    if style == LACKEY:
        out[at], out[at + 1], out[at + 2] = 32, 32, 32
        out[at if op == EXEC else at + 1] = letter
        at = _number(out, at + 3, address, sixteen, 8)
        out[at] = 44
        at = _number(out, at + 1, size, ten, 1)
    else:
        out[at], out[at + 1] = letter, 32
        at = _number(out, at + 2, address, sixteen, 1)
        if style == XDIN:
            out[at] = 32
            at = _number(out, at + 1, size, sixteen, 1)
    out[at] = 10
    return at + 1


@guarded()
@kept
def write_lines(style, vaddrs, sizes, insns, ops, start, final, state, left, out):
    """Write rows from `start` on as lines. Returns (rows consumed, bytes written).

    A block's instructions share its bytes evenly, for the row does not tell where each begins; an access stands behind
    as many of them as its position says. `left` counts by op what the format has no word for. `final` ends the block.
    """
    at, row = 0, start
    room = len(out) - 2 * LINE_BYTES
    while row < len(ops) or final:
        op = int(ops[row]) if row < len(ops) else EXEC
        upto = 0
        if op == EXEC:
            upto = state[BLOCK_INSNS]
        elif op <= STORE:
            upto = min(state[BLOCK_INSNS], int(insns[row]))
        while state[WRITTEN] < upto:
            if at > room:
                return row, at
            first = state[WRITTEN] * state[BLOCK_BYTES] // state[BLOCK_INSNS]
            after = (state[WRITTEN] + 1) * state[BLOCK_BYTES] // state[BLOCK_INSNS]
            at = _line(out, at, style, EXEC, np.uint64(state[BLOCK_AT] + first), np.uint64(after - first))
            state[WRITTEN] += 1
        if at > room:
            return row, at
        if row == len(ops):
            break
        address, size = np.uint64(vaddrs[row]), np.uint64(sizes[row])
        if op == EXEC:
            # a piece of an instruction has bytes and no instruction; no instruction is shorter than a byte
            state[BLOCK_AT], state[BLOCK_BYTES], state[WRITTEN] = np.int64(address), sizes[row], 0
            state[BLOCK_INSNS] = min(max(int(insns[row]), 1), int(sizes[row]))
        elif op <= STORE:
            at = _line(out, at, style, op, address, size)
        elif style == XDIN and op == FLUSH:
            at = _line(out, at, style, op, np.uint64(0), np.uint64(0))
        elif style == XDIN and op == FLUSH_PAGE:
            at = _line(out, at, style, op, address & ~np.uint64(PAGE_MASK), np.uint64(PAGE_BYTES))
        else:
            left[min(op, OPS)] += 1
        row += 1
    return row, at
