"""`compare --live`: columns that were measured, at prices that were measured; what cannot be measured is said.

Times on a shared machine are as they are: nothing here depends on one, but for what is computed from it.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.cli import one_line
from kit.places import TESTS
from kit.prices import known
from kit.replays import DEFAULTS, run
from kit.traces import ROWS, columns_of, random_trace, write, write_trace

from mmuexp.analysis.compare import compare
from mmuexp.analysis.experiment import Interrupted
from mmuexp.errors import UsageError
from mmuexp.guest import Columns
from mmuexp.live import build
from mmuexp.price.host import DEFAULT, OPTIONAL, TIERS, profile_of_dict
from mmuexp.price.priced import price
from mmuexp.price.primitives import PRICES
from mmuexp.result.table import LIVE
from mmuexp.strategy.registry import parse_spec

__all__ = ["known"]
PACKAGES = TESTS / "kit" / "third_party"


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[str, dict]:
    """A result as JSON, with nothing faked: the machine's own prices."""
    folder = tmp_path_factory.mktemp("live")
    path = str(folder / "result.json")
    argv = ["compare", "--live", "--rounds", "2", write_trace(folder / "t.arrow", repeat=3000), "-o", path]
    done = subprocess.run([sys.executable, "-m", "mmuexp", *argv], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return path, json.loads(Path(path).read_text())


@pytest.mark.long
def test_the_columns_are_appended(saved, cli, trace, known):
    assert saved[1]["columns"][-len(LIVE) :] == LIVE
    plain = cli("compare", trace, "--format", "csv").out.splitlines()[0]
    live = cli("compare", "--live", "--rounds", "1", trace, "--format", "csv").out.splitlines()[0]
    assert live == ",".join([plain, *LIVE])


def test_counts_and_prices_are_those_of_a_run_without(cli, trace, known):
    plain = table(cli("compare", trace, "--format", "csv").out)
    live = table(cli("compare", "--live", "--rounds", "1", "--host", DEFAULT, trace, "--format", "csv").out)
    assert [{name: row[name] for name in plain[0]} for row in live] == plain


@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
def test_export_reads_them_back(cli, saved, tmp_path, suffix):
    between = tmp_path / f"again.{suffix}"
    assert cli("export", saved[0], "-o", between).code == 0, cli.err
    for format_ in ("csv", "json", "md", "table"):
        assert cli("export", saved[0], "--format", format_).code == 0
        first = cli.out
        assert cli("export", between, "--format", format_).out == first
    rows = json.loads(cli("export", between, "--format", "json").out)["rows"]
    assert [[row[name] for name in LIVE] for row in rows] == [[row[name] for name in LIVE] for row in saved[1]["rows"]]


def test_the_figures_of_a_row_belong_together(saved):
    for row in saved[1]["rows"]:
        live, least, most, loop, model, error, low, high, rounds = (row[name] for name in LIVE)
        assert least <= low <= live <= high <= most
        assert rounds == 2
        assert least <= live <= most
        assert error == model - live
        assert loop > 0
        assert model > 0
    assert len({row["live_loop_ns_per_access"] for row in saved[1]["rows"]}) == 1


def test_the_hosts_prices_are_measured_in_the_same_run(saved):
    host = saved[1]["manifest"]["prices"]["host"]
    assert host["name"] == "now"
    entries = [
        *host["prices"].values(),
        *host["path"].values(),
        *host["far"].values(),
        *host["cold"].values(),
        *host["dependent"].values(),
    ]
    assert all(entry["source"].startswith("measured: ") and "spread_ns" in entry for entry in entries)
    assert host["prices"].keys() == {*PRICES, *OPTIONAL}
    assert os.uname().release in host["about"]
    assert saved[1]["manifest"]["live"] == {"rounds": 2, "seconds": 10.0, "without_engine": []}
    profile = profile_of_dict(host, "host")
    for row in saved[1]["rows"]:  # the other columns are at these prices, too
        assert row["ns"] == pytest.approx(price(parse_spec(row["strategy"]), row, profile).ns)


def modelled(spec: str, columns: Columns, mode: str, host: dict) -> float:
    """ns an access, by hand: a hit path as it was measured, all else by its primitives; nothing is translated."""
    counts, ns, strategy = run(columns, spec, mode), 0.0, parse_spec(spec)
    for event, cost in strategy.engine_price_list().items():
        each = host["path"][strategy.name]["ns"] if event == "units8" else 0.0
        for field, amount in cost.primitives().items():
            assert field != "walk"  # a trace holds no page tables
            if field != "translate" and not (event == "units8" and field in ("hit", "access")):
                each += amount * host["prices"][field]["ns"]
        ns += (counts.get(event) or 0) * each
    near, far, cold = (host[group][strategy.name]["ns"] for group in ("path", "far", "cold"))
    beyond = (counts["far_accesses"] or 0) * (far - near) + (counts["cold_accesses"] or 0) * (cold - far)
    return (ns + beyond) / counts["accesses"]


def test_the_modelled_column_by_hand(saved):
    rows, host = columns_of(ROWS * 3000), saved[1]["manifest"]["prices"]["host"]
    for row in saved[1]["rows"]:
        expected = modelled(row["strategy"], rows, "user", host)
        assert row["live_model_ns_per_access"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mode", ["user", "system"])
def test_the_modelled_column_by_hand_on_random_rows(tmp_path, known, mode):
    columns = columns_of(random_trace(7, 4000, mode))
    specs = ["softmmu", "softmmu,tlb_bits=4", "byte-lookup,entries=5", "map-block,pool_blocks=4", "qemu-fast"]
    if mode == "system":
        specs[-1] += ",guest_limit=0x100000000"
    result = compare(write(tmp_path / "t.arrow", columns, mode=mode), specs, live=True, rounds=1)
    host = result.manifest["prices"]["host"]
    for spec, model in zip(specs, result.frame["live_model_ns_per_access"], strict=True):
        assert model == pytest.approx(modelled(str(parse_spec(spec)), columns, mode, host), rel=1e-12), spec


def test_a_host_that_is_named_is_not_measured(cli, trace, monkeypatch):
    monkeypatch.setattr("mmuexp.live.calibrate.calibrate", lambda **_: pytest.fail("it calibrates"))
    done = cli("compare", "--live", "--rounds", "1", "--host", "pentium4-2004", trace, "--format", "json")
    assert done.code == 0
    host = json.loads(done.out)["manifest"]["prices"]["host"]
    assert host["name"] == "pentium4-2004"
    assert "access" not in host


def test_rounds(cli, trace, known, monkeypatch):
    asked = []
    import mmuexp.analysis.live_columns as columns

    honest = columns.measure

    def counted(*args, budget, **options):
        asked.append(budget)
        return honest(*args, budget=budget._replace(seconds=0.1), **options)

    monkeypatch.setattr(columns, "measure", counted)
    cli("compare", "--live", trace, "-s", "softmmu", "--format", "csv")
    (row,) = table(cli("compare", "--live", "--rounds", "1", trace, "-s", "softmmu", "--format", "csv").out)
    cli("compare", "--live", "--time", "2.5", trace, "-s", "softmmu", "--format", "csv")
    assert asked == [(None, 10.0), (1, 10.0), (None, 2.5)]
    only = row["live_least_ns_per_access"]
    assert row["live_most_ns_per_access"] == row["live_low_ns_per_access"] == row["live_high_ns_per_access"] == only
    assert row["live_ns_per_access"] == (only if float(only) > 0 else "")  # what is less than noise is not a time
    assert float(row["live_rounds"]) == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--live", "--every", "5"], "windows are not measured"),
        (["--rounds", "3"], "say --live, too"),
        (["--time", "3"], "say --live, too"),
        (["--live", "--time", "3", "--rounds", "3"], "leave --time out, or --rounds"),
        (["--live", "--time", "0"], "0.0 is not in the range"),
        (["--live", "--rounds", "0"], "0 is not in the range"),
        (["--live", "--rounds", "x"], "is not a valid integer"),
        (["--fail-if", "live_ns_per_access>1"], "only `compare --live` makes the column 'live_ns_per_access'"),
    ],
)
def test_wrong_options_are_wrong_usage(cli, trace, argv, says):
    assert cli("compare", trace, *argv).code == 2
    assert says in one_line(cli.err)


@pytest.mark.parametrize("rounds", [0, -1, True, 2.5, "3"])
def test_wrong_rounds_from_python(trace, rounds):
    with pytest.raises(UsageError, match="rounds"):
        compare(trace, live=True, rounds=rounds)


def test_checks_on_what_was_measured(cli, trace, known):
    live = ["compare", "--live", "--rounds", "1", trace, "-s", "map-block", "-s", "softmmu", "--format", "csv"]
    assert cli(*live, "--fail-if", "map-block:live_loop_ns_per_access>1e12").code == 0
    assert cli(*live, "--fail-if", "map-block:live_loop_ns_per_access<1e12").code == 3
    assert "map-block" in cli.err
    assert len(table(cli.out)) == 2


def test_people_see_them(cli, trace, known, tmp_path):
    done = cli("compare", "--live", "--rounds", "2", trace)
    for words in ("measured here, ns/access", "low to high", "modelled", "error", "host now"):
        assert words in " ".join(done.out.split())
    assert "measured here" not in cli("compare", trace).out
    page = tmp_path / "page.html"
    assert cli("compare", "--live", "--rounds", "1", trace, "-o", page, "--format", "md").code == 0
    assert "measured here" in page.read_text()
    assert "measured here" in cli.out


def test_without_live_nothing_is_compiled_or_measured(cli, trace, monkeypatch):
    monkeypatch.setattr("mmuexp.analysis.live_columns.with_engine", lambda _: pytest.fail("an engine is looked for"))
    monkeypatch.setattr("mmuexp.live.calibrate.calibrate", lambda **_: pytest.fail("it calibrates"))
    done = cli("compare", trace, "--format", "json")
    assert done.code == 0
    saved = json.loads(done.out)
    assert "live" not in saved["manifest"]
    assert not [name for name in saved["columns"] if name.startswith("live")]
    assert saved["manifest"]["prices"]["host"].keys() == {"name", "about", "prices", "path", *TIERS, "dependent"}


# schemes without an engine


def mmuexp(*argv) -> subprocess.CompletedProcess:
    """With a third party's package installed, which has no engine."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "mmuexp", *map(str, argv)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.long
def test_one_that_has_no_engine_is_said_and_the_others_are_measured(trace, tmp_path, cli):
    file = tmp_path / "result.json"
    done = mmuexp("compare", "--live", "--rounds", "1", "--host", DEFAULT, trace, "-o", file)
    assert done.returncode == 0, done.stderr
    said, wrote = done.stderr.splitlines()
    why = "it has no live engine: there is no mmuexp_victim.c beside mmuexp_victim.py"
    assert said == f"mmuexp: softmmu-large is not measured, {why}"
    assert wrote == f"mmuexp: wrote {file}"
    saved = json.loads(file.read_text())
    assert saved["manifest"]["live"]["without_engine"] == [{"strategy": "softmmu-large", "why": why}]
    measured = {row["strategy"]: {row[name] is not None for name in LIVE} for row in saved["rows"]}
    assert measured == {spec: {True} for spec in DEFAULTS} | {"softmmu-large": {False}}
    assert cli("export", file).code == 0
    assert "softmmu-large is not measured" in cli.err
    assert "softmmu-large is not measured" in cli.out


def test_a_file_of_ones_own_beside_one_of_ours(cli, trace, known, plain_python):
    file = PACKAGES / "mmuexp_victim.py"
    done = cli("compare", "--live", "--rounds", "1", trace, "-s", file, "-s", "map-block", "--format", "csv")
    assert done.code == 0
    assert "softmmu-large is not measured" in one_line(done.err)
    assert [bool(row["live_loop_ns_per_access"]) for row in table(done.out)] == [False, True]


def test_if_none_has_an_engine_nothing_is_done(cli, trace, monkeypatch, tmp_path):
    monkeypatch.setattr("mmuexp.live.calibrate.calibrate", lambda **_: pytest.fail("it calibrates"))
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("it replays"))
    file = PACKAGES / "mmuexp_victim.py"
    assert cli("compare", "--live", trace, "-s", file, "-o", tmp_path / "result.csv").code == 1
    assert "softmmu-large: has no live engine" in one_line(cli.err)
    assert [one.name for one in tmp_path.iterdir()] == ["small.arrow"]


@pytest.mark.parametrize(("machine", "cc", "says"), [
    ("aarch64", "cc", "this is Linux on aarch64"), ("x86_64", "no-such-compiler", "no C compiler"),
])  # fmt: skip
def test_a_host_without_engines(cli, trace, monkeypatch, tmp_path, machine, cc, says):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setenv("CC", cc)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.engine_of.cache_clear()
    try:
        assert cli("compare", "--live", trace).code == 1
    finally:
        build.engine_of.cache_clear()
    assert says in one_line(cli.err)


# interrupted


def test_what_was_finished_is_kept(trace, tmp_path, known, monkeypatch):
    import mmuexp.analysis.live_columns as columns

    honest, turns = columns.measure, []

    def interrupted(*args, **options):
        turns.append(args[2])
        if len(turns) == 2:
            raise KeyboardInterrupt
        return honest(*args, **options)

    monkeypatch.setattr(columns, "measure", interrupted)
    other = write_trace(tmp_path / "other.arrow", repeat=2)
    with pytest.raises(Interrupted) as stopped:
        compare([trace, other], ["softmmu", "map-block"], live=True, rounds=1)
    result = stopped.value.result
    assert list(result.frame["live_loop_ns_per_access"].isna()) == [False, False, True, True]
    assert "interrupted after 1 of 2 traces" in result.manifest["complete"]


@pytest.mark.parametrize(("rounds", "host"), [(0, DEFAULT), (2, DEFAULT), (3, "now")])
def test_who_is_interrupted_waits_for_no_measurement(trace, known, monkeypatch, rounds, host):
    """A second and a half later the process ends: the prices are those measured until then, or the shipped ones."""
    import mmuexp.analysis.live_columns as columns

    stopped = False
    sample = known.Sampler.sample

    def only_before(self, rounds, kinds, step=None):
        assert not stopped, "measured after ^C"
        sample(self, rounds, kinds)

    def interrupted(*args, between, **options):
        nonlocal stopped
        for _ in range(rounds):
            between()
        stopped = True
        raise KeyboardInterrupt

    monkeypatch.setattr(known, "BETWEEN_SECONDS", 0)
    monkeypatch.setattr(known.Sampler, "sample", only_before)
    monkeypatch.setattr(columns, "measure", interrupted)
    with pytest.raises(Interrupted) as kept:
        compare([trace], ["softmmu", "map-block"], live=True, host=",signal=7")
    result = kept.value.result
    assert result.manifest["prices"]["host"]["name"] == f"{host},signal=7"
    assert list(result.frame["strategy"]) == ["softmmu", "map-block"]
