"""Names that no terminal should see: bytes that are not UTF-8, line breaks, quotes, escapes, in every command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit.places import HONEST_FILE, ROOT, TRACES

from mmuexp.errors import MmuexpError, all_shown, shell_line, shown
from mmuexp.result.saved import load

NAMES = [
    b"\xff\xfe",
    b"two\nlines\t",
    b'it\'s "so"',
    b"--help",
    b"e\x1b[31m",
    "\u202eevil\u0085\ufffe".encode(),
    b"$(x) `y`",
]


def test_what_is_shown():
    assert shown("plain é 漢") == "plain é 漢"
    assert shown("a\nb\x1b[0m\udcff\xff\x85\u202e") == r"a\nb\x1b[0m\xffÿ\u0085\u202e"
    assert shown(shown("\x1b")) == shown("\x1b")
    assert all_shown({"a\x1b": ["b\nc\x07", 1, None]}) == {r"a\x1b": ["b\nc\\x07", 1, None]}
    line = str(MmuexpError("bad\n\x1b", where="a\nb", todo="c\udcfe"))
    assert line == r"a\nb: bad \x1b; c\xfe"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_line_of_a_manifest_can_be_typed_again(name):
    line = shell_line(["printf", "%s", os.fsdecode(name)])
    assert line.isprintable()
    assert subprocess.run(["bash", "-c", line], capture_output=True, env={"LC_ALL": "C.UTF-8"}).stdout == name


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clean(done, code: int = 0) -> None:
    """Exit code, and no character that a terminal would take for more than itself."""
    assert done.code == code, done.err
    assert "bug" not in done.err and "Traceback" not in done.err
    for text in (done.out, done.err):
        assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


@pytest.mark.parametrize("raw", NAMES, ids=range(len(NAMES)))
def test_every_command_takes_every_name(there, cli, raw):
    name = os.fsdecode(raw)
    trace = f"./{name}.arrow" if name.startswith("-") else f"{name}.arrow"
    at = f"./{name}"
    shutil.copy(TRACES / "smc.arrow", trace)
    clean(cli("compare", trace, "-s", "softmmu", "-o", f"{at}.csv", "-o", f"{at}.json", "-o", f"{at}.md", "-o", "-"))
    clean(cli("sweep", "map_block_bits=20,21", "--trace", trace, "-s", "map-block", "--format", "csv"))
    clean(cli("misses", trace, "-s", "softmmu", "-o", f"{at}.misses.json"))
    clean(cli("faults", trace, "-s", "map-block", "-o", f"{at}.faults.csv"))
    clean(cli("export", f"{at}.json", "-o", f"{at}.parquet"))
    clean(cli("diff", f"{at}.json", f"{at}.csv", "-o", "-"))
    for command in ("info", "verify", "head"):
        clean(cli("trace", command, trace))
    for command, *more in (["recover"], ["compress"], ["slice", "0:50"]):
        clean(cli("trace", command, trace, *more, "-o", f"{at}.{command}.arrow"))
    clean(cli("trace", "export", trace, "-o", f"{at}.rows.csv"))
    for file in (".csv", ".json", ".md", ".faults.csv"):
        text = Path(f"{at}{file}").read_text(encoding="utf-8")
        assert all(char.isprintable() or char == "\n" for char in text)
    assert load(f"{at}.json").frame["trace"][0] == shown(trace)
    assert (
        shown(trace).isprintable() and json.loads(Path(f"{at}.csv.manifest.json").read_text())["command"].isprintable()
    )


@pytest.mark.long
def test_a_scheme_of_such_a_name_is_compiled_and_replayed(there, cli):
    scheme = "./" + os.fsdecode(b"".join(NAMES)) + ".py"
    shutil.copy(HONEST_FILE, scheme)
    clean(cli("compare", TRACES / "smc.arrow", "-s", scheme, "-o", "a.json"))
    clean(cli("strategy", "show", scheme))
    assert load("a.json").frame["strategy"][0] == "honest"


@pytest.mark.parametrize("raw", NAMES[:5], ids=range(5))
def test_an_error_with_such_a_name_is_one_line(there, cli, raw):
    name = "./" + os.fsdecode(raw)
    for command in (
        ["compare", name],
        ["compare", "-s", f"{name}.py"],
        ["compare", "-s", name],
        ["compare", "--host", f"{name}.toml"],
        ["compare", "-o", f"{name}.xyz"],
        ["compare", "--fail-if", name],
        ["trace", "info", name],
        ["trace", "recover", name, "-o", f"{name}.arrow"],
        ["verify", name],
        ["export", f"{name}.json", "-o", "x.csv"],
        ["diff", f"{name}.csv", f"{name}.json"],
        ["rerun", name],
        ["report", name, "-o", f"{name}.html"],
        ["strategy", "show", f"{name}.py"],
        ["strategy", "check", f"{name}.py"],
        ["record", "--", name],
        [name],
    ):
        done = cli(*command)
        assert done.code in (1, 2), command
        clean(done, done.code)
        assert done.err.count("\n") == 1, done.err


def test_texts_of_a_result_and_of_a_host_are_shown_escaped(there, cli):
    cli("compare", TRACES / "smc.arrow", "-s", "softmmu", "-s", "map-block", "-o", "good.json")
    document = json.loads(Path("good.json").read_text())
    for row in document["rows"]:
        row["trace"] = "t\x1b[31m\ud800\x00"
    for entry in (*document["manifest"]["traces"], *document["manifest"]["verdicts"]):
        entry["trace"] = "t\x1b[31m\ud800\x00"
    Path("bad.json").write_text(json.dumps(document))
    files = [f"out{suffix}" for suffix in (".csv", ".json", ".md", ".html", ".svg", ".png", ".parquet")]
    done = cli("export", "bad.json", *(word for file in files for word in ("-o", file)), "-o", "-")
    clean(done)
    assert r"t\x1b[31m\ud800\x00" in done.out
    for file in files[:5]:
        assert all(char.isprintable() or char == "\n" for char in Path(file).read_text().split("<script")[0]), file
    host = (ROOT / "mmuexp/price/profiles/pentium4-2004.toml").read_text()
    Path("h.toml").write_text(host.replace('about = "', 'about = "\\u001b[31m\\u0007', 1).replace(": ", ": \\u001b", 1))
    clean(cli("compare", TRACES / "smc.arrow", "-s", "softmmu", "--host", "./h.toml"))


def test_a_host_of_lists_in_lists_is_one_line(there, cli):
    Path("deep.toml").write_text("insn = " + "[" * 5000 + "]" * 5000)
    done = cli("compare", "--host", "./deep.toml")
    clean(done, 1)
    assert "is not TOML" in done.err and done.err.count("\n") == 1


def run(*words, shell: str = "", **environment):
    """A command in a process of its own, which a shell prepares."""
    command = [sys.executable, "-m", "mmuexp", *map(str, words)]
    if shell:
        command = ["bash", "-c", shell.replace("{command}", '"$@"'), "bash", *command]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment}, timeout=100)


def test_stdin_that_is_closed_is_one_line(there):
    done = run("trace", "import", "-", "-o", "i.arrow", shell="{command} <&-")
    assert done.returncode == 1 and b"bug" not in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.long
def test_a_terminal_of_ascii_gets_what_it_can_show(there):
    for words in (["report", "-o", "-"], ["compare", TRACES / "smc.arrow"], ["claims"]):
        done = run(*words, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert words[0] != "report" or b"</html>" in done.stdout


def test_a_renderer_that_dies_costs_its_chart_alone(there, cli, monkeypatch):
    """As V8 does where the process may have no more memory: the renderer is a process beside ours."""
    monkeypatch.setattr("mmuexp.render.chart.vega.CHILD", Path("dies.py"))
    Path("dies.py").write_text("import os, sys; sys.stdin.readline(); os.abort()")
    from mmuexp.render.chart import vega

    vega._end()
    try:
        done = cli("compare", TRACES / "smc.arrow", "-s", "softmmu", "-s", "map-block",
                   "-o", "a.svg", "-o", "b.csv", "-o", "c.png", "-o", "d.json")  # fmt: skip
    finally:
        vega._end()
    clean(done, 1)
    told = [line for line in done.err.splitlines() if "cannot be drawn" in line]
    assert len(told) == 2 and all("was ended by SIGABRT" in line for line in told)
    assert sorted(os.listdir()) == ["b.csv", "b.csv.manifest.json", "d.json", "dies.py"]


def test_a_long_table_is_for_programs(there, cli):
    cli("compare", TRACES / "smc.arrow", "-s", "softmmu", "-o", "one.csv")
    head, row = Path("one.csv").read_text().splitlines()
    Path("long.csv").write_text("\n".join([head, *[row.replace("smc", f"smc{n}", 1) for n in range(2001)], ""]))
    done = cli("export", "long.csv", "-o", "a.html", "-o", "b.json")
    clean(done, 1)
    assert "a table of 2,001 rows is too long" in done.err
    assert Path("b.json").exists() and not Path("a.html").exists()
