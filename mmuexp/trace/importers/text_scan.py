"""What the loops share that read text of one event a line or more: lines, words, numbers, threads.

A format's `parse` has `each_line` go from line to line, understands each, and gives what it finds to `take`. It returns
(bytes consumed, why): a line that does not end in this piece is left for the next call; so are all where there is no
more room (`has_room`); the first line not consumed is the one refused. `events` are the arrays of rows.Rows.
"""

from typing import NamedTuple

import numpy as np

from mmuexp.native.jitcache import inside
from mmuexp.trace.importers.rows_scan import END, INSTRUCTION, LAST, OPEN, OPEN_TAKEN

# Places in `state`, carried over calls. Up to SKIP they are set before the first: the thread that is wanted or ANY,
# whether a change of thread is no trouble, whether foreign lines are left out. Then: lines so far, events in the
# arrays, the thread of the latest event, whether several were met that nobody asked for, threads in the table;
# how many lines were left out as foreign, how many events the format has that are no access; accesses, those of no
# known size, instructions; whether the last line had no end; whether an end mark was seen. OWN and on are a format's.
WANTED, INTERLEAVE, SKIP = range(3)
(
    LINE, EVENTS, THREAD, SEVERAL, THREADS, FOREIGN, LEFT, ACCESSES, UNSIZED, INSTRUCTIONS, OPEN_END, ENDED
) = range(3, 15)  # fmt: skip
OWN, STATE_WORDS = 15, 23

ANY, NO_THREAD = -2, -1  # as a thread
MOST_THREADS = 4096
MALFORMED, CROWDED = 1, 2  # why a line is refused; a format's own reasons follow from FIRST_OWN on
FIRST_OWN = 3

MARGIN = 4096  # no line has so many events; as many places are free when one is read
BLANK, TAB, LINE_FEED, RETURN, HASH = 32, 9, 10, 13, 35
NO_DIGIT = 255
DIGITS = np.array(
    [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else NO_DIGIT for byte in range(256)], "u1"
)


class Threads(NamedTuple):
    """What was met of each thread, in order of first sight."""

    ids: np.ndarray  # int64[MOST_THREADS]
    instructions: np.ndarray  # int64
    accesses: np.ndarray  # int64


@inside
def has_room(events, state):
    """Can the arrays hold what another line tells?"""
    return state[EVENTS] + MARGIN <= len(events.kinds)


@inside
def line_end(data, at, length):
    """Find (end of the line's text without blanks behind it, first byte of the next line; 0 if the line has no end)."""
    end = at
    while end < length and data[end] != LINE_FEED:
        end += 1
    after = end + 1 if end < length else 0
    while end > at and (data[end - 1] == BLANK or data[end - 1] == TAB or data[end - 1] == RETURN):
        end -= 1
    return end, after


@inside
def skip_blanks(data, at, end):
    while at < end and (data[at] == BLANK or data[at] == TAB):
        at += 1
    return at


@inside
def is_blank(data, at):
    return data[at] == BLANK or data[at] == TAB


@inside
def hexadecimal(data, at, end):
    """Read (number, where it ends) with or without 0x; it ends where it begins if there is none, or one of more than
    64 bits."""
    start = at
    if at + 1 < end and data[at] == 48 and (data[at + 1] == 120 or data[at + 1] == 88):
        at += 2
    value, first = np.int64(0), at
    while at < end:
        digit = DIGITS[data[at]]  # a table: whether a digit is a letter is not to be guessed by the processor
        if digit == NO_DIGIT:
            break
        if (value >> 60) != 0:
            return np.int64(0), start
        value = (value << 4) | np.int64(digit)
        at += 1
    return value, at if at > first else start


@inside
def decimal(data, at, end):
    """Read (number, where it ends); it ends where it begins if there is none, or one of more than 64 bits."""
    value, start, most = np.uint64(0), at, np.uint64(0xFFFFFFFFFFFFFFFF)
    while at < end and 48 <= data[at] <= 57:
        digit = np.uint64(data[at]) - np.uint64(48)
        if value > (most - digit) // np.uint64(10):
            return np.int64(0), start
        value = value * np.uint64(10) + digit
        at += 1
    return np.int64(value), at


@inside
def size_of(value):
    """A size as the events hold it: what is too large stays too large."""
    return np.int32(value) if 0 <= value < 0x7FFFFFFF else np.int32(0x7FFFFFFF)


@inside
def begins(data, at, end, word):
    """Does this word, in whatever case, stand here? `word` is in small letters."""
    same = end - at >= len(word)
    for index in range(len(word)):
        same = same and (data[at + index] | 32) == word[index]
    return same


@inside
def word_is(data, at, end, word):
    """Does this word, in whatever case, stand here and nothing behind it? `word` is in small letters."""
    return end - at == len(word) and begins(data, at, end, word)


@inside
def _place_of(thread, state, threads):
    """The thread's place in the table, -1 if there is no room."""
    for place in range(state[THREADS]):
        if threads.ids[place] == thread:
            return place
    if state[THREADS] == MOST_THREADS:
        return -1
    threads.ids[state[THREADS]] = thread
    state[THREADS] += 1
    return state[THREADS] - 1


@inside
def turn(thread, events, state, threads):
    """A line of this thread comes: (its place in the table or -1, whether its events are wanted)."""
    place = _place_of(thread, state, threads)
    if place > 0 and state[INTERLEAVE] == 0 and state[WANTED] == ANY:
        state[SEVERAL] = 1  # from here on they are counted alone
    wanted = state[SEVERAL] == 0 and (state[WANTED] == ANY or state[WANTED] == thread)
    if wanted and place >= 0 and thread != state[THREAD]:
        if state[THREAD] != ANY:
            put(np.uint8(END), np.int64(0), np.int32(0), events, state)
        state[THREAD] = thread
    return place, wanted


@inside
def put(kind, address, size, events, state):
    """Add an event; there is room."""
    at = state[EVENTS]
    events.kinds[at], events.addresses[at], events.sizes[at], events.places[at] = kind, address, size, state[LINE]
    state[EVENTS] = at + 1


@inside
def take(kind, address, size, place, wanted, events, state, threads):
    """Count an event of a thread, and add it if it is wanted."""
    code = kind in (INSTRUCTION, LAST, OPEN, OPEN_TAKEN)
    if code:
        threads.instructions[place] += 1
    else:
        threads.accesses[place] += 1
    if wanted:
        state[INSTRUCTIONS] += code
        state[ACCESSES] += not code
        state[UNSIZED] += not code and size == 0
        put(np.uint8(kind), address, size, events, state)


@inside
def each_line(take_line, data, final, events, state, threads):
    """Go over the lines of `data` for a `parse`. What one tells from `at` to `end` is taken by
    `take_line(data, at, end, open_end, events, state, threads)`, which returns why it is refused, or 0; `open_end`: the
    line has no end."""
    at, length = 0, len(data)
    while at < length and has_room(events, state):
        end, after = line_end(data, at, length)
        if after == 0 and not final:
            break
        why = take_line(data, at, end, after == 0, events, state, threads)
        if why == MALFORMED and state[SKIP]:
            state[FOREIGN] += 1
        elif why:
            return at, why
        at = after if after else length
        state[LINE] += 1
    return at, 0
