"""Arithmetic over counts, a language of our own: `map-block:faults > 2 * softmmu:tlb_fills`. None is run as Python.

comparison  sum [OP sum]             OP is one of > >= < <= == !=
sum         product [+|- product]...
product     sign [*|/ sign]...
sign        [+|-]... atom
atom        NUMBER | ( sum ) | [SPEC:]COLUMN[@TRACE]

A SPEC may hold commas and `=` (map-block,map_block_bits=16:faults); it ends at its colon, so `-` and `/` before one
need blanks. A name alone stands for all runs of the scheme, `map-block,` for the one with every default. Whole numbers
and decimals are exact, as fractions, until they meet a column of floats (access_ns): then all is float.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from types import MappingProxyType

from mmuexp.errors import UsageError, did_you_mean
from mmuexp.result.table import OLD_NAMES

Number = int | float | Fraction

COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
LONGEST, DEEPEST = 2_000, 40  # characters; parentheses and signs in each other
LISTED = "`mmuexp help columns` lists them"
NOT_NUMBERS = ("nan", "inf", "infinity")

_NAME = r"(?:[\w./~-]*\.py|[A-Za-z_]\w*(?:-\w+)*)"  # of a scheme, or of a file that holds one
_SPEC = rf"{_NAME}(?:\s*,\s*\w+\s*=(?!=)\s*[\w.-]+)*,?"
_TOKEN = re.compile(
    rf"""\s*(?:
    (?P<number>(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?:(?P<spec>{_SPEC})\s*:\s*)?(?P<column>[A-Za-z_]\w*)(?:@(?P<trace>\w[\w.]*(?:-\w+)*))?
    | (?P<sign>>=|<=|==|!=|[-+*/()<>])
    )""",
    re.VERBOSE | re.ASCII,
)


class NoValue(Exception):
    """An expression has no value here; `str()` says why: an empty cell, a division by 0."""


class NoResult(NoValue):
    """All cells have a value, and arithmetic has none: a division by 0, more than a float can hold."""


@dataclass(frozen=True)
class Term:
    """One cell: `column` of the row in turn, or of the scheme `spec` beside it; in the recording `trace`, if given.

    `spec` is a bare name, which stands for all its rows, or a canonical spec (of a run with every default: `name,`).
    """

    column: str
    spec: str | None = None
    trace: str | None = None

    def __str__(self) -> str:
        spec = f"{self.spec}:" if self.spec else ""
        return f"{spec}{self.column}" + (f"@{self.trace}" if self.trace else "")


@dataclass(frozen=True)
class Operation:
    """`sign` between two operands; a sign before an operand stands as 0 - operand."""

    sign: str
    left: "Node"
    right: "Node"


Node = Number | Term | Operation


@dataclass(frozen=True)
class Expression:
    """`text` as given, and what it says. `terms` are its cells, each once, in the order in which they stand."""

    text: str
    root: Node
    terms: tuple[Term, ...]

    def value(self, cell: Callable[[Term], Number | None]) -> Number | bool:
        """Its value where `cell` gives the value of each term. Raises NoValue."""
        return _value(self.root, cell)


def _value(node: Node, cell: Callable[[Term], Number | None]) -> Number | bool:
    if isinstance(node, Term):
        value = cell(node)
        if value is None:
            raise NoValue(f"{node} is empty")
        return value
    if not isinstance(node, Operation):
        return node
    return apply(node.sign, _value(node.left, cell), _value(node.right, cell))


def apply(sign: str, left: Number, right: Number) -> Number | bool:
    """Exact, unless one of the two is a float. Raises NoResult for a division by 0 and for what no float can hold."""
    try:
        if isinstance(left, float) or isinstance(right, float):
            left, right = float(left), float(right)
        if sign in COMPARISONS:
            return COMPARISONS[sign](left, right)
        if sign == "/":
            result = left / right if isinstance(left, float) else Fraction(left) / Fraction(right)
        else:
            result = ARITHMETIC[sign](left, right)
    except ZeroDivisionError:
        raise NoResult("it divides by 0") from None
    except OverflowError:
        raise NoResult("it is too large") from None
    if isinstance(result, float):
        if not isfinite(result):
            raise NoResult("it is too large")
        return result
    return int(result) if result.denominator == 1 else result


def parse(
    text: str,
    columns: Collection[str],
    *,
    where: str,
    todo: str = "",
    compares: bool | None = None,
    traces: bool = False,
    schemes: Collection[str] = (),
    elsewhere: Mapping[str, str] = MappingProxyType({}),
    called: Mapping[str, str] = MappingProxyType({}),
) -> Expression:
    """An expression over these columns from its text.

    where, todo   what an error names, and what it advises
    compares      True: it must be a comparison; False: it must not; None: it may
    traces        may it name recordings (COLUMN@TRACE)?
    schemes       names of the result's schemes: of those from files it may name specs as they stand there
    elsewhere     columns that other results have -> the option that makes them, for the error
    called        what a table calls columns -> the columns, for the error

    Raises UsageError if `text` is not an expression, or names an unknown column or strategy.
    """
    if len(text) > LONGEST:
        raise UsageError(f"an expression of {len(text):,} characters", where=where, todo=f"at most {LONGEST:,}")
    return _Parser(text, columns, where, todo, traces, schemes, elsewhere, called).whole(compares)


@dataclass
class _Parser:
    text: str
    columns: Collection[str]
    where: str
    todo: str
    traces: bool
    schemes: Collection[str]
    elsewhere: Mapping[str, str]
    called: Mapping[str, str]

    def __post_init__(self) -> None:
        self.tokens = list(self._tokens())
        self.at = self.depth = 0
        self.terms: dict[Term, None] = {}

    def _error(self, what: str, todo: str = "") -> UsageError:
        return UsageError(what, where=self.where, todo=todo or self.todo)

    def _tokens(self) -> Iterator[re.Match[str]]:
        at, end = 0, len(self.text.rstrip())
        while at < end:
            found = _TOKEN.match(self.text, at)
            if found is None:
                word = self.text[at:].split()[0]
                raise self._error(f"{word!r} is not a number, nor a column")
            yield found
            at = found.end()

    def _next(self, *signs: str) -> str | None:
        """The sign that comes next, taken, if it is one of these."""
        sign = self.tokens[self.at]["sign"] if self.at < len(self.tokens) else None
        if sign not in signs:
            return None
        self.at += 1
        return sign

    def whole(self, compares: bool | None) -> Expression:
        root = self._sum()
        if sign := self._next(*COMPARISONS):
            root = Operation(sign, root, self._sum())
        if self.at < len(self.tokens) or compares not in (None, bool(sign)):
            raise self._none()
        if not self.terms:
            raise self._error(f"{self.text!r} names no column")
        return Expression(self.text, root, tuple(self.terms))

    def _none(self) -> UsageError:
        return self._error(f"{self.text!r} is not {'a check' if self.where == '--fail-if' else 'an expression'}")

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._next("+", "-"):
            node = Operation(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._sign()
        while sign := self._next("*", "/"):
            node = Operation(sign, node, self._sign())
        return node

    def _sign(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} signs and parentheses in each other", "write it flatter")
        sign = self._next("+", "-")
        node = self._atom() if sign is None else self._sign()
        self.depth -= 1
        return Operation("-", 0, node) if sign == "-" else node

    def _atom(self) -> Node:
        if self._next("("):
            node = self._sum()
            if not self._next(")"):
                raise self._none()
            return node
        if self.at >= len(self.tokens) or self.tokens[self.at]["sign"]:
            raise self._none()
        token = self.tokens[self.at]
        self.at += 1
        return self._term(token) if token["number"] is None else self._number(token["number"])

    def _number(self, text: str) -> Number:
        plain = text.replace("_", "").lower()
        if not isfinite(float(plain)):
            raise self._error(f"{text!r} is not a number")
        value = Fraction(plain if len(plain.partition("e")[2]) < 5 else "0")  # 1e-99999 is 0 as a float, too
        return int(value) if value.denominator == 1 else value

    def _term(self, token: re.Match[str]) -> Term:
        column = token["column"].lower()
        if column not in self.columns and OLD_NAMES.get(column) in self.columns:
            column = OLD_NAMES[column]
        if column not in self.columns:
            raise self._unknown(column)
        if token["trace"] and not self.traces:
            raise self._error(f"{token['trace']!r}: a check cannot name a recording")
        term = Term(column, _spec(token["spec"], self.where, self.schemes), token["trace"])
        self.terms[term] = None
        return term

    def _unknown(self, column: str) -> UsageError:
        if column in NOT_NUMBERS:
            return self._error(f"{column!r} is not a number")
        named = OLD_NAMES.get(column, column)
        if maker := self.elsewhere.get(named):
            todo = "give that option, or check another column"
            return self._error(f"only `{maker}` makes the column {named!r}", todo)
        near = self.called.get(column)
        hint = f"did you mean {near}?" if near in self.columns else did_you_mean(column, self.columns)
        listed = LISTED if self.where == "--fail-if" else ""
        if not hint and any(token["sign"] in COMPARISONS for token in self.tokens[: self.at]):
            return self._error(f"{column!r} is not a number, nor a column of numbers", listed)
        return self._error(f"there is no column {column!r} of numbers", hint or listed)


def _spec(text: str | None, where: str, schemes: Collection[str]) -> str | None:
    """A bare name stands for all its rows, a spec with keys for the one run that it names."""
    if text is None:
        return None
    from mmuexp.strategy.registry import parse_spec

    text = "".join(text.split())
    try:
        strategy = parse_spec(text.rstrip(","))
    except UsageError as error:
        if text.partition(",")[0] in schemes:
            return text
        raise UsageError(error.what, where=error.where or where, todo=error.todo) from None
    one_run = str(strategy) if "," in str(strategy) else f"{strategy},"
    return one_run if "," in text else strategy.name
