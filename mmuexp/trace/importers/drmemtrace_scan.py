"""The loop of the drmemtrace importer: from records to events.

A record is a type (u16), a size (u16) and an address, of 8 bytes or of 4 in a 32-bit build, without padding.
"""

import numpy as np

from mmuexp.native.jitcache import guarded, kept
from mmuexp.trace.importers.rows_scan import END, INSTRUCTION, READ

# Types of records.
BUNDLE, THREAD, THREAD_EXIT, PROCESS, HEADER, FOOTER, HARDWARE_PREFETCH, MARKER, NOT_FETCHED = (
    17, 22, 23, 24, 25, 26, 27, 28, 29
)  # fmt: skip
SYSENTER, ENCODING, TAKEN_JUMP, UNTAKEN_JUMP = 31, 47, 48, 49

# Kinds of markers, which stand in `size`.
TIME, FILE_TYPE, VERSION, WINDOW, PHYSICAL, PAGE_BYTES = 2, 9, 12, 14, 15, 18
SYSCALL_START, SYSCALL_END, SWITCH_START, SWITCH_END = 27, 28, 34, 35

# Places in `state`, of one file, carried over calls. OF_THREAD is the row of the thread in `threads`.
(
    OF_THREAD, AT_TIME, TYPE_BITS, TOLD_VERSION, IN_WINDOW, WINDOWS, PAGE_SIZE, AT_FOOTER, PREFETCHES, FLUSHES,
    KERNEL_INSNS, KERNEL_DATA, PHYSICALS, PROCESS_ID,
) = range(14)  # fmt: skip
STATE_WORDS = 14

# Columns of `threads`: its number, what of the kernel it is in, where its last instruction ended, counts.
NUMBER, IN_KERNEL, AFTER, INSNS, DATA = range(5)
THREAD_WORDS = 5

ALL_THREADS, NO_THREAD = -1, -2

# Places in `shared`, of all files of an import.
CURRENT, ONE_PROCESS = range(2)

# Why a scan ends before its bytes do.
FULL, BAD_TYPE, TWO_PROCESSES, MORE_THREADS, TOLD_TYPE, NEXT_TIME, BAD_BUNDLE = range(1, 8)


@kept
def _address(words, at, record_words):
    """The address of a record that begins at this word."""
    low = np.int64(words[at + 1])
    return low if record_words == 2 else low | np.int64(words[at + 2]) << 32


@kept
def _of_thread(number, threads, state):
    """Find or make the thread's row. False if there is no room for another."""
    number &= 0x7FFFFFFFFFFFFFFF
    if state[OF_THREAD] >= 0 and threads[state[OF_THREAD], NUMBER] == number:
        return True
    for row in range(len(threads)):
        if threads[row, NUMBER] == number or threads[row, NUMBER] < 0:
            threads[row, NUMBER] = number
            state[OF_THREAD] = row
            return True
    return False


@kept
def _marker(kind, value, thread, state):
    """Note what a marker says. Returns END where it ends a run, else -1."""
    if kind in (SYSCALL_START, SWITCH_START):
        thread[IN_KERNEL] |= 1 if kind == SYSCALL_START else 2
    elif kind in (SYSCALL_END, SWITCH_END):
        thread[IN_KERNEL] &= ~np.int64(1 if kind == SYSCALL_END else 2)
    elif kind == WINDOW:
        before = state[IN_WINDOW]
        state[IN_WINDOW] = value
        if before != value:
            state[WINDOWS] += 1
            return END if before >= 0 else -1
    elif kind == TIME:
        state[AT_TIME] = value
    elif kind == FILE_TYPE:
        state[TYPE_BITS] |= value
    elif kind == VERSION:
        state[TOLD_VERSION] = value
    elif kind == PAGE_BYTES:
        state[PAGE_SIZE] = value
    elif kind == PHYSICAL:
        state[PHYSICALS] += 1
    return -1


@kept
def _event(kind, address, size, place, current, shared, out, events):
    """Add an event, and before it the end of a run where another thread's rows come."""
    kinds, addresses, sizes, places = out
    if shared[CURRENT] != current:
        if shared[CURRENT] >= 0:
            kinds[events], addresses[events], sizes[events], places[events] = END, 0, 0, place
            events += 1
        shared[CURRENT] = current
    kinds[events], addresses[events], sizes[events], places[events] = kind, address, size, place
    return events + 1


@kept
def _fetch(type_, size, lengths, address_bytes, place, thread, state, counted, shared, out, events):
    """The instructions of a record: one at the address `lengths`, or those of a bundle.

    Returns the events, or -1 for a bad bundle.
    """
    count = size if type_ == BUNDLE else 1
    if count > address_bytes and type_ == BUNDLE:
        return -1
    address = thread[AFTER] if type_ == BUNDLE else lengths
    for index in range(count):
        length = lengths >> (8 * index) & 255 if type_ == BUNDLE else size
        if thread[IN_KERNEL]:
            state[KERNEL_INSNS] += counted
        else:
            thread[INSNS] += 1
            if counted:
                events = _event(INSTRUCTION, address, length, place, thread[NUMBER], shared, out, events)
        address += length
    thread[AFTER] = address
    return events


@kept
def _process(number, counted, state, shared):
    """False for a second process."""
    if not counted:
        return True
    if shared[ONE_PROCESS] < 0:
        shared[ONE_PROCESS] = number
    state[PROCESS_ID] = number
    return shared[ONE_PROCESS] == number


@guarded(_address, _of_thread, _marker, _event, _fetch, _process)
@kept
def scan(words, record_words, wanted, by_time, state, threads, shared, out, events, first):
    """Put the events of the records of `words` into `out` behind those that are there: of the wanted thread, of
    ALL_THREADS, or of NO_THREAD. Returns (events, records consumed, why).

    `by_time` ends the scan behind each marker of a time. A bad record is the first one not consumed.
    """
    address_bytes, room = 4 * record_words - 4, len(out[0]) - 17
    for record in range(len(words) // record_words):
        if events > room:
            return events, record, FULL
        at = record * record_words
        type_, size = np.int64(words[at]) & 0xFFFF, np.int64(words[at]) >> 16
        if type_ == THREAD and not _of_thread(_address(words, at, record_words), threads, state):
            return events, record, MORE_THREADS
        thread = threads[max(state[OF_THREAD], 0)]
        counted = wanted == ALL_THREADS or thread[NUMBER] == wanted
        state[AT_FOOTER] = type_ == FOOTER
        if type_ <= 1:
            if thread[IN_KERNEL]:
                state[KERNEL_DATA] += counted
            else:
                thread[DATA] += 1
                if counted:
                    address = _address(words, at, record_words)
                    events = _event(READ + type_, address, size, first + record, thread[NUMBER], shared, out, events)
        elif type_ == ENCODING:
            continue
        elif 10 <= type_ <= BUNDLE or type_ in (SYSENTER, TAKEN_JUMP, UNTAKEN_JUMP):
            told, place = _address(words, at, record_words), first + record
            after = _fetch(type_, size, told, address_bytes, place, thread, state, counted, shared, out, events)
            if after < 0:
                return events, record, BAD_BUNDLE
            events = after
        elif type_ == MARKER:
            value = _address(words, at, record_words)
            if _marker(size, value, thread, state) == END and counted and shared[CURRENT] == thread[NUMBER]:
                events = _event(END, np.int64(0), 0, first + record, thread[NUMBER], shared, out, events)
            if size == FILE_TYPE:
                return events, record + 1, TOLD_TYPE
            if size == TIME and by_time:
                return events, record + 1, NEXT_TIME
        elif type_ <= 9 or type_ == HARDWARE_PREFETCH or 32 <= type_ <= 46:
            state[PREFETCHES] += counted and not thread[IN_KERNEL]
        elif 18 <= type_ <= 21:
            state[FLUSHES] += counted and not thread[IN_KERNEL]
        elif type_ == PROCESS:
            if not _process(_address(words, at, record_words), counted, state, shared):
                return events, record, TWO_PROCESSES
        elif type_ not in (THREAD, THREAD_EXIT, HEADER, FOOTER, NOT_FETCHED):
            return events, record, BAD_TYPE
    return events, len(words) // record_words, 0
