"""What `trace info` says of a guest: every figure by hand, and counted anew with dicts and sets on real windows."""

import json
from itertools import pairwise

import numpy as np
import pytest
from kit.places import TRACES
from kit.traces import concat, program_rows, system_rows, write

from mmuexp.guest import IO, USER, Columns, Op
from mmuexp.replay.survey import Survey
from mmuexp.trace import open_trace
from mmuexp.trace.guest_info import GuestInfo, table
from mmuexp.trace.info import info

MAP, LOAD, STORE, EXEC, FLUSH, FLUSH_PAGE = Op.MAP, Op.LOAD, Op.STORE, Op.EXEC, Op.FLUSH, Op.FLUSH_PAGE

GUEST = system_rows(
    (MAP, 0x1000, 12, 0, 0, 0x101),
    (FLUSH, 0x5000, 1),  # before the first flush is not an interval
    (MAP, 0x1000, 12, 0, 0, 0x101),
    (MAP, 0x2000, 12, 0, 0, 0x102),
    (STORE, 0x1004, 4),  # not code yet
    (EXEC, 0x1000, 8, 2),
    (STORE, 0x1000, 4),  # code: 1
    (LOAD, 0x1000, 4),
    (LOAD, 0xB8000, 2, 0, IO),
    (FLUSH, 0x6000, 1),  # after 7 rows and 1 page
    (FLUSH, 0, 2),  # after 0 rows and 0 pages
    (MAP, 0x00800000, 12, 0, 0, 0x101),  # the executed page elsewhere
    (MAP, 0x00801000, 12, 0, 0, 0x103),
    (MAP, 0xFFFFF000, 12, 0, 0, 0x104),
    (MAP, 0x00000000, 12, 0, 0, 0x105),
    (STORE, 0x00800FFE, 4, 0, USER),  # onto the next page; code: 2
    (EXEC, 0x00800FFE, 4, 1, USER),  # 0x103 is code from here on
    (STORE, 0x00800FFE, 4, 0, USER),  # both pages are code, one store: 3
    (LOAD, 0xFFFFFFFE, 4, 0, USER),  # wraps to page 0
    (STORE, 0xB8004, 4, 0, IO),
    (STORE, 0xFEE00000, 4, 0, IO | USER),
    (LOAD, 0xB8FFE, 4, 0, IO),  # an IO row belongs to its first page
    (FLUSH, 0x5000, 4),  # after 11 rows and 4 pages
    (200, 0, 0),
    (FLUSH, 0, 9),  # after 1 row; a reason that the format does not name
)


def of(columns: Columns, mode: str, *cuts: int) -> dict:
    """What GuestInfo tells when the rows come in batches that end at `cuts`."""
    survey, guest = Survey(mode), GuestInfo(mode)
    for start, stop in pairwise((0, *cuts, len(columns.op))):
        part = Columns(*(column[start:stop] for column in columns))
        guest.feed(part, survey.feed(part).frames, survey.step)
    return guest.told()


def test_by_hand(tmp_path, cli):
    path = write(tmp_path / "t.arrow", GUEST, "system")
    told = info(path)["guest"]
    assert told["flushes"] == {
        "count": 5,
        "reasons": {"unknown": 1, "cr3": 2, "cr0": 1, "cr4": 0, "other": 1},
        "intervals": 4,
        "rows_between": {"median": 1, "p90": 11, "max": 11},  # of 0 1 7 11
        "data_pages": {"median": 0, "p90": 4, "max": 4},  # of 0 0 1 4
    }
    assert told["user"] == {"accesses": 4, "access_share": 4 / 10, "execs": 1, "exec_share": 0.5}
    assert told["device"] == {
        "accesses": 4,
        "access_share": 4 / 10,
        "page_count": 2,
        "unlisted": {"pages": 0, "loads": 0, "stores": 0},
        "pages": [{"vaddr": 0xB8000, "loads": 2, "stores": 1}, {"vaddr": 0xFEE00000, "loads": 0, "stores": 1}],
    }
    assert told["code"] == {"physical_pages": 2, "stores": 3, "store_share": 3 / 6, "stored_pages": 2}
    zero = {"loads": 0, "stores": 0, "execs": 0, "io": 0}
    assert told["region_bytes"] == 1 << 22 and told["address_map"] == [
        # pages 0 (by the access that wraps), 1 and 0xb8
        {"start": 0, "end": 0x400000, "use": "rwxd", "pages": 3, "loads": 3, "stores": 3, "execs": 1, "io": 3},
        {"start": 0x800000, "end": 0xC00000, "use": "-wx-", "pages": 2} | zero | {"stores": 2, "execs": 1},
        {"start": 0xFEC00000, "end": 0xFF000000, "use": "-w-d", "pages": 1} | zero | {"stores": 1, "io": 1},
        {"start": 0xFFC00000, "end": 1 << 32, "use": "r---", "pages": 1} | zero | {"loads": 1},
    ]
    assert told["working_set"] == [
        {"rows": rows, "windows": 0, "mean_pages": None, "max_pages": None} for rows in (1000, 10_000, 100_000, 10**6)
    ]
    done = cli("trace", "info", path, "--format", "json")
    assert done.code == 0 and json.loads(done.out)["guest"] == told
    text = cli("trace", "info", path).out
    for line in (
        "flush reasons   unknown 1, cr3 2, cr0 1, other 1",
        "between flushes rows: median 1, p90 11, max 11",
        "                data pages: median 0, p90 4, max 4",
        "user share      40.000 % of accesses, 50.000 % of execs",
        "device share    40.000 % of accesses",
        "                page 0x000b8000: 2 loads, 1 stores",
        "code pages      2 physical",
        "stores to code  3 (50.000 % of stores), on 2 pages",
        "working set     unknown: shorter than 1,000 rows",
        "address map     range                    use   pages  loads  stores  execs  io",
        "                0x00800000..0x00bfffff   -wx-      2      0       2      1   0",
    ):
        assert line in text.splitlines()


def test_batches_do_not_matter():
    whole = of(GUEST, "system")
    for cut in range(1, len(GUEST.op)):
        assert of(GUEST, "system", cut) == whole
    rows = program_rows(25_000)
    assert of(rows, "user") == of(rows, "user", 1, 999, 1000, 1001, 12_345) and of(rows, "user") == recount(rows)


def test_the_working_set_by_hand():
    # 1,999 rows on page 1, then one on page 2, then 500 on page 3, the last onto page 4 too
    rows = [(LOAD, 0x1000, 4)] * 1999 + [(STORE, 0x2000, 4)] + [(LOAD, 0x3000, 4)] * 500 + [(LOAD, 0x3FFE, 4)]
    first = {"rows": 1000, "windows": 2, "mean_pages": 1.5, "max_pages": 2}  # the third is not whole
    told = of(system_rows(*rows), "user")
    assert told["working_set"][0] == first and told["working_set"][1]["windows"] == 0
    rows += [(EXEC, 0x9000, 4)] * (10_000 - len(rows))
    thousand, ten, *_ = of(system_rows(*rows), "user")["working_set"]
    assert thousand == {"rows": 1000, "windows": 10, "mean_pages": 0.5, "max_pages": 2}  # 1 2 2 0 0 0 0 0 0 0
    assert ten == {"rows": 10_000, "windows": 1, "mean_pages": 4.0, "max_pages": 4}


def test_flush_intervals_longer_than_the_histogram():
    pages = np.arange(70_000, dtype="u4") << 12  # one load a page
    loads = system_rows((LOAD, 0, 4))
    loads = Columns(*(np.repeat(column, len(pages)) for column in loads))._replace(vaddr=pages)
    flush, few = system_rows((FLUSH, 0, 1)), Columns(*(column[:3] for column in loads))
    rows = concat([flush, loads, flush, few, flush, few, few, flush])
    for cuts in ((), (100, 70_001, 70_002)):
        flushes = of(rows, "user", *cuts)["flushes"]
        assert flushes["rows_between"] == {"median": 6, "p90": 70_000, "max": 70_000}
        assert flushes["data_pages"] == {"median": 3, "p90": 70_000, "max": 70_000}
    told = of(concat([flush, *[loads, loads, flush] * 3, loads, flush]), "user")["flushes"]
    assert told["rows_between"] == {"median": 140_000, "p90": 140_000, "max": 140_000}


def test_user_mode_says_what_applies(tmp_path, cli):
    path = write(tmp_path / "t.arrow", system_rows((EXEC, 0x1000, 4, 1, USER), (STORE, 0x1000, 4, 0, USER)))
    text = cli("trace", "info", path).out
    assert "stores to code 1 (100.000 % of stores), on 1 pages" in text and "address map" in text
    assert not any(word in text for word in ("flush reasons", "device share", "user share"))
    assert info(path)["guest"].keys() == info(write(tmp_path / "s.arrow", GUEST, "system"))["guest"].keys()


def test_many_ranges_and_devices_are_summed():
    every = [(LOAD, index << 23, 4, 0, IO) for index in range(20) for _ in range(20 - index)]
    told = of(system_rows(*every), "system")
    assert len(told["address_map"]) == 20 == len(told["device"]["pages"])
    texts = [text for _, text in table(told, "system")]
    assert "12 other pages: 78 loads, 0 stores" in texts
    assert texts[-1].split() == ["8", "other", "ranges", "8", "36", "0", "0", "36"]
    assert [text.split()[0] for text in texts[-13:-1]] == [
        f"{i << 23:#010x}..{(i << 23) + 0x3FFFFF:#010x}" for i in range(12)
    ]


def test_device_pages_beyond_the_list_are_summed():
    # page 0 once, page 1 twice, ...: 300 pages, of which the first 44 are not listed
    told = of(system_rows(*[(STORE, page << 12, 4, 0, IO) for page in range(300) for _ in range(page + 1)]), "system")
    assert told["device"]["page_count"] == 300 and told["device"]["pages"][0] == {
        "vaddr": 299 << 12,
        "loads": 0,
        "stores": 300,
    }
    assert told["device"]["unlisted"] == {"pages": 44, "loads": 0, "stores": 44 * 45 // 2}
    most = sum(range(293, 301))
    assert ("", f"292 other pages: 0 loads, {300 * 301 // 2 - most:,} stores") in table(told, "system")


def test_neighbours_of_one_use_are_one_range():
    told = of(system_rows((LOAD, 0, 4), (LOAD, 0x400000, 4), (STORE, 0x800000, 4), (LOAD, 0x1000000, 4)), "user")
    assert [(part["start"], part["end"], part["loads"]) for part in told["address_map"]] == [
        (0, 0x800000, 2), (0x800000, 0xC00000, 0), (0x1000000, 0x1400000, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["linux_user", "linux_firmware", "linux_early", "smc"])
def test_counted_anew_on_a_real_window(name):
    with open_trace(TRACES / f"{name}.arrow") as trace:
        batches = trace.batches()
        rows, mode = next(batches), trace.mode
    rows = Columns(*(column[:1_010_000] for column in rows))
    told = of(rows, mode, 777_777 if name != "smc" else 777)
    assert told == recount(rows, mode)
    if name == "linux_firmware":
        assert told["code"]["stores"] and told["device"]["accesses"]
    if name == "linux_user":
        assert told["flushes"]["intervals"] > 5 and told["user"]["accesses"] > 0


def places_of(rows: Columns):
    """The first and the last page of each row; which rows are accesses to devices, and which are code."""
    vaddr, size = rows.vaddr.astype(int), rows.size.astype(int)
    last = (vaddr + np.maximum(size, 1) - 1 >> 12) % 2**20
    return vaddr >> 12, last, (rows.flags & IO != 0) & (rows.op < 2), rows.op == EXEC


def code_and_stores_to_it(rows: Columns, mode: str) -> tuple[set, set, int]:
    """(pages that were executed, those of them that were stored to after that, such stores), row by row."""
    page, other, io, _ = places_of(rows)
    physical, executed, stored, into_code = {}, set(), set(), 0
    order = (page, other, rows.page, rows.op, io)
    for here, there, frame, kind, is_io in zip(*(column.tolist() for column in order), strict=True):
        if kind == MAP:
            physical[here] = frame
        elif kind in (STORE, EXEC) and not is_io:
            pages = {physical[p] if mode == "system" else p for p in (here, there)}
            if kind == EXEC:
                executed |= pages
            elif pages & executed:
                into_code += 1
                stored |= pages & executed
    return executed, stored, into_code


def map_of(rows: Columns) -> list[dict]:
    """Regions of 4 MiB, neighbours of one use merged."""
    op, (page, other, io, code) = rows.op, places_of(rows)
    ranges, previous = [], None
    region, other_region = page >> 10, np.where(io, page, other) >> 10
    for r in np.unique(np.concatenate([region[op < 3], other_region[op < 3]])).tolist():
        within = region == r
        masks = {"r": op == 0, "w": op == 1, "x": code, "d": io}
        second = (other_region == r) & ~io
        touched = {k: set(page[m & within]) | set(other[m & second]) for k, m in masks.items()}
        use = "".join(k if pages else "-" for k, pages in touched.items())
        counts = [len(set.union(*touched.values())), *(int(np.sum(within & (op == kind))) for kind in range(3))]
        counts.append(int(np.sum(io & within)))
        if previous != (r - 1, use):
            ranges.append(
                {"start": r << 22, "use": use} | dict.fromkeys(("pages", "loads", "stores", "execs", "io"), 0)
            )
        previous = (r, use)
        ranges[-1]["end"] = r + 1 << 22
        for key, count in zip(("pages", "loads", "stores", "execs", "io"), counts, strict=True):
            ranges[-1][key] += count
    return ranges


def recount(rows: Columns, mode: str = "user") -> dict:
    """The same figures from NumPy's unique and sort, and from dicts and sets, row by row where order matters."""
    op, size, (page, other, io, code) = rows.op, rows.size.astype(int), places_of(rows)
    data, user = (op < 2) & ~io, rows.flags & USER != 0
    accesses, execs, stores = (int(np.sum(which)) for which in (op < 2, code, op == STORE))

    def distinct(start, stop):
        part = data[start:stop]
        return len(np.union1d(page[start:stop][part], other[start:stop][part]))

    def spread(values):
        values = sorted(values)
        ranks = {"median": 0.5, "p90": 0.9, "max": 1}
        return {k: next((v for i, v in enumerate(values, 1) if i >= q * len(values)), None) for k, q in ranks.items()}

    def share(part, whole):
        return part / whole if whole else None

    flushes = np.flatnonzero(op == FLUSH).tolist()
    spans = list(pairwise(flushes))
    reasons = [int(np.sum(size[flushes] == reason)) for reason in range(5)]
    curve = []
    for window in (1000, 10_000, 100_000, 1_000_000):
        found = [distinct(start, start + window) for start in range(0, len(op) - window + 1, window)]
        mean, most = (sum(found) / len(found), max(found)) if found else (None, None)
        curve.append({"rows": window, "windows": len(found), "mean_pages": mean, "max_pages": most})

    devices = {int(p): [int(np.sum(io & (page == p) & (op == kind))) for kind in (0, 1)] for p in np.unique(page[io])}
    ranked = sorted(devices, key=lambda p: (-sum(devices[p]), p))

    executed, stored, into_code = code_and_stores_to_it(rows, mode)
    user_accesses, user_execs = int(np.sum(user & (op < 2))), int(np.sum(user & code))
    return {
        "flushes": {
            "count": len(flushes),
            "reasons": dict(zip(("unknown", "cr3", "cr0", "cr4", "other"), reasons, strict=True)),
            "intervals": len(spans),
            "rows_between": spread(b - a - 1 for a, b in spans),
            "data_pages": spread(distinct(a, b) for a, b in spans),
        },
        "user": {
            "accesses": user_accesses,
            "access_share": share(user_accesses, accesses),
            "execs": user_execs,
            "exec_share": share(user_execs, execs),
        },
        "device": {
            "accesses": int(np.sum(io)),
            "access_share": share(int(np.sum(io)), accesses),
            "page_count": len(devices),
            "unlisted": {"pages": 0, "loads": 0, "stores": 0},
            "pages": [{"vaddr": p << 12, "loads": devices[p][0], "stores": devices[p][1]} for p in ranked],
        },
        "code": {
            "physical_pages": len(executed),
            "stores": into_code,
            "store_share": share(into_code, stores),
            "stored_pages": len(stored),
        },
        "region_bytes": 1 << 22,
        "address_map": map_of(rows),
        "working_set": curve,
    }
