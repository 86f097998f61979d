"""One list for each kind of thing: whatever stands in it is named by help texts and errors, and works.

A new exporter, importer or scheme is one file; a test here fails for what was forgotten.
"""

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from kit.places import TESTS
from kit.planted import Planted
from kit.traces import columns_of, exec_, load, store, write

from mmuexp.guest import DTYPES
from mmuexp.render.export import EXPORTERS, PRINTABLE
from mmuexp.trace.export import TEXT, WRITERS
from mmuexp.trace.importers import formats, importer
from mmuexp.trace.reader import open_trace

ROWS = [exec_(0x1000), load(0x2000), store(0x2FFE), load(0x3001)]
# what reads the table of a trace that was exported
READ = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".arrow": pd.read_feather}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rows") / "t.arrow", columns_of(ROWS))


@pytest.mark.parametrize("command", ["compare", "sweep", "export"])
def test_help_names_every_exporter(cli, command):
    text = " ".join(cli(command, "--help").out.split())
    *others, last = EXPORTERS
    assert f"a {' '.join(others)} or {last}," in text
    for suffix in PRINTABLE:
        assert suffix.removeprefix(".") in text.partition("--format [")[2].partition("]")[0].split("|")


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_every_exporter_writes_and_says_what(cli, rows, tmp_path, suffix):
    file = tmp_path / f"r{suffix}"
    assert cli("compare", rows, "-s", "softmmu", "-o", str(file)).code == 0
    assert file.stat().st_size > 100
    assert EXPORTERS[suffix].meaning
    if suffix in PRINTABLE:
        assert cli("compare", rows, "-s", "softmmu", "--format", suffix.removeprefix(".")).out


def test_an_unknown_suffix_is_told_every_one(cli, rows, tmp_path):
    done = cli("compare", rows, "-o", str(tmp_path / "r.doc"))
    assert done.code == 2 and " ".join(EXPORTERS) in done.err


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_trace_exporter_writes_every_row(cli, rows, tmp_path, suffix):
    file = tmp_path / f"t{suffix}"
    assert cli("trace", "export", rows, "-o", str(file)).code == 0
    if suffix.removeprefix(".") in TEXT:
        assert len(file.read_text().splitlines()) == 4 + 3  # the block's instructions, the accesses
        return
    found = READ[suffix](file)
    with open_trace(rows) as trace:
        (columns,) = trace.batches()
    assert {name: list(found[name]) for name in found} == {name: [*getattr(columns, name)] for name in DTYPES._fields}


def test_help_and_error_name_every_trace_exporter(cli, rows, tmp_path):
    text = " ".join(cli("trace", "export", "--help").out.split())
    assert f"this {' '.join([*WRITERS][:-1])} or {[*WRITERS][-1]} file" in text
    refused = cli("trace", "export", rows, "-o", str(tmp_path / "t.doc"))
    assert refused.code == 2 and " or ".join(WRITERS) in refused.err


@pytest.mark.parametrize("name", formats())
def test_every_importer_is_named_and_has_its_tests(cli, name):
    text = "".join(cli("trace", "import", "--help").out.split())  # lines are broken at hyphens, too
    assert "".join(f"{name}, {formats()[name]}".split()) in text
    assert callable(importer(name).read)
    assert (TESTS / "trace" / f"test_{name.partition('-')[0]}.py").is_file()


def test_an_unknown_format_is_told_every_one(cli, tmp_path):
    done = cli("trace", "import", "--from", "tape", "t.log", "-o", str(tmp_path / "t.arrow"))
    assert done.code == 2 and f"there are {', '.join(formats())}" in done.err


IMPORTER = '''"""Import what `words` prints: an address a line.

Planted by a test.
"""

from mmuexp.trace.importers import Told


def looks_like(sample):
    return sample.line == b"1000"


def read(source, rows_of, options):
    rows = rows_of("line")
    lines = b"".join(source.chunks()).split()
    for number, line in enumerate(lines):
        for column, value in zip(rows.events, (rows.scan.READ, int(line, 16), 4, number)):
            column[number] = value
    rows.add(len(lines))
    return Told("words", len(lines), {})
'''


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two packages that register importers: one works, one does not."""
    (tmp_path / "their_words.py").write_text(IMPORTER)
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    points = "[mmuexp.importers]\nwords = their_words\nbroken = no_such_module\nlackey = their_words\n"
    (tmp_path / "theirs-1.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_importer_of_another_package_is_found_by_content_and_by_name(cli, packages, tmp_path):
    (tmp_path / "w.txt").write_text("1000\n2000\n2004\n")
    for words in ((), ("--from", "words")):
        done = cli("trace", "import", *words, tmp_path / "w.txt", "-o", tmp_path / "w.arrow")
        assert done.code == 0 and "3 rows from 3 lines of words" in done.err
        with open_trace(tmp_path / "w.arrow") as trace:
            assert trace.metadata["recorder"] == "words" and "guest" not in trace.metadata and trace.complete is None
    assert "words of" not in formats()["lackey"] and formats()["words"] == "of their_words"
    done = cli("trace", "import", "--from", "broken", tmp_path / "w.txt", "-o", tmp_path / "n.arrow")
    assert done.code == 1 and "importer broken (entry point no_such_module): cannot be imported" in done.err
    done = cli("trace", "import", "--from", "lackey", tmp_path / "w.txt", "-o", tmp_path / "n.arrow")
    assert done.code == 1 and "is not a line of valgrind lackey" in done.err  # ours has its name


def test_what_is_planted_in_one_file_is_found_everywhere(tmp_path):
    """An exporter of results, one of traces, an importer and a scheme: a file each, and no other is told of it."""
    exporters = (
        'EXPORTERS = {\n    ".rows": Exporter(lambda result: result.frame.to_string().encode(), "rows of text"),'
    )
    copy = Planted(
        tmp_path,
        {
            "mmuexp/render/export.py": ("EXPORTERS = {", exporters),
            "mmuexp/trace/export.py": (
                '".csv": _csv,',
                '".csv": _csv, ".rows": lambda trace, file: file.write(b"%d" % trace.rows),',
            ),
        },
    )
    package = Path(tmp_path / "mmuexp")
    (package / "trace" / "importers" / "words.py").write_text(IMPORTER)
    scheme = (package / "strategies" / "qemu_fast.py").read_text()
    assert scheme.count('name = "qemu-fast"') == 1
    (package / "strategies" / "planted.py").write_text(scheme.replace('name = "qemu-fast"', 'name = "planted"'))
    (tmp_path / "w.txt").write_text("1000\n2000\n2004\n")

    assert "words,what`words`prints" in "".join(copy.mmuexp("trace", "import", "--help").split())
    copy.mmuexp("trace", "import", "w.txt", "-o", "w.arrow")
    assert ".rows" in copy.mmuexp("trace", "export", "--help")
    copy.mmuexp("trace", "export", "w.arrow", "-o", "w.rows")
    assert (tmp_path / "w.rows").read_text() == "3"
    assert "planted" in copy.mmuexp("strategy", "list")
    told = copy.mmuexp("compare", "w.arrow", "-s", "planted", "-s", "qemu-fast", "-o", "r.rows", "--format", "csv")
    planted, ours = (line.split(",")[2:] for line in told.splitlines()[1:])
    assert planted[:40] == ours[:40]  # every count
    heads, *rows = (tmp_path / "r.rows").read_text().splitlines()
    assert [line.split()[2] for line in rows] == ["planted", "qemu-fast"] and "faults" in heads.split()
    done: subprocess.CompletedProcess = copy.python("-m", "mmuexp", "compare", "w.arrow", "-s", "none-such")
    assert done.returncode == 2 and "planted" in done.stderr
