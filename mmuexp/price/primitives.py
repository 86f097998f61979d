"""The one list of primitives: what differs in kind of all that translation takes time for.

A strategy prices an event as a bundle of them (`Cost`), a host profile holds what each takes, in ns, with its range.
The fields of `Cost` are the list: profiles, sums, tables, help texts and docs take names and meanings from here.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

# The translator's length was measured: callgrind on qemu-i386 7.2 counts 12,700 instructions for a block, and 4,130
# more for each guest instruction in it: 6,700 for each in blocks of 5, as a boot's are. (dyngen, in 2004, copied code.)
LEVELS = 2  # of the page table of a 32-bit guest without PAE
ASSUMED = "assumed"
ASSUMED_RANGE = (0.5, 2.0)  # of a price that is assumed, where nobody says a narrower one

HIT, HANDLER, TRANSLATOR, KERNEL = "hit path", "helpers and handlers", "translator", "kernel"  # where time is spent


class Primitive(NamedTuple):
    """`field` of a Cost is priced as `price` of a host profile, `times` times; `insns` is the length of one.

    `insns` is the same on every host (0: no instruction of the emulator), and sums up to the column `insns`.
    """

    field: str
    price: str
    times: int
    part: str
    insns: float
    meaning: str


def _primitive(part: str, insns: float, meaning: str, *, price: str = "", times: int = 1) -> Any:
    about = {"part": part, "insns": insns, "meaning": meaning, "price": price, "times": times}
    return dataclasses.field(default=0, metadata=about)


@dataclass(frozen=True)
class Cost:
    """The price of one event, as a bundle of primitives. Each field is how many of them; `source` says how one knows.

    `source` begins with "read:", "measured:" or "assumed:". `least` and `most` are the range of the bundle's own
    instructions (`hit` or `insn`): where they are left out, half and double of an assumed number, the number of others.
    """

    hit: float = _primitive(HIT, 1, "an instruction of the hit path")
    access: float = _primitive(HIT, 0, "the access itself: what the host's data cache makes of it")
    split: float = _primitive(HIT, 0, "what an access across two pages takes more, where the host itself splits it")
    helper: float = _primitive(HANDLER, 20, "a helper entered from the hit path, and left again")
    insn: float = _primitive(HANDLER, 1, "an instruction of a helper or handler, which run seldom")
    walk: float = _primitive(
        HANDLER, 75 * LEVELS, "a level of a walk of the guest's page table", price="walk_level", times=LEVELS
    )
    scan: float = _primitive(HANDLER, 2, "an entry of a table looked at or cleared, one after the other")
    drop: float = _primitive(HANDLER, 100, "a translated block dropped: taken out of every list that it is in")
    patched_access: float = _primitive(
        HANDLER, 40, "an access whose instruction was overwritten: the jump to its stub, a look-up"
    )
    patch: float = _primitive(
        HANDLER, 400, "an access found, its stub written, and its instruction overwritten, which ran before"
    )
    compare_table: float = _primitive(HANDLER, 900, "4 KiB of a guest's page table compared with a copy")
    checked_entry: float = _primitive(HANDLER, 4, "a block entered that compares its source first")
    checked_byte: float = _primitive(HANDLER, 0.5, "a byte of source so compared")
    signal: float = _primitive(KERNEL, 0, "a SIGSEGV delivered, and the return from its handler")
    mmap: float = _primitive(KERNEL, 0, "a call of mmap")
    munmap: float = _primitive(KERNEL, 0, "a call of munmap")
    mprotect: float = _primitive(KERNEL, 0, "a call of mprotect, of a page with a mapping of its own")
    mapping: float = _primitive(KERNEL, 0, "a mapping of the host that mprotect splits off, or joins again")
    page_in: float = _primitive(KERNEL, 0, "a page that becomes mapped")
    page_out: float = _primitive(KERNEL, 0, "a page that stops being mapped")
    translate: float = _primitive(TRANSLATOR, 6700, "a guest instruction translated, its share of the block included")
    source: str = ""
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        kind = self.source.partition(":")[0]
        if kind not in ("read", "measured", ASSUMED):
            raise ValueError(f"a cost's source begins with read:, measured: or assumed:, not {self.source!r}")
        for name, amount in self.primitives().items():
            if not 0 <= amount < float("inf"):
                raise ValueError(f"a cost holds {amount} {name}; none is negative")
        low, high = self.range
        if not 0 <= low <= self.own_insns <= high < float("inf"):
            raise ValueError(f"{low} to {high} is not a range around a cost's {self.own_insns} instructions")

    def primitives(self) -> dict[str, float]:
        """The primitives that this bundle holds, without the zeros."""
        return {p.field: amount for p in PRIMITIVES if (amount := getattr(self, p.field))}

    @property
    def own_insns(self) -> float:
        """Instructions that the bundle itself names; those of its other primitives are the same in every bundle."""
        return self.hit + self.insn

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most that `own_insns` may be."""
        low, high = ASSUMED_RANGE if self.source.startswith(ASSUMED) else (1.0, 1.0)
        least = low * self.own_insns if self.least is None else self.least
        return least, high * self.own_insns if self.most is None else self.most


_MARKED = {one.name: one.metadata for one in dataclasses.fields(Cost) if one.metadata}
PRIMITIVES = tuple(Primitive(name, **{**about, "price": about["price"] or name}) for name, about in _MARKED.items())
PRICES: Mapping[str, Primitive] = {p.price: p for p in PRIMITIVES}  # by the name that profiles know
