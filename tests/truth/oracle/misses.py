"""Why a TLB fills, by looking back through the list of its lookups; and regions, by walking from page to page.

Part of the oracle: imports the standard library only.
"""

from collections import OrderedDict

from truth.oracle.guest import EXEC, FLUSH, FLUSH_PAGE, IO, LOAD, MAP, PAGE, PAGES, STORE, USER


def lookups(rows, mode):
    """What happens to a TLB, in order: ("look", user, page, frame, store), ("flush",), ("drop", page)."""
    frame_of, found = {}, []
    for op, vaddr, size, _, flags, page in rows:
        if op in (LOAD, STORE) and not flags & IO:
            first, last = vaddr // PAGE, (vaddr + size - 1) // PAGE
            user = mode == "user" or bool(flags & USER)
            for each in dict.fromkeys((first, last % PAGES)):
                found.append(("look", user, each, each if mode == "user" else frame_of[each], op == STORE))
        elif op == FLUSH:
            found.append(("flush",))
        elif op == FLUSH_PAGE:
            found.append(("drop", vaddr // PAGE))
        elif op == MAP:
            frame_of[vaddr // PAGE] = page
    return found


def kinds(rows, mode, bits, place=lambda page: page):
    """Counts by kind, and "lru_fills". `place` says where a page lies when it chooses its set."""
    events = lookups(rows, mode)
    counts = dict.fromkeys(("compulsory", "flush", "write_right", "capacity", "conflict", "lru_fills"), 0)
    sets, lru = {}, {False: OrderedDict(), True: OrderedDict()}
    for now, event in enumerate(events):
        if event[0] == "flush":
            sets.clear()
            lru = {False: OrderedDict(), True: OrderedDict()}
        elif event[0] == "drop":
            page = event[1]
            sets = {key: held for key, held in sets.items() if held[0] != page}
            for table in lru.values():
                table.pop(page, None)
        else:
            _, user, page, frame, store = event
            dirty = store or any(e[0] == "look" and e[3] == frame and e[4] for e in events[:now])
            in_lru = lru[user].get(page)
            lru_fills = in_lru is None or (store and not in_lru)
            lru[user].pop(page, None)
            lru[user][page] = dirty if lru_fills else in_lru
            if len(lru[user]) > 1 << bits:
                lru[user].popitem(last=False)
            counts["lru_fills"] += lru_fills
            key = user, place(page) % (1 << bits)
            held = sets.get(key)
            if held is None or held[0] != page or (store and not held[1]):
                sets[key] = page, dirty
                counts[_why(events, now) or ("capacity" if lru_fills else "conflict")] += 1
    return counts


def _why(events, now):
    """Why even a TLB without limit fills; None if it does not."""
    _, user, page, frame, store = events[now]
    mine = [at for at in range(now) if events[at][0] == "look" and events[at][1:3] == (user, page)]
    if not mine:
        return "compulsory"
    drops = [at for at in range(now) if events[at][0] == "flush" or events[at] == ("drop", page)]
    since = [at for at in mine if not drops or at > drops[-1]]
    if not since:
        return "flush"
    before_first = [e for e in events[: since[0]] if e[0] == "look" and e[3] == frame and e[4]]
    if store and not before_first and not any(events[at][4] for at in since):
        return "write_right"
    return None


def regions(rows, join):
    """[(first, last)] of the pages that rows touch: pages at most `join` apart belong together."""
    touched = set()
    for op, vaddr, size, *_ in rows:
        if op in (LOAD, STORE, EXEC, FLUSH_PAGE):
            touched.add(vaddr // PAGE)
            if op != FLUSH_PAGE:
                touched.add((vaddr + size - 1) // PAGE)
    found = []
    for page in sorted(touched):
        if found and page - found[-1][1] <= join:
            found[-1][1] = page
        else:
            found.append([page, page])
    return [tuple(ends) for ends in found]
