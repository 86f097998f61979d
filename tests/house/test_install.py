"""The package as users install it: a wheel below 10 MB, used from another folder, with and without a C compiler.

Once with the oldest of everything that pyproject.toml allows, and once with the newest: no byte of a table differs.
"""

import csv
import fcntl
import io
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from kit.places import ROOT, TRACES

from mmuexp.strategy.registry import default_strategies

pytestmark = pytest.mark.long


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    with (ROOT / "pyproject.toml").open() as lock:  # the build writes beside the sources, and other workers build, too
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def no_compiler(tmp_path_factory) -> dict[str, str]:
    """An environment whose PATH leads to no compiler, and whose HOME is fresh."""
    home = tmp_path_factory.mktemp("home")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "PYTHON"))}
    return env | {"PATH": str(home / "bin"), "HOME": str(home)}


def test_the_wheel_is_small_and_whole(wheel):
    assert wheel.stat().st_size < 10e6
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "mmuexp/py.typed",
        "mmuexp/strategies/map_block.py",
        "mmuexp/traces/luajit.arrow",
        "mmuexp/price/profiles/pentium4-2004.toml",
        "mmuexp/record/plugin/mmuexp_plugin.c",
        "mmuexp/render/html/assets/page.js",
        "mmuexp/render/html/templates/page.html",
        "mmuexp/results/programs/experiment.toml",
        "mmuexp/results/programs/counts.csv",
        "mmuexp/results/programs/counts.csv.manifest.json",
    ):
        assert name in names
    from mmuexp.live import build

    sources = {*build.SOURCES, *build.HEADERS, build.NO_SCHEME}
    assert {f"mmuexp/live/engine/{name}" for name in sources} <= names
    assert {f"mmuexp/strategies/{path.name}" for path in (ROOT / "strategies").glob("*.c")} <= names
    assert not [name for name in names if name.startswith(("tests/", "results/"))]


def oldest(extra: str = "") -> list[str]:
    """What pip is told to install the oldest of each package that pyproject.toml names: `>=` read as `==`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else [])]
    floors = [re.fullmatch(r"([\w-]+)>=([\d.]+)", one) for one in asked]
    assert all(floors), f"one of these has no floor: {asked}"
    return [f"{floor[1]}=={floor[2]}" for floor in floors]


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_it_is_installed_used_and_uninstalled(wheel, no_compiler, tmp_path, elsewhere):
    """With the oldest packages that are allowed: the newest are those that all other tests run with. The steps follow
    one another, as a user's do: what one compiled need not be compiled for the next."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    pip = (venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-compile")
    run(*pip, "--upgrade", wheel, *oldest())
    _compares_from_another_folder(venv, elsewhere, no_compiler)
    _runs_live_and_reports(venv, elsewhere, no_compiler["HOME"])
    run(*pip, f"{wheel}[cluster]", *oldest("cluster"))
    _counts_on_a_cluster(venv, elsewhere, no_compiler)
    _leaves_nothing(venv, elsewhere, no_compiler)


def _compares_from_another_folder(venv: Path, elsewhere: Path, env: dict[str, str]) -> None:
    done = run(venv / "bin" / "mmuexp", "compare", "--format", "csv", cwd=elsewhere, env=env)
    listed = [row["strategy"] for row in csv.DictReader(io.StringIO(done.stdout))]
    assert listed == [str(strategy) for strategy in default_strategies("user")]
    here = run(sys.executable, "-m", "mmuexp", "compare", "--format", "csv", cwd=elsewhere)
    assert done.stdout == here.stdout
    ranges = ["sweep", "MAP_BLOCK_BITS", "--trace", TRACES / "ownpage.arrow", "--format", "csv"]
    swept = run(venv / "bin" / "mmuexp", *ranges, cwd=elsewhere, env=env)
    assert swept.stdout == run(sys.executable, "-m", "mmuexp", *ranges, cwd=elsewhere).stdout
    check = run(venv / "bin" / "mmuexp", "strategy", "check", "softmmu", cwd=elsewhere, env=env)
    assert "FAILED" not in check.stdout and check.stdout.count("ok") >= 11
    version = run(venv / "bin" / "python", "-m", "mmuexp", "--version", cwd=elsewhere, env=env)
    assert version.stdout.startswith("mmuexp 0.")
    assert not list(elsewhere.iterdir())


def _runs_live_and_reports(venv: Path, elsewhere: Path, home: str) -> None:
    env = {**os.environ, "HOME": home}  # where the loops are that it compiled before
    for name in ("PYTHONPATH", "XDG_CACHE_HOME"):
        env.pop(name, None)
    live = run(venv / "bin" / "mmuexp", "verify", "--trace", TRACES / "ownpage.arrow", cwd=elsewhere, env=env)
    assert "Model and engine agree on every count and every fault of 6 runs" in live.stdout
    assert len(list(Path(home).glob(".cache/mmuexp/engines/*"))) == 6  # and what they share
    assert not list(elsewhere.iterdir())
    page = elsewhere.parent / "report.html"
    run(venv / "bin" / "mmuexp", "report", "-o", page, cwd=elsewhere, env=env)
    assert "How should an emulator translate guest memory?" in page.read_text()
    assert not list(elsewhere.iterdir())


def _counts_on_a_cluster(venv: Path, elsewhere: Path, env: dict[str, str]) -> None:
    words = ["compare", TRACES / "ownpage.arrow", TRACES / "smc.arrow", "-s", "softmmu", "-s", "map-block"]
    words += ["--no-store", "--format", "csv"]
    done = run(venv / "bin" / "mmuexp", *words, "--cluster", "local:2", cwd=elsewhere, env=env)
    assert done.stdout == run(sys.executable, "-m", "mmuexp", *words, cwd=elsewhere).stdout
    imports = "from mmuexp.trace.fetch import _system_of; print(*map(_system_of, ('s3', 'https')))"
    assert "S3FileSystem" in run(venv / "bin" / "python", "-c", imports, cwd=elsewhere, env=env).stdout


def _leaves_nothing(venv: Path, elsewhere: Path, env: dict[str, str]) -> None:
    """Not even the machine code that numba would keep beside the sources; and `cache clear` leaves no cache."""
    (packages,) = venv.glob("lib/*/site-packages")
    assert (packages / "mmuexp" / "__init__.py").is_file()
    cache = Path(env["HOME"]) / ".cache" / "mmuexp"
    assert list(cache.glob("kernels/*/*.nbc")) and list(cache.glob("loops/*/__pycache__/*.nbc"))
    run(venv / "bin" / "mmuexp", "cache", "clear", cwd=elsewhere, env=env)
    assert not cache.exists()
    run(venv / "bin" / "pip", "uninstall", "-q", "-y", "mmuexp")
    assert [path for path in venv.rglob("*") if "mmuexp" in path.name] == []


def test_the_recorder_says_that_it_needs_a_compiler(no_compiler, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\0\x03\0" + bytes(200))
    command = [sys.executable, "-m", "mmuexp", "record", "-o", str(tmp_path / "t.arrow"), "--", str(program)]
    done = subprocess.run(command, env=no_compiler, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "t.arrow").exists()
