"""Find strategies: our own in strategies/, a third party's by entry point (`mmuexp.strategies`), a file's; by spec."""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from mmuexp.arguments import listed
from mmuexp.errors import MmuexpError, UsageError, did_you_mean, shown
from mmuexp.guest import ADDRESS_BITS, WIDE_BITS
from mmuexp.runtime import interrupt
from mmuexp.strategy import Strategy
from mmuexp.strategy.bounds import has_passed, is_own
from mmuexp.strategy.mistakes import declared, line_of, place_of
from mmuexp.strategy.sourcefiles import remember_loaded

GROUP = "mmuexp.strategies"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ORDER = ("softmmu", "byte-lookup", "map-block", "qemu-fast")  # as the story is told; others follow by name


_of_files: dict[str, type[Strategy]] = {}  # by name, of files that this process has read
_files: dict[type[Strategy], Path] = {}  # as they were named


@lru_cache(maxsize=1)
def _own() -> dict[str, type[Strategy]]:
    package = importlib.import_module("mmuexp.strategies")
    found: dict[str, type[Strategy]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        found |= {c.name: c for c in strategies_in(importlib.import_module(f"{package.__name__}.{module.name}"))}
    return dict(sorted(found.items(), key=lambda kv: (ORDER.index(kv[0]) if kv[0] in ORDER else len(ORDER), kv[0])))


def third_parties() -> dict[str, EntryPoint]:
    """Registered strategies of other packages, not yet imported: entry point name -> entry point."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_third_party(point: EntryPoint) -> type[Strategy]:
    """Import one. Raises MmuexpError in one line whatever its module does."""
    where = f"strategy {point.name} (entry point {point.value})"
    began_ns, before = time.time_ns(), set(sys.modules)
    try:
        cls = point.load()
    except BaseException as error:  # its module may do anything, sys.exit included
        interrupt.raise_if_asked()
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise MmuexpError(what, where=where, todo="mend or uninstall its package") from error
    _checked(cls, where)
    declared(cls)
    remember_loaded(sys.modules[cls.__module__], began_ns, before)
    return cls


def _checked(cls: object, where: str) -> type[Strategy]:
    if not (inspect.isclass(cls) and issubclass(cls, Strategy)):
        raise MmuexpError("is not a subclass of mmuexp.strategy.Strategy", where=where)
    name = getattr(cls, "name", "x")
    if not isinstance(name, str):
        raise MmuexpError(f"has the name {name!r}, no text", where=line_of(cls, "name"), todo="name it 'x'")
    if not NAME.fullmatch(name):
        what = f"has the name {cls.name!r}, which no SPEC can hold"
        raise MmuexpError(what, where=where, todo="name it with letters, digits, - and _")
    missing = [a for a in ("name", "FAST_PATH", "events", "costs", "kernels") if not hasattr(cls, a)]
    if missing:
        raise MmuexpError(f"lacks {', '.join(missing)}", where=where, todo="see `mmuexp strategy check FILE`")
    return cls


def strategies_in(module: ModuleType) -> list[type[Strategy]]:
    """The strategies that a module defines, in the order in which it does."""
    found = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, Strategy)]
    return [c for c in found if c.__module__ == module.__name__]


@cache
def strategies_of_file(path: Path) -> list[type[Strategy]]:
    """Import a Python file apart from any package; its strategies. Raises MmuexpError."""
    # two folders may each have an own.py, and numba wants a name that is UTF-8
    name = f"mmuexp_file_{sha256(os.fsencode(path.absolute())).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.exists():
        todo = "name the .py file that holds the strategy"
        raise MmuexpError("no such file or directory", where=str(path), todo=todo)
    if spec is None or spec.loader is None or not path.is_file():
        raise MmuexpError("is not a Python file", where=str(path), todo="give the .py file that holds the strategy")
    module = importlib.util.module_from_spec(spec)
    began_ns, before = time.time_ns(), set(sys.modules)
    sys.modules[name] = module  # numba looks the kernels' module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # somebody's file may do anything, sys.exit included
        interrupt.raise_if_asked()
        at = place_of(error, {str(path.absolute())}) or str(path)
        raise MmuexpError(f"cannot be imported: {type(error).__name__}: {error}", where=at) from error
    remember_loaded(module, began_ns, before)
    found = strategies_in(module)
    if not found:
        raise MmuexpError("holds no subclass of Strategy", where=str(path), todo="see strategies/map_block.py")
    _of_files.update({c.name: c for c in (_checked(c, str(path)) for c in found)})
    _files.update(dict.fromkeys(found, path))
    return found


def all_strategies(*, broken: list[MmuexpError] | None = None) -> dict[str, type[Strategy]]:
    """Every strategy there is, by name. One that cannot be imported is put in `broken`, and left out."""
    found = dict(_own())
    for name, point in third_parties().items():
        if name in found:
            if broken is not None:
                what = "has the name of a scheme of mmuexp and is left out"
                broken.append(MmuexpError(what, where=f"strategy {name} (entry point {point.value})", todo="rename it"))
            continue
        try:
            found[name] = load_third_party(point)
        except MmuexpError as error:
            if broken is not None:
                broken.append(error)
    return found


def is_ours(name: str) -> bool:
    """Is this the name of a scheme that comes with mmuexp?"""
    return name in _own()


def namesake(cls: type[Strategy]) -> bool:
    """Has somebody's scheme the name of one of ours?"""
    return cls.name in _own() and cls is not _own()[cls.name]


def strategy_class(name: str) -> type[Strategy]:
    """The class of this name, or of the one strategy in the file NAME.py.

    Raises UsageError (unknown), MmuexpError (a file or a third party's package is broken).
    """
    if name.endswith(".py"):
        classes = strategies_of_file(Path(name))
        if len(classes) > 1:
            raise MmuexpError(f"holds {len(classes)} strategies", where=name, todo="keep one a file")
        declared(classes[0])
        return classes[0]
    return installed_class(name)


def installed_class(name: str) -> type[Strategy]:
    """The class of this name, of ours and of installed packages. No file is read: `name` may be what a result holds.

    Raises UsageError (unknown), MmuexpError (a third party's package is broken).
    """
    wanted = name.strip().lower().replace("_", "-")
    own = _own()
    if wanted in own:  # before it is asked what is installed, which reads a file of each package
        return own[wanted]
    others = third_parties()
    if wanted in others:
        return load_third_party(others[wanted])
    known = [*own, *others]
    todo = did_you_mean(wanted, known, f"there are {', '.join(known)}")
    raise UsageError(f"no strategy is called {name!r}", todo=todo)


def unchecked(strategies: Iterable[Strategy]) -> list[dict[str, str]]:
    """Name the schemes of others whose source never passed `strategy check`, each with what that is to be given."""
    found: dict[str, str] = {}
    classes: dict[type[Strategy], None] = dict.fromkeys(type(one) for one in strategies)
    for cls in classes:
        if not is_own(cls) and not has_passed(cls):
            installed = cls not in _files and cls.name in third_parties()
            found[cls.name] = cls.name if installed else shown(str(_files.get(cls, "FILE")))
    return [{"scheme": name, "check": given} for name, given in found.items()]


def known_classes(specs: Iterable[str]) -> list[type[Strategy]]:
    """The classes of the schemes that a result names: installed ones, and those of files that were read already."""
    found = []
    for name in dict.fromkeys(spec.partition(",")[0] for spec in specs):
        try:
            found.append(installed_class(name))
        except MmuexpError:
            if name in _of_files:
                found.append(_of_files[name])
    return found


def parse_spec(text: str) -> Strategy:
    """`name` or `name,key=value,...` -> strategy. Keys are case-insensitive. Raises UsageError, MmuexpError."""
    name, *settings = text.split(",")
    return parse_settings(strategy_class(name), settings, text)


def parse_saved(text: str, known: Mapping[str, type[Strategy]] | None = None) -> Strategy:
    """Parse a spec that a saved result holds: by `known` classes, else by installed ones; no file is read for it.

    Raises UsageError, MmuexpError.
    """
    name, *settings = text.split(",")
    return parse_settings((known or {}).get(name) or installed_class(name), settings, text)


def parse_settings(cls: type[Strategy], settings: list[str], where: str) -> Strategy:
    """`key=value` texts -> strategy of this class. Raises UsageError."""
    params, given = cls.params(), {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().lower()
        if not equals or key not in params:
            if key in params:
                todo = f"write {key}={params[key].text(params[key].default)}, or one of {params[key].range}"
            else:
                todo = did_you_mean(key, params, f"its keys are {', '.join(params) or '(none)'}")
            what = f"{setting!r} is not key=value" if not equals else f"{cls.name} has no key {key!r}"
            raise UsageError(what, where=where, todo=todo)
        if key in given:
            raise UsageError(f"key {key!r} is given twice", where=where, todo="give it once")
        given[key] = params[key].parse(value.strip())
    try:
        return cls(**given)
    except ValueError as error:  # a combination that cannot be
        spec = ",".join([cls.name, *(f"{k}={v}" for k, v in given.items())])
        raise UsageError(str(error), where=spec, todo=f"see `mmuexp strategy show {cls.name}`") from None


TODAY, ALL = "today", "all"
GROUPS = {
    "mail": "the four schemes of 2004, some in several settings",
    TODAY: "what emulators are built with now, in their usual settings",
    ALL: "every scheme",
}


GUESTS = (("user", ADDRESS_BITS), ("system", ADDRESS_BITS), ("system", WIDE_BITS))  # which have other layouts


@dataclass(frozen=True)
class Group:
    """Schemes that are named together, some of them in several layouts, for system traces in others."""

    name: str  # of GROUPS; empty: what is shown where none is named

    def of(self, mode: str, address_bits: int) -> list[Strategy]:
        """Make its strategies for a trace."""
        found: list[Strategy] = []
        for cls in all_strategies().values():
            if cls.BY_DEFAULT if not self.name else self.name in (ALL, cls.GROUP):
                layouts = cls.SYSTEM_LAYOUTS if mode == "system" else cls.LAYOUTS
                if mode == "system" and address_bits != ADDRESS_BITS and cls.WIDE_LAYOUTS is not None:
                    layouts = cls.WIDE_LAYOUTS
                found += [cls(**one) for one in layouts]
        return found


def default_strategies(mode: str, address_bits: int = ADDRESS_BITS) -> list[Strategy]:
    """What compare shows when no -s is given."""
    return Group("").of(mode, address_bits)


def given_schemes(given: Any) -> list[Any]:
    """Make a Group of each name of GROUPS that a caller names, and strategies of the rest. Raises UsageError."""
    todo = "give specs as in 'map-block,evict=lifo', or Strategy objects"
    found: list[Any] = []
    for one in listed(given, (str, Strategy), "strategies", todo):
        name = one.strip().lower() if isinstance(one, str) else ""
        found += [Group(name)] if name in GROUPS else given_strategies(one)
    return found or given_strategies([])


def schemes_for(given: Iterable[Any], mode: str, address_bits: int = ADDRESS_BITS) -> list[Any]:
    """Make strategies of what `given_schemes` made, for a trace: each once. Raises UsageError."""
    each = [one.of(mode, address_bits) if isinstance(one, Group) else [one] for one in given]
    return given_strategies([strategy for found in each for strategy in found])


def given_strategies(given: Any, what: str = "strategies") -> list[Any]:
    """Make strategies of what a caller names: specs or Strategy objects, one or several. Raises UsageError."""
    todo = "give specs as in 'map-block,evict=lifo', or Strategy objects"
    found: dict[str, Strategy] = {}
    for one in listed(given, (str, Strategy), what, todo):
        strategy = one if isinstance(one, Strategy) else parse_spec(one)
        other = found.setdefault(str(strategy), strategy)
        if type(other) is not type(strategy):
            where = f"strategy {strategy}"
            raise UsageError("two schemes have this name", where=where, todo="rename yours in its file")
    if not found:
        raise UsageError("no strategy is named", todo="leave the list out for all of them")
    return list(found.values())


def given_strategy(given: Any, what: str = "strategy", several: str = "strategies") -> Any:
    """Make the one strategy that a caller names as its argument `what`. Raises UsageError."""
    found = given_strategies(given, what)
    if len(found) > 1:
        raise UsageError(f"{len(found)} {several}", where=what, todo="give one")
    return found[0]


def possible_schemes(strategies: Any, reference: Any = None) -> list[Any]:
    """The strategies that a result of `compare` may hold, known before any trace is opened; as `compare` takes them."""
    given = [Group("")] if strategies is None else given_schemes(strategies)
    named = [one for guest in GUESTS for one in schemes_for(given, *guest)]
    base = [] if reference is None else given_strategies(reference, "reference")
    return list({str(strategy): strategy for strategy in [*named, *base]}.values())


def own_columns(strategies: Iterable[Any]) -> list[str]:
    """The columns that these strategies add to a result's."""
    return list(dict.fromkeys(name for strategy in strategies for name in strategy.own_columns()))
