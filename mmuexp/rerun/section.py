"""Read a TOML table key by key: a wrong type, a missing or an unknown key is one line that names it."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from mmuexp.errors import MmuexpError, did_you_mean

KINDS = {str: "a text", bool: "true or false", dict: "a table", list: "a list"}
T = TypeVar("T")


class Section:
    """One table of the file; `where` names it in errors. `end` refuses what was not asked for."""

    def __init__(self, given: Any, where: str):
        self.where = where
        if not isinstance(given, Mapping):
            raise self.error(f"is {_kind(given)}, not a table")
        self._left = dict(given)
        self._known: list[str] = []

    def error(self, what: str, todo: str = "see results/README.md for the format") -> MmuexpError:
        return MmuexpError(what, where=self.where, todo=todo)

    def names(self) -> list[str]:
        return list(self._left)

    def has(self, key: str) -> bool:
        self._known.append(key)
        return key in self._left

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of `key`, of this kind; `default` if it is not there. ... as the default: it has to be."""
        if not self.has(key):
            if default is ...:
                raise self.error(f"has no {key!r}")
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind):
            raise self.error(f"{key} is {_kind(value)}, not {KINDS[kind]}")
        return value

    def texts(self, key: str, default: Any = ()) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        if isinstance(self._left.get(key), str):
            return (self.take(key, str),)
        found = self.take(key, list, default)
        if not all(isinstance(one, str) for one in found):
            raise self.error(f"{key} is not a list of texts")
        return tuple(found)

    def table(self, key: str) -> "Section":
        """The table below `key`, empty if it is not there."""
        return Section(self.take(key, dict, {}), f"{self.where}: {key}")

    def fill(self, cls: type[T], **known: Any) -> T:
        """Make a `cls` of `known` and of the keys that are its other fields, and refuse what is left."""
        hints = get_type_hints(cls)
        for one in fields(cls):  # type: ignore[arg-type]  # the caller gives a dataclass
            needed = one.default is MISSING and one.default_factory is MISSING
            if one.name not in known and (self.has(one.name) or needed):
                known[one.name] = self._value(one.name, hints[one.name])
        self.end()
        return cls(**known)

    def _value(self, key: str, hint: Any) -> Any:
        """What stands at `key`, as the type of a field says: words of a choice, several texts, a table of cells."""
        kind = get_origin(hint) or hint
        if kind is tuple:
            return self.texts(key, ...)
        if kind is Literal:
            word = self.take(key, str, ...)
            if word not in get_args(hint):
                raise self.error(f"{key} is {word!r}", f"known: {' '.join(get_args(hint))}")
            return word
        value = self.take(key, dict if kind is Mapping else kind, ...)
        if kind is Mapping and not all(isinstance(cell, int | str) for cell in value.values()):
            raise self.error(f"{key} holds something else than whole numbers and texts")
        return value

    def end(self) -> None:
        for key in self._left:
            known = f"its keys are {' '.join(dict.fromkeys(self._known))}"
            raise self.error(f"there is no key {key!r}", did_you_mean(key, self._known, known))


def _kind(value: Any) -> str:
    return next((name for kind, name in KINDS.items() if isinstance(value, kind)), f"{value!r}")
