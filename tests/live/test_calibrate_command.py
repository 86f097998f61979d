"""`mmuexp calibrate`: where the profile goes, and what is one line instead."""

import json
import tomllib
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.prices import KERNEL, known

from mmuexp.live import build, calibrate
from mmuexp.price.host import load_profile, user_folder
from mmuexp.result import manifest

__all__ = ["known"]


def test_the_default_place_is_found_by_name(cli, known, trace):
    done = cli("calibrate", "--rounds", "3")
    assert done.code == 0
    file = user_folder() / "here.toml"
    assert done.err == f"mmuexp: wrote {file}\nmmuexp: `--host here` takes these prices\n"
    assert "page_in" in done.out
    assert {one.name for one in file.parent.iterdir()} == {"here.toml", "here.toml.manifest.json"}
    about = json.loads(Path(f"{file}{manifest.SUFFIX}").read_text())
    assert about["kind"] == "calibrate"
    assert {"machine", "versions", "command", "started", "finished"} <= set(about)
    assert load_profile("here").ns == load_profile(str(file)).ns
    saved = json.loads(cli("compare", "--trace", trace, "--host", "here", "--format", "json").out)
    assert saved["manifest"]["prices"]["host"]["name"] == "here"
    assert saved["manifest"]["prices"]["host"]["prices"]["insn"]["ns"] == 0.2


def test_a_second_calibration_takes_the_place_of_the_first(cli, known, monkeypatch):
    cli("calibrate")
    monkeypatch.setattr(calibrate, "kernel", lambda rounds, step=None: KERNEL | {"insn": [0.7] * 3})
    assert cli("calibrate").code == 0
    assert load_profile("here").ns["insn"] == 0.7


def test_a_file_of_ones_own(cli, known, tmp_path, trace):
    file = tmp_path / "lab.toml"
    assert f"--host {file}" in cli("calibrate", "-o", file).err
    assert cli("compare", "--trace", trace, "--host", file).code == 0
    assert "host lab" in " ".join(cli.out.split())
    assert not user_folder().exists()


def test_to_stdout(cli, known):
    done = cli("calibrate", "-o", "-")
    assert (done.code, done.err) == (0, "")
    assert tomllib.loads(done.out)["insn"]["ns"] == 0.2
    assert not user_folder().exists()


def test_every_round_in_a_file_beside_the_profile(cli, known, tmp_path):
    raw, mine = tmp_path / "raw.csv", tmp_path / "mine.toml"
    assert cli("calibrate", "-o", raw, "-o", mine).code == 0
    assert raw.read_text() == calibrate.rounds_text(calibrate.calibrate())
    assert load_profile(str(mine)).ns["insn"] == 0.2
    assert not user_folder().exists()
    assert cli("calibrate", "-o", raw).code == 0  # the profile then goes where it does without -o
    assert load_profile("here").ns["insn"] == 0.2
    assert cli("calibrate", "-o", raw, "-o", "-").out == mine.read_text()


@pytest.mark.parametrize(("path", "code"), [("nowhere/x.toml", 1), ("folder.toml", 1), ("x.json", 2), ("x", 2)])
def test_a_wrong_path_fails_before_the_work(cli, monkeypatch, tmp_path, path, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibrate, "calibrate", lambda **_: pytest.fail("it measured"))
    (tmp_path / "folder.toml").mkdir()
    assert cli("calibrate", "-o", path).code == code
    one_line(cli.err)
    assert [file.name for file in tmp_path.rglob("*")] == ["folder.toml"]


def test_no_configuration_folder_is_one_line(cli, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(calibrate, "calibrate", lambda **_: pytest.fail("it measured"))
    assert cli("calibrate").code == 1
    assert str(tmp_path / "file") in one_line(cli.err)


@pytest.mark.parametrize("rounds", ["2", "0", "-1", "x"])
def test_too_few_rounds_are_refused(cli, rounds):
    assert cli("calibrate", "--rounds", rounds).code == 2
    one_line(cli.err)


@pytest.fixture
def nothing_compiled(monkeypatch, tmp_path):
    """Engines are looked for anew, in an empty cache."""
    build.engine_of.cache_clear()
    build.primitives_program.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    build.engine_of.cache_clear()
    build.primitives_program.cache_clear()


@pytest.mark.parametrize(("cc", "says"), [("no-such-compiler", "no C compiler"), ("false", "does not compile")])
def test_no_compiler_is_one_line(cli, monkeypatch, nothing_compiled, cc, says):
    monkeypatch.setenv("CC", cc)
    assert cli("calibrate", "--rounds", "3").code == 1
    assert says in one_line(cli.err)
    assert list(user_folder().iterdir()) == []


def test_another_architecture_is_one_line(cli, monkeypatch, nothing_compiled):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cli("calibrate").code == 1
    assert "runs on x86-64 Linux, and this is Linux on aarch64" in one_line(cli.err)


@pytest.mark.parametrize(("program", "says"), [
    ("#!/bin/sh\necho 'mmap: Cannot allocate memory' >&2; exit 1\n", "measured: mmap: Cannot allocate memory"),
    ("#!/bin/sh\nkill -SEGV $$\n", "measured: they ended with code -11"),
    ("#!/bin/sh\nexec sleep 30\n", "measured: they took more than 0.2 s"),
    ("no program\n", "Exec format error"),
])  # fmt: skip
def test_primitives_that_fail_are_one_line(cli, monkeypatch, tmp_path, program, says):
    file = tmp_path / "primitives"
    file.write_text(program)
    file.chmod(0o755)
    monkeypatch.setattr(calibrate, "primitives_program", lambda: file)
    monkeypatch.setattr(calibrate, "PRIMITIVE_SECONDS", 0.2 if "sleep" in program else 20)
    assert cli("calibrate", "-o", "-").code == 1
    assert says in one_line(cli.err)


@pytest.mark.long
def test_the_command_itself(cli, monkeypatch, tmp_path):
    """Nothing faked: the shortest calibration there is, and its prices taken."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert cli("calibrate", "--rounds", "3").code == 0
    assert load_profile("here").ns["insn"] > 0
