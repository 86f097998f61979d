"""Reading a TOML table key by key: a wrong type, a missing or an unknown key is one line that names it."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from mmuexp.errors import MmuexpError

KINDS = {str: "a text", bool: "true or false", dict: "a table", list: "a list"}


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
        self._known.append(key)
        if key not in self._left:
            if default is ...:
                raise self.error(f"has no {key!r}")
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind):
            raise self.error(f"{key} is {_kind(value)}, not {KINDS[kind]}")
        return value

    def texts(self, key: str, default: Any = ()) -> tuple[str, ...]:
        """A list of texts, or one text alone."""
        self._known.append(key)
        if isinstance(self._left.get(key), str):
            return (self._left.pop(key),)
        found = self.take(key, list, default)
        if not all(isinstance(one, str) for one in found):
            raise self.error(f"{key} is not a list of texts")
        return tuple(found)

    def one_of(self, key: str, words: Collection[str], default: str) -> str:
        word = self.take(key, str, default)
        if word not in words:
            raise self.error(f"{key} is {word!r}", f"known: {' '.join(words)}")
        return word

    def end(self) -> None:
        for key in self._left:
            near = get_close_matches(key, self._known, 1)
            hint = f"did you mean {near[0]}?" if near else f"its keys are {' '.join(dict.fromkeys(self._known))}"
            raise self.error(f"there is no key {key!r}", hint)


def _kind(value: Any) -> str:
    return next((name for kind, name in KINDS.items() if isinstance(value, kind)), f"{value!r}")
