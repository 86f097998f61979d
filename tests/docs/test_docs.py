"""README.md and docs/*.md: what they show is what the commands print today; `python -m tests.docpages` mends that."""

import re

import pytest
from docpages import pictures, prices, reference
from docpages.blocks import difference, renewed
from docpages.pages import LONG, NOT_RUN, PAGES, ROOT, commands, links, mentioned, pieces
from docpages.run import execute, look_up, program, scratch
from mmuexp.strategies.softmmu_qemu10 import VICTIMS

from mmuexp.cli.main import COMMANDS
from mmuexp.price.host import DEFAULT
from mmuexp.price.primitives import PRIMITIVES
from mmuexp.result.table import TOLERANCE, TOLERANCE_NS
from mmuexp.strategy.registry import all_strategies, parse_spec

NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
TEXTS = {name: page.read_text() for name, page in zip(NAMES, PAGES, strict=True)}
README = TEXTS["README.md"]


def run_page(name: str, folder, marks: set[str]) -> None:
    text = TEXTS[name]
    wrong = []
    with scratch(folder, program() if "./program" in text else None):
        for command in commands(text):
            if command.runs not in marks:
                continue
            done = execute(command)
            assert done.code == 0, f"{command.line}\n{done.err}"
            if command.shown and (what := difference(command.shown, done.out)):
                wrong.append(f"{command.line}\n{what}")
    wrong += [f"{picture} is stale" for picture in pictures.drawn(folder) if pictures.is_stale(folder, picture)]
    assert not wrong, "\n\n".join(["`python -m tests.docpages` writes it anew:", *wrong])


@pytest.mark.parametrize("name", NAMES)
def test_commands_run_and_print_what_is_shown(name, tmp_path):
    run_page(name, tmp_path, {""})


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if LONG in {c.runs for c in commands(TEXTS[name])}])
def test_commands_that_take_long_run(name, tmp_path):
    run_page(name, tmp_path, {LONG})


LOOKED_UP = [line for text in TEXTS.values() for line in mentioned(text)]
LOOKED_UP += [command.line for text in TEXTS.values() for command in commands(text) if command.runs == NOT_RUN]


@pytest.mark.parametrize("line", sorted(set(LOOKED_UP)))
def test_commands_that_do_not_run_exist(line):
    look_up(line)


@pytest.mark.parametrize("line", ["make nothing", "mmuexp compare --nothing", "mmuexp nothing", "mmuexp trace nothing"])
def test_looking_up_finds_what_is_not_there(line):
    with pytest.raises(Exception, match="nothing"):
        look_up(line)


def test_the_tables_of_prices_are_what_the_one_list_and_the_profiles_say():
    assert prices.PAGE.read_text() == prices.text(), "`python -m tests.docpages` writes it anew"


def test_every_primitive_stands_in_the_page_with_its_meaning():
    for primitive in PRIMITIVES:
        assert f"| `{primitive.price}`" in TEXTS["docs/prices.md"]
        assert primitive.meaning in TEXTS["docs/prices.md"]


def test_the_reference_is_what_the_docstrings_say():
    assert reference.PAGE.read_text() == reference.text(), "`python -m tests.docpages` writes it anew"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    assert [target for target in links(TEXTS[name]) if "://" not in target and not (folder / target).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_short(name):
    assert len(TEXTS[name].splitlines()) <= (90 if name == "README.md" else 160)


def test_the_readme_shows_a_picture_and_the_two_commands():
    assert re.search(r"!\[[^\]]{40,}\]\(docs/\w+\.svg\)", README)
    assert {"make demo", "make test"} <= {command.line for command in commands(README)}
    assert sum(command.shown is not None for text in TEXTS.values() for command in commands(text)) >= 8


def test_the_readme_lists_every_scheme_with_its_instructions():
    rows = dict(re.findall(r"^\| \[`([\w-]+)`\]\(strategies/\w+\.py\)[^|]*\| (\d+):", README, re.M))
    assert rows == {name: str(cls().hit_insns()) for name, cls in all_strategies().items()}


def test_the_readme_names_every_command():
    assert [name for name in COMMANDS if f"`mmuexp {name}" not in README] == []


def test_figures_in_sentences_are_those_of_the_code():
    assert f"; {parse_spec('byte-lookup').entries} windows" in README
    assert f"{VICTIMS} victims" in README
    assert f"The default host profile is `{DEFAULT}`" in README
    assert f"within {TOLERANCE:.0%}".replace("%", " %") + f" or {TOLERANCE_NS} ns" in TEXTS["docs/prices.md"]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_files_are_what_the_files_hold(name):
    assert [piece for file, piece in pieces(TEXTS[name]) if piece not in (ROOT / file).read_text()] == []


def test_the_tutorial_follows_the_file_that_it_builds():
    built = (ROOT / "strategies" / "softmmu_qemu10.py").read_text()
    places = [built.find(piece) for file, piece in pieces(TEXTS["docs/writing-a-scheme.md"]) if "qemu10.py" in file]
    assert len(places) >= 6
    assert places[:-1] == sorted(places[:-1])


PAGE = """Text, `mmuexp compare
-s softmmu` and so on.

    mmuexp one     # what it does
    not a command

<!-- not run: it takes a kernel -->

    mmuexp two
    make three

    mmuexp four

```console
$ mmuexp five
head
...
$ mmuexp six
```
```python some/file.py
    mmuexp = 7
```
"""


def test_commands_of_a_page():
    found = [(c.line, c.first, c.shown, c.runs) for c in commands(PAGE)]
    assert found == [
        ("mmuexp one", 3, None, ""),
        ("mmuexp two", 8, None, NOT_RUN),
        ("make three", 9, None, NOT_RUN),
        ("mmuexp four", 11, None, ""),
        ("mmuexp five", 15, ("head", "..."), ""),
        ("mmuexp six", 18, (), ""),
    ]
    assert mentioned(PAGE) == ["mmuexp compare -s softmmu"]
    assert pieces(PAGE) == [("some/file.py", "    mmuexp = 7\n")]


SHOWN = ("head", "...", "b    1", "c    2", "...", "That is 3 in all.")


@pytest.mark.parametrize(
    ("printed", "now"),
    [
        ("head\na    0\nb    1\nc    2\nd    4\nThat is 3 in all.\n", list(SHOWN)),
        ("head!\nb    5\nx    6\nc    7\nThat is 18 in all.", ["head!", "...", "b    5", "x    6", "c    7", "...",
                                                               "That is 18 in all."]),
    ],
    ids=["as it was", "figures and a row more"],
)  # fmt: skip
def test_a_block_is_renewed_with_the_same_parts_left_out(printed, now):
    assert (difference(SHOWN, printed) is None) == (now == list(SHOWN))
    assert renewed(SHOWN, printed) == now
    assert difference(tuple(now), printed) is None


def test_a_line_that_nothing_resembles_is_said():
    with pytest.raises(LookupError, match="b    1"):
        renewed(SHOWN, "head\nzzzzzz\nqqqqqq\n")


def test_output_that_is_not_shown_to_its_end_is_found():
    assert "not shown" in difference(("head",), "head\nmore\n")
    assert difference(("head", "..."), "head\nmore\n") is None
