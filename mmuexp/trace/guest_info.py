"""What matters in a guest: flushes, privilege, devices, code that is written to, address map, working set.

A data page is a virtual page that a LOAD or STORE other than IO touches; one that crosses touches two. Quantiles are
values that occur: the smallest that at least so large a part of the values do not exceed.
"""

import numpy as np

from mmuexp.guest import ADDRESS_BITS, PAGE_BITS, PAGES, Columns, FlushReason
from mmuexp.replay.pages import PageNumbers
from mmuexp.replay.survey import MAX_FRAMES
from mmuexp.trace import guest_scan as scan

TOP_RANGES, TOP_DEVICES = 12, 8  # lines that people get to see
MOST_DEVICES = 256  # pages that are named at all
LETTERS = "rwxd"  # loaded, stored, executed, device (IO)
_NONE = np.zeros(0, np.int32)


class GuestInfo:
    """Takes the rows of one trace, batch by batch, after the survey found no error in them, with trace addresses
    (pages.py).

    Memory is 31 MB, and 8 bytes for each flush interval of 65,536 rows or more; of 64 bits, 64 bytes a page more.
    """

    def __init__(self, mode: str, address_bits: int = ADDRESS_BITS):
        self._state = np.zeros(scan.PLACES, np.int64)
        self._state[[scan.EPOCH, scan.FLUSH_EPOCH, scan.LAST_FLUSH]] = 1, 1, -1
        self._curve = np.zeros((5, len(scan.WINDOWS)), np.int64)
        self._curve[scan.START] = 1
        self._spans = np.zeros((2, scan.EXACT), np.int64)
        self._long: tuple[list[int], list[int]] = ([], [])
        self._reasons = np.zeros(len(FlushReason), np.int64)
        self._user = np.zeros(3, np.int64)  # rows with USER, by op
        # rows by op, and of IO, in each region; of 64 bits in each page, of which regions are made when it is told
        self._region_bits = scan.REGION_BITS if address_bits == ADDRESS_BITS else PAGE_BITS
        self._regions = np.zeros((1 << (ADDRESS_BITS - self._region_bits), 4), np.int64)
        self._uses = np.zeros(PAGES, np.uint8)  # of each virtual page, bits in the order of LETTERS
        self._devices = np.zeros((2, PAGES), np.int64)  # IO loads and stores of each virtual page
        self._last = np.zeros(PAGES, np.int64)
        # dense number of each virtual page's physical one; in user mode they are the same
        self._frame = np.zeros(PAGES, np.int32) if mode == "system" else np.arange(PAGES, dtype=np.int32)
        self._code = np.zeros(max(MAX_FRAMES, PAGES), np.uint8)  # 1 executed, 3 stored to after that

    def feed(self, columns: Columns, frames: np.ndarray | None, step: np.ndarray) -> None:
        """Take the next rows; `frames` is what Survey.feed returned for them, `step` the survey's."""
        used = (columns.vaddr, columns.size, columns.op, columns.flags)
        arrays = (np.require(column, requirements=["C", "W"]) for column in used)
        long = np.zeros((2, 2 * len(columns.op) // scan.EXACT + 2), np.int64)
        self._state[[scan.LONG_ROWS, scan.LONG_PAGES]] = 0
        held = (self._curve, self._spans, long, self._reasons, self._user, self._regions, self._uses, self._devices)
        frames = _NONE if frames is None else frames
        scan.scan(*arrays, frames, step, self._region_bits, self._state, *held, self._last, self._frame, self._code)
        for kind, place in enumerate((scan.LONG_ROWS, scan.LONG_PAGES)):
            self._long[kind].extend(long[kind, : self._state[place]].tolist())

    def told(self, numbers: PageNumbers | None = None) -> dict:
        """Everything, in types that JSON has: integers are exact, None is nothing to speak of. `numbers` are those of
        pages of a trace of 64 bits."""
        loads, stores, execs, io = (int(count) for count in self._regions.sum(axis=0))
        user_accesses, user_execs = int(self._user[:2].sum()), int(self._user[2])
        return {
            "flushes": {
                "count": int(self._reasons.sum()),
                "reasons": {reason.name.lower(): int(self._reasons[reason]) for reason in FlushReason},
                "intervals": int(self._spans[0].sum()) + len(self._long[0]),
                "rows_between": _quantiles(self._spans[0], self._long[0]),
                "data_pages": _quantiles(self._spans[1], self._long[1]),
            },
            "user": {
                "accesses": user_accesses,
                "access_share": _share(user_accesses, loads + stores),
                "execs": user_execs,
                "exec_share": _share(user_execs, execs),
            },
            "device": {"accesses": io, "access_share": _share(io, loads + stores)} | self._device_pages(numbers),
            "code": {
                "physical_pages": int(np.count_nonzero(self._code)),
                "stores": int(self._state[scan.CODE_STORES]),
                "store_share": _share(int(self._state[scan.CODE_STORES]), stores),
                "stored_pages": int(np.count_nonzero(self._code == 3)),
            },
            "region_bytes": 1 << scan.REGION_BITS,
            "address_map": self._ranges(numbers),
            "working_set": [
                {
                    "rows": size,
                    "windows": int(closed),
                    "mean_pages": int(total) / int(closed) if closed else None,
                    "max_pages": int(most) if closed else None,
                }
                for size, closed, total, most in zip(scan.WINDOWS, *self._curve[scan.CLOSED :], strict=True)
            ],
        }

    def _device_pages(self, numbers: PageNumbers | None) -> dict:
        """The virtual pages of IO accesses: how many, and the most used first, the sums of what is not listed last."""
        pages = np.flatnonzero(self._devices.any(axis=0))
        real = pages
        if numbers is not None:  # of pages that are used alike the lowest comes first
            order = np.argsort(numbers.real(pages))
            pages, real = pages[order], numbers.real(pages[order])
        negative = -self._devices[0, pages]
        negative -= self._devices[1, pages]
        chosen = np.argsort(negative, kind="stable")[:MOST_DEVICES]
        most = pages[chosen]
        counts = self._devices[:, most]
        names, rest = ("loads", "stores"), self._devices.sum(axis=1) - counts.sum(axis=1)
        listed = [
            {"vaddr": page << PAGE_BITS} | dict(zip(names, both, strict=True))
            for page, both in zip(real[chosen].tolist(), counts.T.tolist(), strict=True)
        ]
        return {
            "page_count": len(pages),
            "pages": listed,
            "unlisted": {"pages": len(pages) - len(most)} | dict(zip(names, rest.tolist(), strict=True)),
        }

    def _of_regions(self, numbers: PageNumbers | None) -> tuple[np.ndarray, ...]:
        """The regions that are used, ascending; the ways in which each is, a bit each; its pages; its rows."""
        if numbers is None:
            uses = self._uses.reshape(scan.REGIONS, -1)
            ways, pages = np.bitwise_or.reduce(uses, axis=1), np.count_nonzero(uses, axis=1)
            used = np.flatnonzero(ways)
            return used, ways[used], pages[used], self._regions[used]
        used = np.flatnonzero(self._uses)
        real = numbers.real(used)
        used, real = used[np.argsort(real)], np.sort(real)
        regions, begin = np.unique(real >> scan.REGION_BITS - PAGE_BITS, return_index=True)
        if not len(used):
            return regions, regions, regions, self._regions[used]
        ways, pages = np.bitwise_or.reduceat(self._uses[used], begin), np.diff(begin, append=len(used))
        return regions, ways, pages, np.add.reduceat(self._regions[used], begin, axis=0)

    def _ranges(self, numbers: PageNumbers | None) -> list[dict]:
        """Neighbouring regions that are used in the same ways, ascending.

        `loads` and `stores`, and r and w, include `io`. A row counts for the region that it begins in; the pages that
        it touches count each for its own.
        """
        found: list[dict] = []
        before = None
        for region, ways, pages, rows in zip(*self._of_regions(numbers), strict=True):
            counts = [int(pages), *rows.tolist()]
            if before != (region - 1, ways):
                use = "".join(letter if ways >> bit & 1 else "-" for bit, letter in enumerate(LETTERS))
                found.append({"start": int(region) << scan.REGION_BITS, "end": 0, "use": use} | dict.fromkeys(_MAP, 0))
            before = (region, ways)
            found[-1]["end"] = int(region + 1) << scan.REGION_BITS
            for name, count in zip(_MAP, counts, strict=True):
                found[-1][name] += count
        return found


_MAP = ("pages", "loads", "stores", "execs", "io")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _quantiles(spans: np.ndarray, long: list[int]) -> dict[str, int | None]:
    """Of the values that a histogram and a list hold."""
    longer = np.sort(np.array(long, np.int64))
    below = np.cumsum(spans)
    count = int(below[-1]) + len(longer)

    def value(percent: int) -> int | None:
        rank = -(-count * percent // 100)  # from 1
        if not count:
            return None
        return int(np.searchsorted(below, rank) if rank <= below[-1] else longer[rank - below[-1] - 1])

    return {"median": value(50), "p90": value(90), "max": value(100)}


def table(told: dict, mode: str) -> list[tuple[str, str]]:
    """The same for people: labels and texts; in user mode only what applies there."""
    code = told["code"]
    lines = _system(told) if mode == "system" else []
    if code["stores"] is None:
        lines += [("code pages", "unknown"), ("stores to code", "unknown")]
    else:
        stores = f"{code['stores']:,} ({_percent(code['store_share'], 'stores')}), on {code['stored_pages']:,} pages"
        lines += [("code pages", f"{code['physical_pages']:,} physical"), ("stores to code", stores)]
    for curve in told["working_set"]:
        if curve["windows"]:
            pages = f"mean {curve['mean_pages']:,.1f}, max {curve['max_pages']:,} data pages"
            lines.append(("working set" if curve["rows"] == 1000 else "", f"{curve['rows']:>9,} rows: {pages}"))
    if not told["working_set"][0]["windows"]:
        lines.append(("working set", "unknown: shorter than 1,000 rows"))
    return [*lines, ("", ""), *_map(told)]


def _percent(share: float | None, of: str) -> str:
    return f"no {of}" if share is None else f"{100 * share:.3f} % of {of}"


def _system(told: dict) -> list[tuple[str, str]]:
    flushes, user, device = told["flushes"], told["user"], told["device"]
    reasons = ", ".join(f"{name} {count:,}" for name, count in flushes["reasons"].items() if count)

    def spread(name: str) -> str:
        if not flushes["intervals"]:
            return "unknown: fewer than two flushes"
        return ", ".join(f"{which} {value:,}" for which, value in flushes[name].items())

    execs = "of execs unknown" if user["execs"] is None else _percent(user["exec_share"], "execs")
    lines = [
        ("flush reasons", reasons or "no flushes"),
        ("between flushes", f"rows: {spread('rows_between')}"),
        ("", f"data pages: {spread('data_pages')}"),
        ("user share", f"{_percent(user['access_share'], 'accesses')}, {execs}"),
        ("device share", _percent(device["access_share"], "accesses")),
    ]
    for page in device["pages"][:TOP_DEVICES]:
        lines.append(("", f"page {page['vaddr']:#010x}: {page['loads']:,} loads, {page['stores']:,} stores"))
    others = device["page_count"] - len(device["pages"][:TOP_DEVICES])
    if others:
        rest = (device["unlisted"], *device["pages"][TOP_DEVICES:])
        loads, stores = (sum(page[name] for page in rest) for name in ("loads", "stores"))
        lines.append(("", f"{others:,} other pages: {loads:,} loads, {stores:,} stores"))
    return lines


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _map(told: dict) -> list[tuple[str, str]]:
    """The ranges with the most accesses and executed blocks, in order of address, and the sum of the others."""
    ranges = told["address_map"]
    ranked = sorted(ranges, key=lambda part: -(part["loads"] + part["stores"] + (part["execs"] or 0)))
    shown = sorted(ranked[:TOP_RANGES], key=lambda part: part["start"])
    names = [f"{part['start']:#010x}..{part['end'] - 1:#010x}" for part in shown]
    width = max([23, *map(len, names)])
    cells: list[tuple[str, ...]] = [("range".ljust(width), "use ", *_MAP)]
    for name, part in zip(names, shown, strict=True):
        cells.append((name.ljust(width), part["use"], *(_count(part[column]) for column in _MAP)))
    rest = ranked[TOP_RANGES:]
    if rest:
        sums = (_count(None if rest[0][column] is None else sum(part[column] for part in rest)) for column in _MAP)
        cells.append((f"{len(rest):,} other ranges".ljust(width), "    ", *sums))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    texts = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return [("address map" if index == 0 else "", text) for index, text in enumerate(texts)]
