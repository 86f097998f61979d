"""Says what can be said about a trace: counts, mix, footprint, where it came from, what it costs on disk."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from mmuexp.blocks.rows import RowMaker
from mmuexp.blocks.runs import Runs
from mmuexp.errors import one_line
from mmuexp.events import SHAPE
from mmuexp.guest import ADDRESS_BITS, MAX_ACCESS_BYTES, PAGE_BITS, PAGE_BYTES, PAGE_MASK, PAGES, Columns, Op
from mmuexp.replay.pages import following
from mmuexp.replay.survey import Survey
from mmuexp.result.declared import ASSUMED, LENGTHS, NONE, PARTLY, UNKNOWN, Declared, declared_in, declared_of
from mmuexp.trace import guest_info
from mmuexp.trace import mix_scan as scan
from mmuexp.trace.format import utf8
from mmuexp.trace.reader import Trace, open_trace
from mmuexp.trace.threads import ThreadRows

TOP_THREADS = 16  # that people get to see
MANY = 1 << 16  # pieces of code that are kept before they are joined
UNSURE = "flushes_unsure"  # metadata: FLUSH rows of which QEMU did not tell whether it dropped anything
NOT_TOLD = "unknown: the file does not tell at how many of its FLUSH rows QEMU dropped nothing"
Progress = Callable[[str, int, int | None], None]


def info(path: str | os.PathLike, progress: Progress | None = None) -> dict:
    """Everything that `trace info` prints, in types that JSON has; None is unknown.

    Shares are of accesses (null when there are none); `repeated_insns` are those of `guest_insns` that are no more than
    another iteration of a rep, or an instruction begun anew; `code_bytes` counts a byte once.
    `guest` is what guest_info tells: counts of rows, of pages of 4,096 bytes and of windows; shares are fractions of 1.
    `threads` lists each thread that has rows, null where none is told or there are more than are counted.
    What the trace does not tell (`mmuexp.sizes`, `mmuexp.code`) is null. Raises TraceError at the first row that is an
    error.
    """
    with open_trace(path) as trace:
        declared = declared_of(trace)
        survey, own, threads, maker = Survey(trace.mode, trace.path), _Own(), ThreadRows(), RowMaker()
        guest = guest_info.GuestInfo(trace.mode, trace.address_bits)
        for runs in trace.runs():
            frames, columns = survey.feed(runs).frames, maker.rows(runs)
            if trace.mode == "user":
                threads.feed(columns)
            columns = survey.traced(columns)
            own.feed(columns, survey.step)
            own.feed_shapes(runs, survey)
            guest.feed(columns, frames, survey.step)
            if progress:
                progress(utf8(os.path.basename(trace.path)), survey.rows, trace.file_rows)
        rows, accesses = (n := survey.counts())["rows"], n["accesses"]
        known = ("loads", "stores", "execs", "flushes", "page_flushes", "map_rows")

        def share(count: int) -> float | None:
            return count / accesses if accesses else None

        found: dict[str, Any] = {
            "path": trace.path,
            "mode": trace.mode,
            "address_bits": trace.address_bits,
            "complete": trace.complete,
            "declared_rows": trace.rows,
            "window": trace.window,
            "sha256": trace.sha256(),
            "size_bytes": trace.size_bytes,
            "bytes_per_row": trace.size_bytes / rows if rows else None,
            "column_bytes": _column_bytes(trace),
            "batches": sum(1 for rows in trace.layouts.rows if rows),
            "metadata": {
                key: text for key, text in trace.metadata.items() if key not in ("rows", "window", "complete")
            },
            "counts": {name: n[name] for name in SHAPE},
            "mix": {name: n[name] for name in known} | {"annotations": rows - sum(n[name] for name in known)},
            "threads": _threads(threads.rows),
            "access_sizes": {str(size): int(count) for size, count in enumerate(own.sizes) if count},
            "repeated_insns": own[scan.REPEATED],
            "footprint": {
                "data_pages": n["pages"],
                "data_bytes": n["pages"] * PAGE_BYTES,
                "code_pages": int(np.count_nonzero(own.code)),
                "code_bytes": own.code_bytes,
                "physical_pages": len(survey.frame_numbers()) if trace.mode == "system" else None,
            },
            "shares": {
                "misaligned": share(n["misaligned"]),
                "page_cross": share(n["page_cross"]),
                "io": share(n["io_accesses"]),
                "user": share(own[scan.USER_ACCESSES]),
            },
            "guest": guest.told(survey.pages),
        }
        return _as_declared(found, declared)


def _column_bytes(trace: Trace) -> dict[str, int]:
    """Count the bytes that each column takes in the file."""
    decoder = trace.decoder()
    stored = dict.fromkeys(decoder.names, 0)
    for batch in trace.layouts:
        for name, size in decoder.stored_bytes(batch).items() if batch.rows else ():
            stored[name] += size
    return stored


def _as_declared(found: dict[str, Any], declared: Declared) -> dict[str, Any]:
    """Make None of what the trace does not tell."""
    for counts in (found["counts"], found["mix"], found["shares"]):
        counts |= dict.fromkeys(counts.keys() & declared.unknown)
    if declared.sizes == UNKNOWN:
        found["access_sizes"] = None
    if declared.code == NONE:
        found["repeated_insns"] = None
        found["footprint"] |= dict.fromkeys(("code_pages", "code_bytes"))
        found["guest"]["code"] = dict.fromkeys(found["guest"]["code"])
        found["guest"]["user"] |= dict.fromkeys(("execs", "exec_share"))
        for part in found["guest"]["address_map"]:
            part["execs"] = None
    return found


def _threads(rows: dict[int, int] | None) -> list[dict] | None:
    return [{"thread": thread, "rows": count} for thread, count in rows.items()] if rows else None


class _Own:
    """What no scheme and no price needs, so that the survey does not count it."""

    def __init__(self):
        self._state = np.zeros(scan.PLACES, np.int64)
        self._state[scan.END] = -1
        self.sizes = np.zeros(MAX_ACCESS_BYTES + 1, np.int64)
        self.code = np.zeros(PAGES, np.uint8)
        # Bytes that blocks hold, as `scan.join` has them; what stands behind the first array is not joined yet.
        self._code = [np.zeros(0, np.int64)]

    def feed(self, columns: Columns, step: np.ndarray) -> None:
        used = (columns.vaddr, columns.size, columns.insns, columns.op, columns.flags)
        arrays = (np.require(column, requirements=["C", "W"]) for column in used)
        scan.scan(*arrays, step, self._state, self.sizes, self.code)

    def feed_shapes(self, runs: Runs, survey: Survey) -> None:
        """Take the blocks that appear for the first time in a group: whatever ran is one of them."""
        new = slice(runs.before + 1, runs.shapes_so_far + 1)
        vaddr, size, insns, flags = (column[new][runs.shapes.size[new] > 0] for column in runs.shapes[:4])
        op = np.full(len(size), Op.EXEC, np.uint8)
        vaddr = survey.traced(Columns(vaddr, np.zeros_like(vaddr), size, insns, op, flags)).vaddr.astype(np.int64)
        over = np.maximum((vaddr & PAGE_MASK) + size - PAGE_BYTES, 0)
        beyond = following(vaddr >> PAGE_BITS, survey.step).astype(np.int64) << PAGE_BITS
        parts = ((vaddr, size - over), (beyond[over > 0], over[over > 0]))
        self._code.extend(first << scan.BYTES_BITS | count for first, count in parts)
        if sum(map(len, self._code[1:])) > max(MANY, len(self._code[0])):  # so each is sorted a few times at most
            self._join()

    def _join(self) -> None:
        code = np.concatenate(self._code)
        self._code = [code]  # what it was made of goes before it is sorted
        code.sort()
        self._code = [code[: scan.join(code)].copy()]

    @property
    def code_bytes(self) -> int:
        """How many bytes blocks hold, each once."""
        self._join()
        return int((self._code[0] & scan.MOST_BYTES).sum())

    def __getitem__(self, place: int) -> int:
        """What is counted at a place of mix_scan.py's `state`."""
        return int(self._state[place])


def lines(told: dict) -> list[str]:
    """The same for people."""
    n, meta, foot = told["counts"], told["metadata"], told["footprint"]

    declared = declared_in(meta, told["path"])
    at_least = "at least " if declared.sizes == UNKNOWN else ""
    code_at_least = "at least " if declared.code == LENGTHS else ""

    def count(value, unit: str = "") -> str:
        return "unknown" if value is None else f"{value:,}{unit}"

    def share(name: str) -> str:
        value = told["shares"][name]
        if name in declared.unknown:
            return "unknown"
        return "none" if value is None else f"{100 * value:.3f} % of accesses"

    window = told["window"]
    wide = "" if told["address_bits"] == ADDRESS_BITS else f", addresses of {told['address_bits']} bits"
    table = [
        ("trace", f"{told['path']} ({told['mode']} mode, guest {meta.get('guest', 'unknown')}{wide})"),
        ("complete", told["complete"] or "unknown"),
        ("window", f"{window[1]:,} rows from row {window[0]:,} of the recording" if window else "unknown"),
        ("recorded by", meta.get("recorder", "unknown")),
        ("command", meta.get("command", "unknown")),
        ("date", meta.get("date", "unknown")),
        ("licence", meta.get("licence", "unknown")),
    ]
    shown = {"format", "mode", "address_bits", "guest", "recorder", "command", "date", "licence"}
    table += [(key, text) for key, text in sorted(meta.items()) if key not in shown]
    if told["mode"] == "system" and told["mix"]["flushes"] and UNSURE not in meta:
        table.append((UNSURE, NOT_TOLD))
    table += [
        ("sha256", told["sha256"]),
        ("", ""),
        ("rows", f"{n['rows']:,} (declared: {count(told['declared_rows'])})"),
        *(
            (name.replace("_", " "), f"{count(value)}{_percent(value or 0, n['rows'])}")
            for name, value in told["mix"].items()
        ),
        *_thread_lines(told["threads"]),
        ("guest insns", f"{count(n['guest_insns'])}{_executed(n['guest_insns'], told['repeated_insns'])}"),
        ("access sizes", _sizes(told["access_sizes"], declared)),
        ("", ""),
        ("misaligned", _both(count(n["misaligned"]), share("misaligned"))),
        ("page crossing", _both(count(n["page_cross"]), share("page_cross"))),
        ("device (IO)", f"{n['io_accesses']:,}, {share('io')}"),
        ("user level", f"{share('user')}; {n['mode_switches']:,} mode switches"),
        ("", ""),
        ("data touched", f"{at_least}{foot['data_pages']:,} pages, {foot['data_bytes'] / 2**20:,.2f} MiB"),
        (
            "code executed",
            "unknown"
            if foot["code_bytes"] is None
            else f"{code_at_least}{foot['code_bytes']:,} bytes, on {foot['code_pages']:,} pages",
        ),
    ]
    if foot["physical_pages"] is not None:
        table.append(("physical pages", f"{foot['physical_pages']:,}"))
    per_row = "" if told["bytes_per_row"] is None else f", {told['bytes_per_row']:.3f} bytes/row"
    table.append(("on disk", f"{told['size_bytes']:,} bytes in {told['batches']:,} batches{per_row}"))
    rows = n["rows"] or 1
    each = ", ".join(f"{name} {size / rows:.3f}" for name, size in told["column_bytes"].items())
    table.append(("bytes/row", each))
    width = max(len(label) for label, _ in table) + 2
    told_of_file = [f"{one_line(label):<{width}}{one_line(text)}".rstrip() for label, text in table]
    of_guest = [("", ""), *guest_info.table(told["guest"], told["mode"])]
    return told_of_file + [f"{label:<{width}}{text}".rstrip() for label, text in of_guest]


def _both(count: str, share: str) -> str:
    return count if count == share else f"{count}, {share}"


def _sizes(found: dict[str, int] | None, declared: Declared) -> str:
    """How many accesses have how many bytes, and how far that is known."""
    if found is None:
        return "unknown"
    sizes = ", ".join(f"{size}: {value:,}" for size, value in found.items()) or "none"
    if declared.sizes == ASSUMED:
        return f"{sizes} (assumed)"
    if declared.sizes == PARTLY:
        some = "some" if declared.count is None else f"{declared.count:,}"
        return f"{sizes} ({some} of them unknown, counted as 1)"
    return sizes


def _executed(insns: int | None, repeated: int | None) -> str:
    if insns is None:
        return ""
    return f" ({insns - repeated:,} if a rep is one, {repeated:,} repeat it)" if repeated else ""


def _thread_lines(threads: list[dict] | None) -> list[tuple[str, str]]:
    """How many there are, and the rows of those that have most."""
    if not threads:
        return []
    most = sorted(threads, key=lambda one: -one["rows"])[:TOP_THREADS]
    shown = [one for one in threads if one in most]
    lines = [
        ("threads", f"{len(threads):,}"),
        *(("", f"thread {one['thread']:,}: {one['rows']:,} rows") for one in shown),
    ]
    if rest := len(threads) - len(shown):
        others = sum(one["rows"] for one in threads) - sum(one["rows"] for one in shown)
        lines.append(("", f"{rest:,} others: {others:,} rows"))
    return lines


def _percent(value: int, rows: int) -> str:
    return f" ({100 * value / rows:.2f} %)" if rows and value else ""
