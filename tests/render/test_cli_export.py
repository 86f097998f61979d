"""`mmuexp export` of results that were cut, edited by hand or never were results: one line with the file, exit 1."""

import csv
import io
import json

import pytest
from kit.cli import one_line
from kit.traces import write_trace

from mmuexp.cli.main import run


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    trace = write_trace(folder / "a,b.arrow")  # a name that CSV quotes
    files = [word for name in ("r.csv", "r.json", "r.parquet") for word in ("-o", str(folder / name))]
    assert run(["compare", trace, *files]) == 0
    return folder


def refused(cli, path, *says) -> None:
    done = cli("export", path, "--format", "md")
    assert (done.code, done.out) == (1, ""), done.err
    line = one_line(done.err)
    assert "this is a bug" not in line
    for words in (path.name, *says):
        assert words in line


def table(saved) -> list[list[str]]:
    return list(csv.reader(io.StringIO((saved / "r.csv").read_text())))


def written(lines) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()


def test_a_csv_cut_anywhere(cli, saved, tmp_path):
    whole = (saved / "r.csv").read_bytes()
    ends = {at + 1 for at, byte in enumerate(whole) if byte == ord("\n")}  # what is left is a table, only shorter
    for at in [*range(0, len(whole), 23), len(whole) - 1]:
        (tmp_path / "r.csv").write_bytes(whole[:at])
        if at not in ends:
            refused(cli, tmp_path / "r.csv")
    (tmp_path / "r.csv").write_bytes(whole[: max(ends - {len(whole)}) + 5])
    refused(cli, tmp_path / "r.csv")


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_byte_order_mark_is_no_part_of_the_table(cli, saved, tmp_path, name):
    """Spreadsheets and some editors write one, into the manifest beside the table, too."""
    for file in (name, "r.csv.manifest.json"):
        (tmp_path / file).write_bytes(b"\xef\xbb\xbf" + (saved / file).read_bytes())
    with_mark, without = (cli("export", folder / name, "--format", "csv") for folder in (tmp_path, saved))
    assert with_mark.code == 0, with_mark.err
    assert with_mark.out == without.out != ""


def put(row: int, column: str, value: str):
    def edit(lines):
        lines[row][lines[0].index(column)] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda lines: lines.clear(), "it is empty"),
        (lambda lines: lines.__delitem__(slice(1, None)), "it holds no rows"),
        (lambda lines: lines[2].pop(), "row 2 has {fewer} fields, the header {header}"),
        (lambda lines: lines[2].append(""), "row 2 has {more} fields, the header {header}"),
        (put(0, "loads", "stores"), "it has column 'stores' twice"),
        (put(0, "loads", "burdens"), "it has no column loads"),
        (put(3, "ns", "much"), "row 3 has 'much' as ns, a number belongs there"),
        (put(3, "ns", "１６"), "row 3 has '１６' as ns, a number belongs there"),
        (put(3, "ns", ""), "row 3 has nothing as ns"),
        (put(3, "ns", "nan"), "row 3 has nan as ns"),
        (put(3, "faults", "2.5"), "row 3 has 2.5 as faults"),
        (put(3, "units8", "2.5"), "row 3 has 2.5 as units8"),
        (put(3, "retranslated_insns", "0.5"), "row 3 has 0.5 as retranslated_insns"),
        (put(3, "faults", "-2"), "row 3 has -2 as faults"),
        (put(3, "faults", "9" * 30), "row 3 has 9999"),
        (put(1, "strategy", ""), "row 1 has nothing as strategy"),
    ],
)
def test_a_csv_edited_by_hand(cli, saved, tmp_path, edit, says):
    lines = table(saved)
    header = len(lines[0])
    edit(lines)
    (tmp_path / "r.csv").write_text(written(lines))
    refused(cli, tmp_path / "r.csv", says.format(header=header, fewer=header - 1, more=header + 1))


def test_instructions_without_an_access_are_for_no_access(cli, saved, tmp_path):
    """A cell changed by hand: the table has no figure there, and prints."""
    lines = table(saved)
    put(1, "accesses", "0")(lines)
    (tmp_path / "r.csv").write_text(written(lines))
    assert cli("export", tmp_path / "r.csv").code == 0


def set_row(name, value):
    return lambda document: document["rows"][1].__setitem__(name, value)


def set_manifest(name, value):
    return lambda document: document["manifest"].__setitem__(name, value)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda document: document.__setitem__("rows", [{}]), "row 1 has no"),
        (lambda document: document.__setitem__("rows", []), "it holds no rows"),
        (lambda document: document.__setitem__("rows", [3]), "row 1 is not a row"),
        (lambda document: document.__setitem__("rows", {}), "it holds no rows"),
        (lambda document: document.__setitem__("manifest", None), "it is not an object"),
        (lambda document: document.__delitem__("manifest"), "it has no 'manifest'"),
        (lambda document: document.__setitem__("columns", "ns"), "its columns are not a list"),
        (lambda document: document["columns"].append("ns"), "it has column 'ns' twice"),
        (lambda document: document.__setitem__("parameters", ["evict"]), "its parameters are not columns"),
        (lambda document: document.__setitem__("kind", []), "its kind is []"),
        (set_row("ns", "1"), "row 2 has '1' as ns"),
        (set_row("ns", [1]), "row 2 has [1] as ns"),
        (set_row("ns", True), "row 2 has True as ns"),
        (set_row("trace", 5), "row 2 has 5 as trace"),
        (set_row("more", 5), "row 2 has a strange 'more'"),
        (set_row("insns", 10**400), "row 2 has 1000"),
        (set_manifest("verdicts", 5), "verdicts is not a list"),
        (set_manifest("verdicts", [5]), "an entry of verdicts is not an object"),
        (set_manifest("verdicts", [{"trace": "x"}]), "scheme of verdicts is not text"),
        (lambda document: document["manifest"]["verdicts"][1].__setitem__("wins", "maybe"), "the verdict on"),
        (set_manifest("traces", None), "traces is not a list"),
        (set_manifest("prices", []), "prices is not an object"),
        (set_manifest("prices", {"host": {}}), "name of host is not text"),
        (set_manifest("complete", 1), "complete is not text"),
    ],
)
def test_a_json_edited_by_hand(cli, saved, tmp_path, edit, says):
    document = json.loads((saved / "r.json").read_text())
    edit(document)
    (tmp_path / "r.json").write_text(json.dumps(document))
    refused(cli, tmp_path / "r.json", says)


@pytest.mark.parametrize("manifest", ["[]", "null", "", "{", '{"verdicts": 5}', '{"parameters": 5}', "[" * 100_000])
@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
def test_a_manifest_that_is_none(cli, saved, tmp_path, name, manifest):
    (tmp_path / name).write_bytes((saved / name).read_bytes())
    (tmp_path / f"{name}.manifest.json").write_text(manifest)
    refused(cli, tmp_path / name, f"{name}.manifest.json")


@pytest.mark.parametrize("name", ["r.json", "r.parquet"])
def test_files_cut_short(cli, saved, tmp_path, name):
    whole = (saved / name).read_bytes()
    for part in range(0, 10):
        (tmp_path / name).write_bytes(whole[: len(whole) * part // 10])
        refused(cli, tmp_path / name)
