"""Off a terminal nothing is wider than the page and nothing is cut: tables fold or become blocks, sentences wrap."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.cli import cli, trace  # noqa: F401
from kit.traces import PAGE as GUEST_PAGE
from kit.traces import Op, write_trace
from rich.console import Console

from mmuexp.render.terminal.grid import print_table
from mmuexp.render.terminal.wrap import PAGE, fold, page_width

MANY = [f"map-block,map_block_bits={bits},pool_blocks=32,evict=lifo" for bits in (12, 13, 14, 15, 17, 18, 19, 20)]
ALIGNED = [(Op.EXEC, 0x40000, 20, 5), (Op.LOAD, 0x10000, 4, 1), (Op.STORE, 0x10008, 4, 1)]


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def commands(path: str, folder) -> list[list[str]]:
    many = [word for spec in MANY for word in ("-s", spec)]
    one, other = (str(folder / name) for name in ("a.csv", "b.csv"))
    return [
        ["compare", path],
        ["compare", path, *many],
        ["compare", path, "--every", "5", *many],
        ["compare", path, "--reference", MANY[0], "-o", one, "-o", "-", "--format", "table"],
        ["compare", path, *many, "-o", other, "-o", "-", "--format", "table"],
        ["sweep", "map_block_bits=12..14", "pool_blocks=8,64", "evict=lifo,fifo", "--trace", path],
        ["sweep", "entries", "--trace", path],
        ["misses", path, "--load-seed", "0..9", "--join-pages", "1"],
        ["faults", path, "-s", MANY[0]],
        ["diff", one, other],
        ["verify", path, *many[:8]],
        ["claims"],
        ["strategy", "list"],
        ["strategy", "show", "map-block"],
        ["trace", "info", path],
        ["trace", "head", path],
        ["trace", "verify", path],
    ]


@pytest.mark.parametrize(("columns", "most"), [(None, PAGE), ("70", 70)])
def test_no_line_is_wider_than_the_page(cli, trace, tmp_path, monkeypatch, columns, most):  # noqa: F811
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    for command in commands(trace, tmp_path):
        done = cli(*command)
        assert done.out, (command, done.err)
        assert widest(done.out) <= most, command
        assert "…" not in done.out, command


def test_every_figure_of_a_wide_table_is_there(cli, trace):  # noqa: F811
    """All that the laid table of Markdown says stands in the blocks, too, each with the schemes' names again."""
    specs = [word for spec in MANY for word in ("-s", spec)]
    table = cli("compare", trace, *specs).out
    row = next(line for line in cli("compare", trace, *specs, "--format", "md").out.splitlines() if MANY[3] in line)
    told = re.sub(r"\s", "", table)
    for cell in row.strip("| ").split(" | ")[1:]:
        assert re.sub(r"\s", "", cell) in told, cell
    for spec in MANY:
        assert table.count(spec.split(",")[1]) >= 2


def test_what_never_happens_takes_one_line(cli, trace, tmp_path):  # noqa: F811
    quiet = write_trace(tmp_path / "quiet.arrow", ALIGNED, repeat=4)
    for out in (cli("compare", quiet).out, cli("compare", quiet, "--format", "md").out.partition("## Every")[0]):
        assert re.search(r"page crossings\W+0\W+0\W+0\W+0\W+0\W", out)
        assert "each: " not in out
        assert "per 1,000 accesses" in out  # of host faults there are some
    out = cli("compare", quiet, "-s", "softmmu", "-s", "softmmu-qemu10").out
    assert re.search(r"^host faults +0 +0$", out, re.MULTILINE)
    assert "per 1,000" not in out
    assert "a host fault costs" not in out
    crossing = cli("compare", trace).out
    assert re.search(r"^page crossings +2 +2 +2 +2 +2 +2\n  instructions", crossing, re.MULTILINE)
    page = tmp_path / "quiet.html"
    cli("compare", quiet, "-o", page)
    assert "page crossings: instructions" not in page.read_text().partition("Every count")[0]
    cli("compare", trace, "-o", page)
    assert "page crossings: instructions" in page.read_text().partition("Every count")[0]


def test_columns_is_honoured_within_reason(monkeypatch):
    for asked, width in (("200", 200), ("1", 40), ("0", PAGE), ("wide", PAGE)):
        monkeypatch.setenv("COLUMNS", asked)
        assert page_width() == width


def test_data_for_programs_has_the_lines_that_it_had(cli, trace, monkeypatch):  # noqa: F811
    monkeypatch.setenv("COLUMNS", "60")
    narrow = [cli("compare", trace, "--format", kind).out for kind in ("csv", "md")]
    monkeypatch.delenv("COLUMNS")
    assert narrow == [cli("compare", trace, "--format", kind).out for kind in ("csv", "md")]
    assert json.loads(cli("trace", "info", trace, "--format", "json").out)
    assert widest(narrow[0]) > GUEST_PAGE // 8


WORDS = st.text(st.sampled_from("ab,/ 1é界\n"), max_size=40)


@given(WORDS, st.integers(2, 30))
def test_folding_loses_nothing(text, width):
    from rich.cells import cell_len

    folded = fold(text, width)
    assert max(map(cell_len, folded.split("\n"))) <= width
    assert re.sub(r"\s", "", folded) == re.sub(r"\s", "", text)


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(WORDS, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_any_table_keeps_to_its_width_and_all_its_texts(rows):
    from io import StringIO

    from rich.cells import cell_len

    console = Console(file=StringIO(), width=40, markup=False, highlight=False)
    keys = min(2, len(rows[0]))
    print_table(console, rows[0], rows[1:], keys=keys, left=range(0, len(rows[0]), 2))
    out = console.file.getvalue()
    assert max(map(cell_len, out.splitlines()), default=0) <= 40
    letters = {cell for row in rows for cell in row}
    for char in "ab1é界/,":
        assert out.count(char) >= sum(cell.count(char) for row in rows for cell in row), letters


def test_a_row_with_nothing_to_say_in_a_later_block_is_left_out_there():
    from io import StringIO

    console = Console(file=StringIO(), width=16, markup=False, highlight=False)
    print_table(console, ["key", "first", "second"], [["a", "1", "2"], ["b", "3", ""], ["c", "", "4"]])
    assert [line.split() for line in console.file.getvalue().splitlines()] == [
        ["key", "first"], ["a", "1"], ["b", "3"], ["c"], [], ["key", "second"], ["a", "2"], ["c", "4"]
    ]  # fmt: skip
