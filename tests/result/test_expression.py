"""The language of --fail-if and experiment.toml, against an evaluator of its own: Python's, on the same text."""

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmuexp.errors import UsageError
from mmuexp.result.expression import NoValue, Number, Term, apply, parse

COLUMNS = ("accesses", "faults", "ns", "empty")
CELLS = {"accesses": 2**53 + 1, "faults": 3, "ns": 0.1, "empty": None}


def value(text: str, cells=CELLS, **options):
    return parse(text, COLUMNS, where="test", **options).value(lambda term: cells[term.column])


numbers = st.one_of(
    st.integers(0, 10**18).map(str),
    st.integers(0, 10**9).map(lambda n: f"{n:_}"),
    st.tuples(st.integers(0, 999), st.integers(0, 999)).map(lambda p: f"{p[0]}.{p[1]:03}"),
    st.tuples(st.integers(0, 9), st.integers(-3, 6)).map(lambda p: f"{p[0]}e{p[1]}"),
)
atoms = st.one_of(numbers, st.sampled_from(["accesses", "faults"]))
blanks = st.sampled_from(["", " ", "  "])


def larger(inner):
    operation = st.tuples(inner, blanks, st.sampled_from("+-*/"), blanks, inner).map("".join)
    return st.one_of(operation, inner.map(lambda text: f"({text})"), inner.map(lambda text: f"-{text}"))


sums = st.recursive(atoms, larger, max_leaves=12)


def independent(text: str, cells: dict[str, Fraction]):
    """Python's own parser and precedence, on exact fractions."""
    literal = re.compile(r"(?<![A-Za-z_\w.])(?:\d[\d_]*(?:\.\d*)?)(?:e-?\d+)?")
    python = literal.sub(lambda found: f"Fraction('{found[0].replace('_', '')}')", text)
    return eval(python, {"Fraction": Fraction, **cells})


@given(sums, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), sums, st.integers(-5, 2**60), st.integers(0, 9))
def test_it_is_python_s_arithmetic_on_fractions(left, sign, right, accesses, faults):
    assume(re.search(r"[a-z]{2}", left + right))
    cells = {"accesses": accesses, "faults": faults, "ns": None, "empty": None}
    text = f"{left}{sign}{right}"
    try:
        known = independent(text, {"accesses": Fraction(accesses), "faults": Fraction(faults)})
    except ZeroDivisionError:
        with pytest.raises(NoValue):
            value(text, cells)
        return
    assert value(text, cells) is known


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("accesses > 9007199254740992", True),  # 2**53 + 1: as floats they are equal
        ("accesses == 9_007_199_254_740_993", True),
        ("accesses / 3 * 3 == accesses", True),
        ("faults - 1 - 1", 1),  # from the left
        ("faults / 2", Fraction(3, 2)),
        ("6 / faults / 2", 1),
        ("2 - -faults", 5),
        ("-(1 + 2) * faults", -9),
        ("1.05 * faults", Fraction(63, 20)),
        ("ns == 0.1", True),  # a float meets a number as a float
        ("ns * 3 == 0.3", False),  # as 0.1 * 3 of floats is
        ("FAULTS + 1e3", 1003),
        (".5 * faults", Fraction(3, 2)),
    ],
)
def test_cases_by_hand(text, known):
    found = value(text)
    assert found == known
    assert type(found) is type(known)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("empty > 0", "empty is empty"),
        ("0 * empty == 0", "empty is empty"),
        ("faults / (faults - 3) > 1", "divides by 0"),
        ("ns / 0 > 1", "divides by 0"),
        ("accesses * 1e300 * 1e300 * ns > 1", "too large"),
        ("ns * 1e308 * 100 > 1", "too large"),
    ],
)
def test_what_has_no_value_is_never_true_or_false(text, why):
    with pytest.raises(NoValue, match=why):
        value(text)


@pytest.mark.parametrize(
    ("text", "column", "spec"),
    [
        ("map-block:ns", "ns", "map-block"),
        ("MAP_BLOCK:ns", "ns", "map-block"),
        ("map-block,map_block_bits=20:ns", "ns", "map-block,map_block_bits=20"),
        ("map-block , MAP_BLOCK_BITS = 20 , evict = lifo : ns", "ns", "map-block,map_block_bits=20,evict=lifo"),
        ("map-block,map_block_bits=16:ns", "ns", "map-block,"),  # its default: the one run with every default
        ("map-block,:ns", "ns", "map-block,"),
        ("qemu-fast,guest_limit=0x100000000:ns", "ns", "qemu-fast,guest_limit=0x100000000"),
    ],
)
def test_a_spec_ends_at_its_colon(text, column, spec):
    assert parse(text, COLUMNS, where="test").root == Term(column, spec)
    assert parse(f"3 - {text}", COLUMNS, where="test").terms == (Term(column, spec),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an expression"),
        ("3 > 2", "names no column"),
        ("faults >", "not an expression"),
        ("faults > 1 > 2", "not an expression"),
        ("(faults > 1) + 1", "not an expression"),
        ("(faults", "not an expression"),
        ("faults)", "not an expression"),
        ("faults faults", "not an expression"),
        ("faults ** 2", "not an expression"),
        ("fault > 1", "did you mean faults?"),
        ("map-blok:faults", "did you mean map-block?"),
        ("map-block,bits=3:faults", "has no key 'bits'"),
        ("1-map-block:faults - faults-map-block:ns", "no strategy is called 'faults-map-block'"),
        ("faults > 0x10", "'0x10' is not a number"),
        ("faults > 1e400", "'1e400' is not a number"),
        ("faults > ٣", "is not a number"),
        ("faults@gzip", "cannot name a recording"),
        ("(" * 41 + "faults" + ")" * 41, "more than 40"),
        ("-" * 100_000 + "faults", "100,006 characters"),
        ("__import__('os').system('true')", "is not a number, nor a column"),
    ],
)
def test_what_is_none_is_refused(text, says):
    with pytest.raises(UsageError) as failure:
        parse(text, COLUMNS, where="test")
    assert says in str(failure.value)


@given(st.text(alphabet="fauls ns:,=<>!+-*/().0123456789eE_@x", max_size=60))
def test_any_text_is_an_expression_or_one_line(text):
    try:
        expression = parse(text, COLUMNS, where="test")
    except UsageError as error:
        assert "\n" not in str(error)
        return
    assert expression.terms


def test_a_long_sum_is_no_deep_one():
    assert value("+".join(["faults"] * 250)) == 750


def test_recordings_are_named_where_they_may_be():
    assert parse("softmmu:ns@grub-text", COLUMNS, where="test", traces=True).root == Term("ns", "softmmu", "grub-text")


def test_what_is_asked_to_compare_does():
    for text, compares in (("faults", True), ("faults > 1", False)):
        with pytest.raises(UsageError, match="is not an expression"):
            parse(text, COLUMNS, where="test", compares=compares)


def test_whole_results_are_integers():
    quotient: Number = apply("/", 6, 3)
    assert (quotient, type(quotient)) == (2, int)
