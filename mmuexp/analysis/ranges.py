"""What a sweep varies: RANGE texts, whose parameter it is, and the Cartesian product as strategies.

12..22      12..22:2      8,64,512      12..14,20      fifo,lifo
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from mmuexp.errors import UsageError, did_you_mean
from mmuexp.trace.loadseed import FIRST_SEEDS, LOAD_SEED, seeds_of

MAX_RUNS = 1024  # of one sweep; each holds a scheme's state in memory, or waits for its turn

Companions = Mapping[str, Mapping[str, Mapping[str, Any]]]  # parameter -> caption of a table -> the others' values


@dataclass(frozen=True)
class Combination:
    """One run of a sweep: the strategy, and the value of each parameter column."""

    strategy: Any
    values: dict[str, Any]


def plan(params: str | Iterable[str] | Mapping[str, Any], strategy: Any = None) -> list[Combination]:
    """The runs of a sweep. `strategy` is a spec, None the only one that has the parameters. Raises UsageError."""
    from mmuexp.strategy.registry import all_strategies

    ranges = parse_ranges(params)
    seeds = load_seeds(ranges)
    ranges.pop(LOAD_SEED, None)
    if strategy is None and not ranges:
        known = " or ".join(f"-s {name}" for name in all_strategies())
        raise UsageError(f"{LOAD_SEED} is a parameter of traces, under any strategy", todo=f"say {known}")
    found = _plan(ranges, strategy)
    count = len(found) * len(seeds or [0])
    if count > MAX_RUNS:
        raise UsageError(f"the sweep has {count} combinations, more than {MAX_RUNS}", todo="give narrower ranges")
    return found


def load_seeds(params: str | Iterable[str] | Mapping[str, Any]) -> list[int] | None:
    """The load addresses that a sweep asks for, 0 as recorded; None if it does not sweep them. Raises UsageError."""
    ranges = parse_ranges(params)
    if LOAD_SEED not in ranges:
        return None
    given = ranges[LOAD_SEED]
    return list(FIRST_SEEDS) if given is None else seeds_of(given)


def _plan(ranges: Mapping[str, list[str] | None], strategy: Any) -> list[Combination]:
    from mmuexp.strategy.registry import all_strategies, given_strategy

    if strategy is None:
        return combinations(owner(ranges, all_strategies()), ranges)
    _check_named(strategy)
    return combinations(strategy if isinstance(strategy, str) else str(given_strategy([strategy])), ranges)


def _check_named(strategy: Any) -> None:
    if isinstance(strategy, str) and not strategy.strip():
        raise UsageError("no strategy is named", where="-s", todo="name one, or leave it out")


def expand(text: str, *, what: str = "RANGE") -> list[str]:
    """The values that a RANGE names, as texts, in order and each once. Raises UsageError."""
    if not text.isascii():  # Python takes the digits of any script for a number
        raise UsageError(f"{text!r} is not a range", where=what, todo="write digits 0..9, as in 12..22")
    values: list[str] = []
    for part in text.split(","):
        part = part.strip()
        if not part:
            raise UsageError(f"{text!r} has an empty part", where=what, todo="write 12..22, 12..22:2 or 8,64,512")
        values.extend(_span(part, what) if ".." in part else [part])
    return list(dict.fromkeys(values))


def _span(part: str, what: str) -> list[str]:
    todo = "write FIRST..LAST or FIRST..LAST:STEP, in whole numbers"
    ends, _, step_text = part.partition(":")
    first_text, _, last_text = ends.partition("..")
    try:
        first, last, step = int(first_text, 0), int(last_text, 0), int(step_text or "1", 0)
    except ValueError:
        raise UsageError(f"{part!r} is not a range", where=what, todo=todo) from None
    if step < 1 or (":" in part and not step_text):
        raise UsageError(f"the step of {part!r} is not at least 1", where=what, todo=todo)
    if last < first:
        raise UsageError(f"{part!r} ends before it begins", where=what, todo=f"write {last_text}..{first_text}")
    if (last - first) // step >= MAX_RUNS:
        raise UsageError(f"{part!r} names more than {MAX_RUNS} values", where=what, todo="give it a larger step")
    return [str(value) for value in range(first, last + 1, step)]


def normal(name: str) -> str:
    """A parameter as the user may write it -> as it is declared."""
    return name.strip().lower().replace("-", "_")


def parse_ranges(params: str | Iterable[str] | Mapping[str, Any]) -> dict[str, list[str] | None]:
    """Texts "PARAM" or "PARAM=RANGE", or a mapping to values -> {param: value texts, None = as declared}."""
    items: list[tuple[str, list[str] | None]]
    if not isinstance(params, Iterable) or not all(isinstance(one, str) for one in params):
        raise UsageError(f"{params!r} names no parameters", todo="give 'map_block_bits=12..22', or several in a list")
    if isinstance(params, Mapping):
        items = [(name, None if given is None else _listed(given)) for name, given in params.items()]
    else:
        items = [_parse_one(text) for text in ([params] if isinstance(params, str) else params)]
    if not items:
        raise UsageError("no parameter to sweep", todo="name one, as in `mmuexp sweep MAP_BLOCK_BITS`")
    ranges: dict[str, list[str] | None] = {}
    for name, values in items:
        if normal(name) in ranges:
            raise UsageError(f"{name} is given twice", todo="join its values with commas")
        ranges[normal(name)] = values
    return ranges


def params_and_files(words: Iterable[str], strategy: str | None = None) -> tuple[list[str], list[str]]:
    """The words of a command line, told apart: parameters, with their ranges or without, and files.

    A file is what exists, has a folder or ends in .arrow, unless a strategy declares a parameter of that name.
    """
    from mmuexp.strategy.registry import all_strategies, parse_spec

    _check_named(strategy)
    classes = all_strategies().values() if strategy is None else [parse_spec(strategy)]
    declared = {LOAD_SEED} | {name for one in classes for name in one.params()}

    def is_file(word: str) -> bool:
        if normal(word.partition("=")[0]) in declared:
            return False
        return os.path.exists(word) or os.sep in word or word.endswith(".arrow")

    words = list(words)
    return [word for word in words if not is_file(word)], [word for word in words if is_file(word)]


def _listed(values: Any) -> list[str]:
    if isinstance(values, str):
        return expand(values)
    return list(dict.fromkeys(str(value) for value in (values if isinstance(values, Iterable) else [values])))


def _parse_one(text: str) -> tuple[str, list[str] | None]:
    name, equals, values = text.partition("=")
    if not equals and not normal(name).isidentifier() and Path(text).is_file():
        raise UsageError(f"{text} is a file, not a parameter", todo="give recordings as `traces`")
    if not name.strip():
        raise UsageError(f"{text!r} names no parameter", todo="write PARAM or PARAM=RANGE")
    return name, expand(values, what=name) if equals else None


def owner(names: Iterable[str], classes: Mapping[str, Any]) -> str:
    """The one strategy that declares all these parameters. Raises UsageError if none or several do."""
    names = list(names)
    declared = {name: [s for s, cls in classes.items() if name in cls.params()] for name in names}
    for name, owners in declared.items():
        if not owners:
            known = sorted({p for cls in classes.values() for p in cls.params()})
            todo = did_you_mean(name, known, f"there are {', '.join(known)}")
            raise UsageError(f"no strategy has a parameter {name}", todo=todo)
    common = [s for s in classes if all(s in owners for owners in declared.values())]
    if len(common) == 1:
        return common[0]
    if common:
        said = " or ".join(f"-s {s}" for s in common)
        raise UsageError(f"{', '.join(names)} is a parameter of {' and '.join(common)}", todo=f"say {said}")
    each = "; ".join(f"{name}: {', '.join(owners)}" for name, owners in declared.items())
    raise UsageError(f"no strategy has all of {', '.join(names)}", todo=f"they belong to different ones ({each})")


def combinations(spec: str, ranges: Mapping[str, list[str] | None]) -> list[Combination]:
    """Every strategy of the sweep, with its parameter columns. `spec` may fix further keys: map-block,evict=lifo.

    A table of companions leaves out what it has no room for: a pool of 64 MiB a block of 64 MiB and a page.
    """
    from mmuexp.strategy.registry import parse_spec

    base = parse_spec(spec)
    declared = base.params()
    fixed = {normal(setting.partition("=")[0]) for setting in spec.split(",")[1:]}
    lists: dict[str, list[str]] = {}
    for name, values in ranges.items():
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise UsageError(f"{base.name} has no parameter {name}", todo=f"its parameters: {known}")
        if name in fixed:
            raise UsageError(f"{name} is both fixed by -s and swept", todo="take it out of one of them")
        lists[name] = values if values is not None else [declared[name].text(v) for v in declared[name].sweep or ()]
        if not lists[name]:
            raise UsageError(f"{name} declares no range of its own", todo=f"give one: {name}={declared[name].range}")
    free = [declared[name].companions for name in lists if not _others(declared[name].companions) & (fixed | {*lists})]
    extra: list[Mapping[str, Any]] = next((list(variants.values()) for variants in free if variants), [{}])
    count = len(extra) * prod(map(len, lists.values()))
    if count > MAX_RUNS:
        raise UsageError(f"the sweep has {count} combinations, more than {MAX_RUNS}", todo="give narrower ranges")
    columns = (*lists, *(name for name in extra[0] if name not in lists))
    found = []
    for also in extra:
        for chosen in product(*lists.values()):
            asked = dict(zip(lists, chosen, strict=True))
            try:
                strategy = parse_spec(_spelled(spec, {**asked, **also}))
            except UsageError:
                parse_spec(_spelled(spec, asked))  # is it what was asked for that is wrong?
                if not also:
                    raise
                continue
            found.append(Combination(strategy, {c: getattr(strategy, c) for c in columns}))
    return found


def _spelled(spec: str, settings: Mapping[str, Any]) -> str:
    return ",".join([spec, *(f"{key}={value}" for key, value in settings.items())])


def companions_of(schemes: Iterable[Any]) -> Companions:
    """What the parameters of these schemes declare (strategy.param)."""
    return {p.name: p.companions for scheme in schemes for p in scheme.params().values() if p.companions}


def _others(variants: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {key for settings in variants.values() for key in settings}


def tables_of(
    rows: Sequence[Mapping[str, Any]], parameters: Sequence[str], companions: Companions
) -> list[tuple[str, list, set[str]]]:
    """(caption, rows, the parameters that the caption tells) of each table that a trace is shown in.

    A sweep of a parameter with companions has a table for each of them.
    """
    for name, variants in companions.items():
        others = _others(variants)
        if name in parameters and others <= {*parameters}:
            found = []
            for caption, settings in variants.items():
                fits = [row for row in rows if row[name] is None or settings.items() <= row.items()]
                if any(row[name] is not None for row in fits):
                    found.append((caption, fits, others))
            if sum(row[name] is not None for _, g, _ in found for row in g) == sum(r[name] is not None for r in rows):
                return found
    return [("", list(rows), set())]
