"""What may be wrong in an experiment.toml is one line that names it, before anything is written."""

import tomllib

import pytest
from kit.cli import edit, files, one_line

from mmuexp.errors import MmuexpError
from mmuexp.rerun.about import read
from mmuexp.rerun.command import calls_of
from mmuexp.rerun.report import ExperimentReport
from mmuexp.result.saved import load


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("question =", "qestion =", "has no 'question'"),
        ("question =", "long = 3\nquestion =", "long is 3, not true or false"),
        ("question =", "lang = true\nquestion =", "there is no key 'lang'; did you mean long?"),
        ('"What does it cost?"', "[1]", "question is a list, not a text"),
        ('"What does it cost?"', "'", "is not TOML"),
        ('["compare", "small"', '["compare", 3', "command is not a list of texts"),
        ('["compare", ', '["faults", ', "command 'faults' cannot be run again"),
        ('"other.arrow", "-s"', '"-o", "x.csv", "-s"', "-o has no place in a command"),
        ('"-s", "map-block"]', '"-s"]', "-s has no value"),
        ('"-s", "map-block"]', '"--every", "x"]', "--every 'x' is not a whole number"),
        ("faults / accesses", "faults / acesses", "columns.per_access: there is no column 'acesses'"),
        ("per_access = ", "faults = ", "columns.faults is a column of every result"),
        ("2 * map-block:per_access", "2 * map-blok:per_access", "did you mean map-block?"),
        ('trace = "small", format = "percent"', 'trace = "smal", format = "percent"', "there is no recording 'smal'"),
        ('trace = "small", format = "percent"', 'trace = "small", format = "{0}"', "format is '{0}'"),
        (
            ', trace = "small", format = "per',
            ', format = "per',
            "figures.share: has 2 values; choose a trace or strategy",
        ),
        ('value = "map-block:faults", trace', 'value = "map-block:tlb_fills", trace', "figures.faults: has no value"),
        ('{ check = "map', '{ value = "ns", check = "map', "figures.right: needs one of value and check"),
        ('{ check = "map', '{ take = "min", check = "map', "figures.right: there is no key 'take'"),
        ('head = "recording"', "of = []", "tables.each: of names no command"),
        ('head = "recording"', 'of = ["counts", "old"]', "of = 'old' is not a command; there are counts"),
        ('take = "max"', 'take = "most"', "take is 'most'; known: one min"),
        (', no = "was wrong"', "", "figures.right: has no 'no'"),
        ("{least}", "", "figure 'least' is not in the answer"),
        ("{least}", "{leest}", "the answer has {leest}, which is not a figure; did you mean least?"),
        ('value = "softmmu:maps"', 'valeu = "softmmu:maps"', "columns[2]: has no 'value'"),
        ('value = "softmmu:maps"', 'value = "rows > 3"', "is not an expression"),
        ('head = "recording"', 'rows = "window"', "no row has a window"),
        ('y = "per_access"', 'y = "per_acces"', "chart: "),
        ('y = "per_access"', "y = 3", "chart: y is 3"),
        ('y = "per_access"', 'y = "per_access"\nlog_y = "yes"', "chart: log_y is 'yes'"),
        ("[columns]", "[colums]", "there is no key 'colums'; did you mean columns?"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_line_and_writes_nothing(cli, folder, old, new, says):
    edit(folder, old, new)
    before = files(folder)
    done = cli("rerun", "mine")
    assert done.code == 1
    line = one_line(done.err)
    assert says in line
    assert "mine/experiment.toml" in line or "'faults' cannot" in line
    assert files(folder) == before


def test_a_folder_without_an_experiment(cli, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for name, code, says in (("empty", 1, "cannot be read"), ("nothing", 2, "is not a folder")):
        done = cli("rerun", name)
        assert (done.code, says in one_line(done.err)) == (code, True)
    assert cli("rerun").code == 2
    (folder / "experiment.toml").write_bytes(b"\xff" * 10)
    assert "is not TOML" in one_line(cli("rerun", "mine").err)
    (folder / "experiment.toml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(MmuexpError, match="more than"):
        read(folder)


ODD = [3, "x", "faults >", True, [], [1], {}, {"a": 1}]


def leaves(given, path=()):
    """The path to everything that the file holds."""
    yield path
    inside = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in inside:
        yield from leaves(value, (*path, key))


def changed(given, path, value):
    if not path:
        return value
    copy = dict(given) if isinstance(given, dict) else list(given)
    copy[path[0]] = changed(given[path[0]], path[1:], value)
    return copy


def test_whatever_stands_in_the_file_is_an_answer_or_one_line(cli, folder, monkeypatch):
    cli("rerun", "mine")
    given = tomllib.loads((folder / "experiment.toml").read_text())
    saved = load(str(folder / "counts.csv"))
    refused = 0
    for path in leaves(given):
        for odd in ODD:
            monkeypatch.setattr("mmuexp.rerun.about.tomllib.loads", lambda _: changed(given, path, odd))  # noqa: B023
            try:
                about = read(folder)
                calls_of(about)
                ExperimentReport(about, dict.fromkeys(about.commands, saved)).text()
            except MmuexpError as error:
                assert "mine/experiment.toml" in str(error)
                refused += 1
    assert refused > 250
