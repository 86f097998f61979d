"""What the shell is offered; `sweep` takes files as compare does; `mmuexp help`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import ROOT

from mmuexp.cli.complete import schemes
from mmuexp.price.primitives import PRICES
from mmuexp.strategy.registry import all_strategies

HEAVY = {"numba", "numpy", "pandas", "pyarrow"}


def offered(*words: str) -> list[tuple[str, str]]:
    """(type, value) of what bash would be offered for the last word."""
    code = "import sys; from mmuexp.cli.main import run\ntry: run([])\nfinally: print(*sys.modules, file=sys.stderr)"
    env = os.environ | {"_MMUEXP_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    env["COMP_WORDS"] = " ".join(["mmuexp", *words])
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stderr.split())
    return [tuple(line.split(",", 1)) for line in done.stdout.splitlines()]


def values(*words: str) -> list[str]:
    return [value for _, value in offered(*words)]


def test_the_source_tells_what_the_classes_declare():
    assert {name: set(params) for name, params in schemes().items()} == {
        name: set(cls.params()) for name, cls in all_strategies().items()
    }


def test_schemes_and_their_parameters():
    assert set(values("compare", "-s", "soft")) == {"softmmu", "softmmu-qemu10"}
    assert values("compare", "-s", "map-block,ev") == ["map-block,evict="]
    assert "map-block,evict=lifo,pool_mib=" in values("compare", "-s", "map-block,evict=lifo,p")
    assert "map-block,evict=lifo,evict=" not in values("compare", "-s", "map-block,evict=lifo,")


def test_parameters_of_a_sweep():
    assert values("sweep", "MAP_B") == ["map_block_bits"]
    assert values("sweep", "-s", "softmmu", "t") == ["tlb_bits"]
    assert values("sweep", "-s", "softmmu", "pool") == ["pool"]  # a file, perhaps


def test_commands_hosts_prices_and_files():
    assert values("comp") == ["compare", "completion"]
    assert values("help", "sw") == ["sweep"]
    assert values("compare", "--host", "pent") == ["pentium4-2004"]
    assert values("compare", "--price", "") == [f"{primitive}=" for primitive in PRICES]
    assert offered("compare", "tra") == offered("trace", "info", "tra") == offered("diff", "tra") == [("file", "tra")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_installed(cli, shell, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    script = cli("completion", shell).out
    assert f"_MMUEXP_COMPLETE={shell}_complete" in script
    assert cli("completion", shell, "--install").code == 0
    (installed,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert installed.read_text() == script
    assert str(installed) in one_line(cli.err)


def test_bash_takes_the_script(cli):
    script = cli("completion", "bash").out
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_fish_takes_a_value_with_a_comma_whole(cli):
    script = cli("completion", "fish").out
    assert 'string split --max 1 "," $completion' in script
    assert script.count("string split") == 1


@pytest.mark.long
def test_fish_offers_what_it_is_told(cli, tmp_path):
    """A real fish, with the script installed."""
    subprocess.run([ROOT / ".ci" / "need", "fish"], check=True)
    env = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["mmuexp", "completion", "fish", "--install"], env=env, check=True)
    for line, expected in (
        ("mmuexp compl", "completion"),
        ("mmuexp compare -s map-block,ev", "map-block,evict="),
        ("mmuexp compare --host pent", "pentium4-2004"),
    ):
        done = subprocess.run(["fish", "-c", f'complete -C "{line}"'], env=env, capture_output=True, text=True)
        assert done.stdout.split("\t")[0].strip() == expected, done.stderr


def test_sweep_takes_files(cli, trace, tmp_path, monkeypatch):
    plain = cli("sweep", "MAP_BLOCK_BITS=12,16", "--trace", trace, "--format", "csv").out
    assert cli("sweep", "MAP_BLOCK_BITS=12,16", trace, "--format", "csv").out == plain
    assert cli("sweep", trace, "MAP_BLOCK_BITS=12,16", "--format", "csv").out == plain
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evict").write_text("a file of a parameter's name")
    assert cli("sweep", "evict", trace, "--format", "csv").code == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["map_blok_bits", "{trace}"], 2, "did you mean map_block_bits?"),
        (["evict", "nosuch.arrow"], 1, "nosuch.arrow"),
        (["{trace}"], 2, "no parameter to sweep"),
    ],
)
def test_a_bad_word_is_told(cli, trace, words, code, told):
    assert cli("sweep", *(word.format(trace=trace) for word in words)).code == code
    assert told in one_line(cli.err)


def test_help_is_a_command(cli):
    assert cli("help").out == cli("--help").out
    assert cli("help", "compare").out == cli("compare", "--help").out
    assert cli("help", "trace", "slice").out == cli("trace", "slice", "--help").out
    assert cli("help", "trace", "nothing").code == 2
    assert "slice" in one_line(cli.err)
    assert cli("help", "compare", "nothing").code == 2
