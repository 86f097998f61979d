"""What a strategy is: parameters, events, costs, kernels. One file in strategies/ is one scheme.

A strategy is a frozen dataclass whose fields are its parameters; its spec, `name,key=value`, is its identity: command
line argument, CSV value, cache key. `str(strategy)` writes the spec and `parse_spec` (registry.py) reads it back.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from mmuexp.emulator.kernel import nothing
from mmuexp.errors import UsageError
from mmuexp.events import CALLS, FAULTS, FIRST_EXTRA, Event
from mmuexp.guest import ADDRESS_BITS
from mmuexp.price.primitives import Cost

COUNTED = "read: one primitive for each that was counted (MODEL.md, section 7)"
SHARED_COSTS = {  # calls and pages are priced here, once, and in no fault's bundle
    Event.MMAP_CALLS: Cost(mmap=1, source=COUNTED),
    Event.MPROTECT_CALLS: Cost(mprotect=1, source=COUNTED),
    Event.SPLIT_MAPPINGS: Cost(mapping=1, source=COUNTED),
    Event.MUNMAP_CALLS: Cost(munmap=1, source=COUNTED),
    Event.MAPS: Cost(page_in=1, source=COUNTED),
    Event.UNMAPS: Cost(page_out=1, source=COUNTED),
    Event.TRANSLATED_INSNS: Cost(translate=1, source=COUNTED),
    Event.BLOCKS_DROPPED: Cost(drop=1, source=COUNTED),
}
# of `page_cross`, where both pages are the host's to access; the few that are a device's, or take a helper, pay it too
SPLIT = Cost(split=1, source="read: the host splits it, and no code does (MODEL.md, section 7)")


@dataclass(frozen=True)
class Param:
    """A parameter as the command line, the sweep and `strategy show` see it. `sweep` is what a bare PARAM sweeps."""

    name: str
    default: Any
    sweep: tuple[Any, ...] = ()
    unit: str = ""
    help: str = ""
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    hex: bool = False  # addresses are written in hexadecimal
    wide: Any = None  # the default for a guest of 64 bits, where it is another
    helps: tuple[str, ...] = ()  # counts that fall as it grows
    companions: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)  # caption -> settings

    @property
    def type(self) -> type:
        return str if self.choices else int

    @property
    def range(self) -> str:
        return " | ".join(self.choices) if self.choices else f"{self.text(self.minimum)}..{self.text(self.maximum)}"

    def text(self, value: Any) -> str:
        return hex(value) if self.hex else str(value)

    def parse(self, text: str) -> Any:
        """The value that `text` names. Raises UsageError with the range when it is none of them."""
        if self.choices:
            if text.lower() in self.choices:
                return text.lower()
        else:
            try:
                value = int(text, 0) if text.isascii() else None  # int() reads digits of any script
            except ValueError:
                value = None
            if value is not None and (self.minimum or 0) <= value <= (self.maximum or 0):
                return value
        raise UsageError(f"{self.name}={text} is out of range", todo=f"give {self.name} as one of {self.range}")


def param(
    default: Any,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    choices: Iterable[str] = (),
    sweep: Iterable[Any] = (),
    unit: str = "",
    help: str = "",
    hex: bool = False,
    helps: str | Iterable[str] = (),
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    wide: Any = None,
) -> Any:
    """A field of a strategy that users may set. Integers need `minimum` and `maximum`, words need `choices`.

    `helps` names counts that fall as the value grows, as "evictions": where they cost much, compare says so. Of several
    parameters that help the last one that is not 0 counts. `companions` are the tables that a sweep of it is shown in,
    where other parameters decide what sweeping it means: the caption of each, and the others' values in it. A user who
    fixes or sweeps one of these gets a single table. `wide` stands in the default's place for a guest of 64 bits.
    """
    choices = tuple(choices)
    if not choices and (minimum is None or maximum is None):
        raise TypeError("an integer parameter declares its minimum and maximum")
    about = {"minimum": minimum, "maximum": maximum, "choices": choices, "unit": unit, "help": help, "hex": hex}
    about |= {"wide": wide, "sweep": tuple(sweep), "helps": (helps,) if isinstance(helps, str) else tuple(helps)}
    return dataclasses.field(default=default, metadata={"param": about | {"companions": dict(companions or {})}})


Kernel = Callable[..., Any]  # compiled: its signature stands beside its name


@dataclass(frozen=True)
class Kernels:
    """The compiled half of a strategy. `s` is its state, `e` the Emulator, `n` the counters (int64, by Event).

    A kernel that answers returns SETTLED, LOST, CONFLICT or-ed together (emulator/kernel.py); one that has nothing to
    do is `nothing`. Leaving out one of the first six is an error at import. What stands in brackets a kernel may leave
    out of its arguments.
    """

    access: Kernel  # (s, e, n, row): a load or store of RAM, crossing or not
    io: Kernel  # (s, e, n, row): an access to device memory
    execute: Kernel  # (s, e, n[, block]): a block is entered, translated or -1: a marked one (`mark_block`), or the
    # first since an answer of WATCH_EXEC; it may answer so again, or drop the block
    protect: Kernel  # (s, e, n, frame): a frame that held no block is a code page from here on
    flush: Kernel  # (s, e, n[, value, reason]): every translation is dropped: CR3, if it is known (of a guest of 64
    # bits a number for it; 0 is 0), and a FlushReason
    flush_page: Kernel  # (s, e, n, page): the translation of one virtual page is dropped
    # what a scheme may leave out; the loop spends nothing on it then
    fetch: Kernel = nothing  # (s, e, n, row): a block is looked up, before it is entered (fetches.py); row.store is 0
    mapped: Kernel = nothing  # (s, e, n, page[, frame]): a MAP row makes a virtual page known that was not
    translated: Kernel = nothing  # (s, e, n, block): a block was translated, for the first time or again
    sites: bool = False  # does the scheme read `Row.block`?
    spells: bool = False  # does it answer SETTLED_IN_SPELL?


class Strategy:
    """Base of all schemes. A subclass sets the class variables, declares `param` fields, and gives `state`.

    If the state has a field `reserve`, the replay watches its mappings: column `peak_mappings`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # a subclass is a dataclass: its fields are its parameters
    name: ClassVar[str]
    FAST_PATH: ClassVar[str]  # the hit path, one host instruction a line; see `fast_path`
    FAST_PATH_SOURCE: ClassVar[str] = "assumed: the listing"  # where it comes from
    FAST_PATH_RANGE: ClassVar[tuple[float | None, float | None]] = (None, None)  # if assumed: instructions, least, most
    events: ClassVar[Mapping[Any, str]]  # Event -> what it means here; what is missing stays an empty column
    extra_events: ClassVar[tuple[str, ...]] = ()  # names of counters from FIRST_EXTRA on
    code_events: ClassVar[tuple[str, ...]] = ()  # those of them that EXEC rows make: unknown where a trace has no code
    costs: ClassVar[Mapping[Any, Cost]]  # Event, or name of a shape count -> price; see `price_list`
    COMPILED_IN: ClassVar[tuple[str, ...]] = ()  # parameters (words) each value of which is a program of the C half
    engine_costs: ClassVar[Mapping[Any, Cost]] = {}  # of these, where the C half does not do what is modelled
    kernels: ClassVar[Kernels]
    BY_DEFAULT: ClassVar[bool] = True  # is it shown where no scheme is named?
    GROUP: ClassVar[str] = ""  # whom it is shown with by `-s GROUP` (registry.py: GROUPS); empty: with all alone
    LAYOUTS: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)  # what compare shows of it where no scheme is named
    SYSTEM_LAYOUTS: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)  # the same for a system trace
    WIDE_LAYOUTS: ClassVar[tuple[Mapping[str, Any], ...] | None] = None  # of 64 bits, if not as those
    address_bits: int = ADDRESS_BITS  # of the guest that it is for: 32, or 48, 57 or 64 (`of_guest`); no parameter

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(frozen=True, repr=False)(cls)

    @cached_property
    def _spec(self) -> str:
        params = self.params()
        changed = [f",{p.name}={p.text(v)}" for p in params.values() if (v := getattr(self, p.name)) != p.default]
        return self.name + "".join(changed)

    def __str__(self) -> str:
        return self._spec

    __repr__ = __str__

    def of_guest(self, address_bits: int) -> "Strategy":
        """Make the same scheme for a guest of so many bits of addresses: 32, or of those of 64 bits what its trace
        shows, 48, 57 or 64. Raises UsageError where its parameters mean nothing there."""
        if why := self.only_64_bits() if address_bits == ADDRESS_BITS else "":
            raise UsageError(f"is for guests of 64 bits: {why}", where=str(self), todo="leave it out")
        if address_bits == self.address_bits:
            return self
        own = {name: getattr(self, name) for name in self.params()}
        if address_bits != ADDRESS_BITS:
            own |= {p.name: p.wide for p in self.params().values() if p.wide is not None and own[p.name] == p.default}
        other = type(self)(**own)
        object.__setattr__(other, "_spec", str(self))  # which value the default stands for is no other spec
        object.__setattr__(other, "address_bits", address_bits)
        if why := other.only_32_bits() if address_bits != ADDRESS_BITS else "":
            raise UsageError(f"is for guests of 32 bits: {why}", where=str(self), todo="leave it out")
        return other

    def only_32_bits(self) -> str:
        """Why these parameters mean nothing for a guest of 64 bits; empty if they do."""
        return ""

    def only_64_bits(self) -> str:
        """Why these parameters mean nothing for a guest of 32 bits; empty if they do."""
        return ""

    def state(self) -> Any:
        """The scheme's own empty state: arrays, and the parameters that kernels read."""
        raise TypeError(f"strategy {self.name} defines no state()")

    def no_engine(self) -> str:
        """Why these parameters have no live engine, although the scheme has a C half; empty if they have one."""
        return ""

    def lacks(self) -> tuple[str, ...]:
        """Columns of the scheme's events that these parameters leave empty: nothing of the kind can happen."""
        return ()

    def keeps_over_flush(self) -> bool:
        """Does it keep mapped what a FLUSH drops, and compare it with what the guest's page tables say then?"""
        return False

    def own_columns(self) -> tuple[str, ...]:
        """Columns of the scheme's own that these parameters have."""
        return tuple(name for name in self.extra_events if name not in self.lacks())

    def table_bytes(self) -> int:
        """Bytes of the lookup tables that the hit path reads: what is reserved for them."""
        return 0

    def table_lines(self, state: Any) -> int:
        """Distinct 64-byte lines of these tables that the hit path read so far."""
        return 0

    def table_resident_bytes(self, state: Any) -> int | None:
        """Bytes of these tables in memory so far: 4,096 for each of their pages that the hit path, a helper or the
        fault handler touched, each table beginning with a page of its own. None if the scheme does not say."""
        return None if self.table_bytes() else 0

    def reserved_bytes(self) -> int | None:
        """Host address space that the scheme holds; None if the notion has no meaning for it."""
        return None

    def block_of(self, vaddrs: Any) -> Any:
        """The number of the scheme's block that each guest address (an array, uint32) lies in, as an array of integers;
        a block is whole pages. None if the scheme has no blocks."""
        return None

    def conflict(self, page: int) -> str:
        """Why the row that touches `page` cannot be served (a kernel answered CONFLICT)."""
        return f"strategy {self.name} cannot serve virtual page {page:#x}"

    @classmethod
    def params(cls) -> dict[str, Param]:
        fields = dataclasses.fields(cls)
        return {f.name: Param(f.name, f.default, **f.metadata["param"]) for f in fields if "param" in f.metadata}

    def fast_path(self) -> str:
        """The hit path of these parameters; FAST_PATH is that of the defaults."""
        return self.FAST_PATH

    def hit_insns(self) -> int:
        """Host instructions of the hit path, counted from its listing."""
        return sum(1 for line in self.fast_path().splitlines() if is_instruction(line))

    @classmethod
    def columns(cls) -> dict[str, int]:
        """Column name -> place in the counter array, of the counters that this scheme has."""
        standard = {e.column: int(e) for e in Event if e in cls.events}
        return standard | {name: FIRST_EXTRA + i for i, name in enumerate(cls.extra_events)}

    @classmethod
    def column_of(cls, at: int) -> str:
        """The name of the counter at this place, also of an event that the scheme forgot to declare."""
        return _column(at, {place: name for name, place in cls.columns().items()})

    def price_list(self) -> dict[str, Cost]:
        """Count -> price of one. `units8` is the hit path: an access of more than 8 bytes is as many of 8 bytes.

        What is not here is free, or priced through something that is (`faults_*` make calls, which are priced apart).
        """
        least, most = self.FAST_PATH_RANGE
        hit = Cost(access=1, hit=self.hit_insns(), source=self.FAST_PATH_SOURCE, least=least, most=most)
        shared = {e.column: cost for e, cost in SHARED_COSTS.items() if e in self.events}
        listed = {"units8": hit} | shared | self._by_column(self.costs)
        lacks = {*self.lacks()} - {e.column for e in FAULTS}  # what is no fault here may be one of a guest of 64 bits
        return {name: cost for name, cost in listed.items() if name not in lacks}

    def engine_price_list(self) -> dict[str, Cost]:
        """The same for the live engine, where the C half does not do what the scheme models. None of them walks the
        guest's page table, for a trace holds none."""
        listed = {name: dataclasses.replace(cost, walk=0) for name, cost in self.price_list().items()}
        return listed | self._by_column(self.engine_costs)

    def _by_column(self, costs: Mapping[Any, Cost]) -> dict[str, Cost]:
        named = {at: name for name, at in self.columns().items()}
        return {_column(key, named): cost for key, cost in costs.items()}

    def result(self, n: Any, state: Any) -> dict[str, int]:
        """Event columns of a replay, from the counter array. Columns that the scheme does not have are missing."""
        lacks = self.lacks()
        counts = {column: int(n[at]) for column, at in self.columns().items() if column not in lacks}
        counts["faults"] = sum(counts.get(e.column, 0) for e in FAULTS)
        if self.events.keys() & CALLS:
            counts["host_calls"] = sum(counts[e.column] for e in CALLS)
        counts |= {"table_bytes": self.table_bytes(), "table_lines": self.table_lines(state)}
        more = {"reserved_bytes": self.reserved_bytes(), "table_resident_bytes": self.table_resident_bytes(state)}
        return counts | {name: size for name, size in more.items() if size is not None}


def _column(key: int | str, named: Mapping[int, str]) -> str:
    """The column that a key of `costs` means, also of an event that the scheme forgot to declare."""
    if isinstance(key, str):
        return key
    return named[key] if key in named else list(Event)[key].column


def is_instruction(line: str) -> bool:
    """Does this line of an assembly listing hold an instruction? (Not a comment, label or blank line.)"""
    code = line.partition(";")[0].strip()
    return bool(code) and not code.endswith(":")
