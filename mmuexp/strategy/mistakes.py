"""A mistake in somebody else's scheme, told as its own: one line, with the file and the line where it is.

What a scheme declares is looked at before anything is done with it (`declared`). What its code raises while it runs is
turned into an MmuexpError by `blamed`, whatever it is: a scheme that calls sys.exit has failed like any other.
"""

import ast
import inspect
import os
import re
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import numba
import numpy as np

from mmuexp.emulator.kernel import INSIDE
from mmuexp.emulator.state import Row
from mmuexp.errors import MmuexpError
from mmuexp.events import FIRST_EXTRA, Event
from mmuexp.runtime import interrupt
from mmuexp.strategy import Cost, Kernels, Param, Strategy
from mmuexp.strategy.bounds import is_own
from mmuexp.strategy.sourcefiles import modules_of

CALLED_WITH = {"access": "s, e, n, row", "io": "s, e, n, row", "execute": "s, e, n, block"}
CALLED_WITH |= {"protect": "s, e, n, frame", "flush": "s, e, n, value, reason", "flush_page": "s, e, n, page"}
CALLED_WITH |= {"fetch": "s, e, n, row", "mapped": "s, e, n, page, frame", "translated": "s, e, n, block"}
MAY_LEAVE_OUT = {"execute": 1, "flush": 2, "mapped": 1}  # so many of the last arguments
COLUMN = re.compile(r"[a-z][a-z0-9_]*")


class Mistake(MmuexpError):
    """What somebody else's scheme raised."""


@contextmanager
def blamed(cls: type[Strategy]) -> Iterator[None]:
    """What is raised inside comes of this scheme, and is told as its mistake; what our own raise stays as it is."""
    try:
        yield
    except MmuexpError:
        raise
    except BaseException as error:  # somebody's code may do anything, sys.exit included
        interrupt.raise_if_asked()
        if is_own(cls):
            raise
        raise told(error, cls) from error


def told(error: BaseException, cls: type[Strategy]) -> Mistake:
    """The one line that says what a scheme raised, and where in its files."""
    place = place_of(error, scheme_files(cls)) or line_of(cls)
    todo = f"mend the scheme; `mmuexp strategy check {_file(cls)}` tries it"
    return Mistake(f"strategy {cls.name}: {what_of(error)}", where=place, todo=todo)


def wrong_answer(cls: type[Strategy], state: Any, emulator: Any, n: np.ndarray) -> MmuexpError | None:
    """The first kernel whose answer is not a whole number, if there is one; asked when a loop could not be compiled."""
    row = Row(*(0 for _ in Row._fields))
    for name in ("access", "io", "fetch"):
        python = getattr(cls.kernels, name).py_func
        alone = numba.njit(**INSIDE)(python)
        try:
            alone.compile(tuple(numba.typeof(value) for value in (state, emulator, n, row)))
        except (numba.core.errors.NumbaError, TypeError):
            continue  # what is wrong with it is told by the loop
        answer = numba.types.unliteral(alone.nopython_signatures[-1].return_type)
        if not isinstance(answer, numba.types.Integer | numba.types.Boolean):
            code = python.__code__
            what = f"strategy {cls.name}: the kernel {name} returns {answer}, no whole number on some way through"
            todo = "return SETTLED, LOST and the like, or-ed together, or 0"
            return Mistake(what, where=f"{code.co_filename}:{code.co_firstlineno}", todo=todo)
    return None


def conflict_of(strategy: Strategy, page: int) -> str:
    """Why a scheme cannot serve a page, in its own words. Raises MmuexpError if these are not text."""
    with blamed(type(strategy)):
        why = strategy.conflict(page)
    if not isinstance(why, str):
        raise _mistake(type(strategy), "conflict", f"conflict() gives {why!r}", "return a text")
    return why


def blocks_of(strategy: Strategy, vaddrs: np.ndarray) -> np.ndarray | None:
    """The scheme's block of each address, None if it has no blocks. Raises MmuexpError for what is neither."""
    with blamed(type(strategy)):
        blocks = strategy.block_of(vaddrs)
        if blocks is None:
            return None
        blocks = np.asarray(blocks)
    if blocks.shape != vaddrs.shape or blocks.dtype.kind not in "iu":
        what = f"block_of() gives {blocks.dtype}{list(blocks.shape)} for {len(vaddrs)} addresses"
        raise _mistake(type(strategy), "block_of", what, "return None, or a whole number for each address")
    return blocks


def somebodys(error: BaseException) -> MmuexpError | None:
    """As `told`, of the scheme in whose file the error was raised; None if it came of none."""
    left: list[type] = [Strategy]
    classes: list[type] = []
    while left:
        below: list[type] = left.pop().__subclasses__()
        left, classes = left + below, classes + below
    for cls in classes:
        if not is_own(cls) and cls.__module__ in sys.modules and place_of(error, scheme_files(cls)):
            return told(error, cls)
    return None


@cache
def _libraries() -> set[str]:
    """The packages that mmuexp itself uses: what passes through them need not come of a scheme that imports them."""
    try:
        asked = requires("mmuexp") or []
    except PackageNotFoundError:
        return set()
    return {re.split(r"[^\w.-]", one)[0].replace("-", "_") for one in asked if "extra ==" not in one}


def scheme_files(cls: type[Strategy]) -> set[str]:
    """The files that a scheme's author wrote."""
    try:
        files = modules_of(sys.modules[cls.__module__])
        return {str(path) for path, name in files.items() if name.partition(".")[0] not in _libraries()}
    except (OSError, SyntaxError, ValueError):
        return {_file(cls)}


def what_of(error: BaseException) -> str:
    """The type and the words of an error; of numba's, which go over many lines, those that tell something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    starts = ("Unknown attribute", "No implementation", "NameError", "Untyped global", "Cannot unify")
    telling = [line for line in lines if line.startswith(starts)]
    said = (telling or [line for line in lines if not line.startswith("Failed in nopython mode")] or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def place_of(error: BaseException, files: Collection[str]) -> str:
    """FILE:LINE where an error was raised, the innermost that lies in one of these files; empty if none does."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f"{frame.filename}:{frame.lineno}"
    for path, line in re.findall(r"at (/[^\n]*?) \((\d+)\)", str(error)):  # numba says where it could not compile
        if path in files:
            return f"{path}:{line}"
    for path, line in re.findall(r'File "([^"\n]+)", line (\d+)', str(error)):
        if os.path.abspath(path) in files:
            return f"{os.path.abspath(path)}:{line}"
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{error.filename}:{error.lineno}"
    return ""


def _file(cls: type[Strategy]) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__


def line_of(cls: type[Strategy], name: str = "") -> str:
    """FILE:LINE where a class sets or defines `name`, or else where it begins."""
    file = _file(cls)
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return file
    found = next((n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__), None)
    if found is None:
        return file
    for node in found.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        if name and any(name in (getattr(t, "id", None), getattr(t, "name", None)) for t in targets):
            return f"{file}:{node.lineno}"
    return f"{file}:{found.lineno}"


def _mistake(cls: type[Strategy], name: str, what: str, todo: str) -> MmuexpError:
    return MmuexpError(f"strategy {cls.name}: {what}", where=line_of(cls, name), todo=todo)


def declared(cls: type[Strategy]) -> None:
    """Raises MmuexpError if what a scheme declares of itself cannot be: the first wrong thing, with its line."""
    for name in ("FAST_PATH", "FAST_PATH_SOURCE"):
        if not isinstance(getattr(cls, name), str):
            raise _mistake(cls, name, f"{name} is {getattr(cls, name)!r}, no text", "give the instructions, one a line")
    extra = cls.extra_events
    if not isinstance(extra, tuple | list) or not all(isinstance(one, str) and COLUMN.fullmatch(one) for one in extra):
        todo = "name its own counters in small letters, as ('name', ...)"
        raise _mistake(cls, "extra_events", f"extra_events is {extra!r}", todo)
    known = {event.column for event in Event}
    if twice := [one for one in extra if one in known or list(extra).count(one) > 1]:
        raise _mistake(cls, "extra_events", f"extra_events: {twice[0]} is a column already", "choose another name")
    code = cls.code_events
    if not isinstance(code, tuple | list) or not set(map(str, code)) <= set(extra):
        raise _mistake(cls, "code_events", f"code_events is {code!r}", "name some of extra_events")
    _mapping(cls, "events", "give Event -> what it means; name others in extra_events", str)
    _mapping(cls, "costs", "give Event -> Cost(...)", Cost)
    _kernels(cls)
    for name in ("LAYOUTS", "SYSTEM_LAYOUTS", "WIDE_LAYOUTS"):
        if (layouts := getattr(cls, name)) is None and name == "WIDE_LAYOUTS":
            continue
        listed = layouts if isinstance(layouts, tuple | list) else [layouts]
        left_out = name == "LAYOUTS" and layouts == ()  # programs show nothing of it
        if not all(isinstance(layout, Mapping) for layout in listed) or not (layouts or left_out):
            raise _mistake(cls, name, f"{name} is {layouts!r}", "give dicts of parameters, as ({},)")
    for one in cls.params().values():
        if unknown := [name for name in one.helps if name not in cls.columns()]:
            what = f"{one.name} helps {unknown[0]!r}, which it does not count"
            raise _mistake(cls, one.name, what, f"it counts {', '.join(cls.columns())}")
        _companions(cls, one)
    with blamed(cls):
        strategy = cls()
        _answers(strategy)


def _companions(cls: type[Strategy], one: Param) -> None:
    for settings in one.companions.values():
        others = cls.params().keys() - {one.name}
        if not isinstance(settings, Mapping) or not settings or not settings.keys() <= others:
            what = f"the companions of {one.name} hold {settings!r}"
            raise _mistake(cls, one.name, what, f"give values of {', '.join(sorted(others)) or 'other parameters'}")


def _mapping(cls: type[Strategy], name: str, todo: str, kind: type) -> None:
    """Every event of `events` and `costs` is one that is there; a cost may be that of a shape count, by its name."""
    given = getattr(cls, name)
    if not isinstance(given, Mapping):
        raise _mistake(cls, name, f"{name} is {given!r}, no dict", todo)
    places = range(FIRST_EXTRA + len(cls.extra_events))
    for event, value in given.items():
        known = event in places if isinstance(event, int) else name == "costs" and isinstance(event, str)
        if not known or not isinstance(value, kind):
            raise _mistake(cls, name, f"{name} holds {event!r}: {value!r}", todo)


def _kernels(cls: type[Strategy]) -> None:
    if not isinstance(cls.kernels, Kernels):
        raise _mistake(cls, "kernels", f"kernels is {cls.kernels!r}", "give Kernels(access=..., ...)")
    for name, arguments in CALLED_WITH.items():
        function = getattr(cls.kernels, name)
        python = getattr(function, "py_func", function if numba.config.DISABLE_JIT else None)
        if not callable(python):
            code = getattr(function, "__code__", None)
            place = f"{code.co_filename}:{code.co_firstlineno}" if code else line_of(cls, "kernels")
            what = f"strategy {cls.name}: {name} is not a kernel"
            raise MmuexpError(what, where=place, todo="write @kernel above its def")
        given = arguments.split(", ")
        may_be = [given[: -MAY_LEAVE_OUT[name]], given] if name in MAY_LEAVE_OUT else [given]
        if not any(_can_be_given(python, form) for form in may_be):
            place = f"{python.__code__.co_filename}:{python.__code__.co_firstlineno}"
            forms = " or ".join(f"def {python.__name__}({', '.join(form)})" for form in may_be)
            what = f"strategy {cls.name}: the kernel {name} is not {forms}"
            raise MmuexpError(what, where=place)
    if cls.kernels.spells and not {Event.FAULTS_SOFTMMU, Event.SOFTMMU_ACCESSES} <= set(cls.events):
        what = "kernels has spells, but events not both FAULTS_SOFTMMU and SOFTMMU_ACCESSES"
        raise _mistake(cls, "kernels", what, "count them: replay does where it passes over a spell")


def _can_be_given(function: Any, arguments: list[str]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    return True


def _answers(strategy: Strategy) -> None:
    cls = type(strategy)
    prices = strategy.price_list()
    listed = prices.items() if isinstance(prices, Mapping) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(cost, Cost) for name, cost in listed):
        raise _mistake(cls, "price_list", f"price_list gives {prices!r}", "give count -> Cost(...)")
    for name, maybe in (("table_bytes", False), ("reserved_bytes", True)):
        given = getattr(strategy, name)()
        counted = isinstance(given, int | np.integer) and not isinstance(given, bool) and given >= 0
        if not counted and not (maybe and given is None):
            raise _mistake(cls, name, f"{name}() gives {given!r}, no number of bytes", "return an int")


def checked_state(strategy: Strategy) -> Any:
    """A new state of the strategy. Raises MmuexpError if kernels could not be handed it."""
    state = strategy.state()
    if not is_own(type(strategy)):
        _check_state(type(strategy), state, "")
    return state


def _check_state(cls: type[Strategy], value: Any, name: str) -> None:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        for field in value._fields:
            _check_state(cls, getattr(value, field), f"{name}.{field}")
        return
    number = isinstance(value, int | float | np.number | np.bool_)
    array = isinstance(value, np.ndarray) and not value.dtype.hasobject and value.dtype.kind not in "US"
    if not name:
        what, todo = f"state() gives a {type(value).__name__}", "return a NamedTuple of numpy arrays"
    elif number or array:
        return
    else:
        shown = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        what, todo = f"state(){name} is {shown}", "a state holds numpy arrays of numbers, and numbers"
    raise _mistake(cls, "state", what, todo)


def checked_counts(strategy: Strategy, counts: Any) -> dict[str, int]:
    """What `Strategy.result` gave. Raises MmuexpError if it holds what is not a number."""
    cls = type(strategy)
    if is_own(cls):
        return counts
    if not isinstance(counts, dict):
        raise _mistake(cls, "result", f"result() gives {counts!r}", "return a dict of counts")
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer):
            at = name if name in vars(cls) else "result"
            raise _mistake(cls, at, f"{name} is {count!r}, no whole number", "return an int")
    return counts
