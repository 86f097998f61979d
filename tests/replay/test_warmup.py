"""`--warmup`: counts from a row on, with the state kept: the whole trace less its beginning, whatever its batches."""

import csv
import io
import json

import pandas as pd
import pytest
from kit.cli import one_line
from kit.prices import known
from kit.traces import ROWS, columns_of, random_trace, write_trace
from truth.schemes import NAMES

import mmuexp
from mmuexp.analysis.compare import compare, sweep
from mmuexp.errors import UsageError
from mmuexp.result.table import COUNTS, RESIDENT, SIZES, rows_of
from mmuexp.trace import TraceWriter

__all__ = ["known"]
SPECS = [*NAMES, "map-block,pool_blocks=3"]
LENGTH = 2_000
TOTALS = {*SIZES, RESIDENT, "peak_mappings"}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """The first `rows` rows of a random trace, in batches of 500."""
    monkeypatch.setattr("mmuexp.trace.format.BATCH_ROWS", 500)

    def written(mode: str, rows: int = LENGTH) -> str:
        path = str(tmp_path / f"{mode}-{rows}.arrow")
        with TraceWriter(path, mode=mode, metadata={}) as writer:
            writer.append(columns_of(random_trace(5, LENGTH, mode)[:rows]))
        return path

    return written


def counts(frame) -> dict[str, dict]:
    return {row["strategy"]: {name: row[name] for name in COUNTS} for row in rows_of(frame)}


def less(whole: dict, beginning: dict) -> dict:
    return {
        name: n if n is None or name in TOTALS else n - (beginning[name] or 0)
        for name, n in whole.items()
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["user", "system"])
@pytest.mark.parametrize("warmup", [1, 499, 500, 1_777, LENGTH - 1])
def test_it_is_the_whole_less_its_beginning(write, mode, warmup):
    schemes = [spec for spec in SPECS if mode == "user" or spec != "qemu-fast"]
    whole, beginning = (counts(compare(write(mode, rows), schemes).frame) for rows in (LENGTH, warmup))
    rest = counts(compare(write(mode), schemes, warmup=warmup).frame)
    assert rest == {spec: less(whole[spec], beginning[spec]) for spec in rest}
    assert {row["rows"] for row in rest.values()} == {LENGTH - warmup}


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_threads_and_passes_change_nothing(write, monkeypatch, jobs):
    path = write("user")
    alone = compare(path, SPECS, warmup=1_234, jobs=1)
    assert mmuexp.compare(path, SPECS, warmup=1_234, jobs=jobs).equals(alone.frame)
    growing = iter(range(0, 1 << 50, 1 << 40))
    monkeypatch.setattr("mmuexp.analysis.passes.resident_bytes", lambda: next(growing))
    monkeypatch.setattr("mmuexp.analysis.passes.ASK_SECONDS", -1)
    assert mmuexp.compare(path, SPECS, warmup=1_234, jobs=jobs).equals(alone.frame)


@pytest.mark.parametrize("every", [1_000, 333, LENGTH])
def test_windows_begin_behind_it_and_add_up(write, every):
    whole = pd.DataFrame(compare(write("user"), SPECS, warmup=700).frame).set_index("strategy")
    parts = pd.DataFrame(compare(write("user"), SPECS, warmup=700, every=every).frame)
    assert parts["window_index"].max() == -(-(LENGTH - 700) // every) - 1
    assert parts["window_index"].min() == 0
    summed = parts.drop(columns="trace").groupby("strategy").sum(min_count=1)
    for column in COUNTS:
        for spec in whole.index:
            total, sums = whole.loc[spec, column], summed.loc[spec, column]
            assert sums is total or sums == total, (column, spec)


def test_no_warm_up_is_the_whole(write):
    path = write("user")
    assert compare(path, SPECS, warmup=0).frame.equals(compare(path, SPECS).frame)


def test_it_is_priced_and_decided_by_what_is_left(write):
    """The break-even and the marks come from the rest, too: a verdict on rows that are not counted would be wrong."""
    path = write("user")
    result = compare(path, ["softmmu", "map-block"], warmup=1_000)
    whole = compare(path, ["softmmu", "map-block"])
    for row in rows_of(result.frame):
        (verdict,) = (v for v in result.manifest["verdicts"] if v["scheme"] == row["strategy"])
        if row["faults"]:
            assert verdict["now_ns"] == pytest.approx(row["kernel_ns"] / row["faults"])
    assert result.manifest["verdicts"] != whole.manifest["verdicts"]


def test_a_sweep_counts_from_there_at_each_value_and_load_address(write, trace):
    path = write("user")
    found = sweep("pool_blocks=2,9", path, strategy="map-block", warmup=1_500).frame
    beginning = sweep("pool_blocks=2,9", write("user", 1_500), strategy="map-block").frame
    whole = sweep("pool_blocks=2,9", path, strategy="map-block").frame
    assert counts(found) == {spec: less(row, counts(beginning)[spec]) for spec, row in counts(whole).items()}
    seeded = sweep("load_seed=0..2", trace, strategy="softmmu", warmup=5).frame
    assert list(seeded["rows"]) == [len(ROWS) - 5] * 3


def test_it_is_told_wherever_the_result_goes(cli, trace, tmp_path):
    saved, whole = tmp_path / "a.json", tmp_path / "b.json"
    shown = cli("compare", trace, "-s", "softmmu", "--warmup", "5", "-o", saved, "-o", "-")
    assert f"small.arrow: {len(ROWS) - 5} rows from row 5 on, 7 memory accesses" in shown.words
    assert json.loads(saved.read_text())["manifest"]["warmup"] == 5
    assert "from row 5 on" in cli("export", saved, "--format", "md", "-o", "-").words
    cli("compare", trace, "-s", "softmmu", "-o", whole)
    assert "rows of warm-up: 5, then 0" in cli("diff", saved, whole).words
    assert cli("compare", trace, "-s", "softmmu", "--warmup", "5", "--every", "2").code == 0
    assert "7 rows from row 5 on" in cli.words
    document = json.loads(saved.read_text())
    for wrong in (-1, "5", True, 2.5):
        document["manifest"]["warmup"] = wrong
        saved.write_text(json.dumps(document))
        assert cli("export", saved, "-o", "-", "--format", "md").code == 1
        assert "warmup is not a number of rows" in one_line(cli.err)


def test_a_drawing_tells_it(cli, trace, tmp_path):
    for name in ("a.svg", "a.html"):
        cli("compare", trace, "-s", "softmmu", "-s", "map-block", "--warmup", "5", "-o", tmp_path / name)
        assert "from row 5 on" in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["--warmup", "12"], 2, "12 rows of warm-up leave nothing of {trace}, which has 12; give at most 11"),
        (["--warmup", "99999999999999999999"], 2, "leave nothing of"),
        (["--warmup", "-1"], 2, "--warmup"),
        (["--warmup", "x"], 2, "--warmup"),
    ],
)
def test_what_is_refused(cli, trace, monkeypatch, words, code, message):
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("work began"))
    done = cli("compare", trace, *words)
    assert message.format(trace=trace) in one_line(done.err.splitlines()[-1])
    assert done.code == code


def test_the_shortest_of_several_traces_is_looked_at_first(tmp_path, monkeypatch):
    long, short = (write_trace(tmp_path / f"{n}.arrow", rows=n) for n in (100, 7))
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(UsageError, match=r"warmup: 7 rows of warm-up leave nothing of .*7\.arrow, which has 7"):
        compare([long, short], ["softmmu"], warmup=7)


@pytest.mark.parametrize("given", [2.5, "5", True, -3])
def test_what_is_no_number_of_rows(trace, given):
    with pytest.raises(UsageError, match=r"warm-?up"):
        mmuexp.compare(trace, ["softmmu"], warmup=given)
    with pytest.raises(UsageError, match=r"warm-?up"):
        mmuexp.sweep("tlb_bits=7,8", trace, warmup=given)


def test_the_clock_begins_where_the_counts_do(cli, tmp_path, known):
    path = write_trace(tmp_path / "t.arrow", repeat=50)
    words = ("-s", "softmmu", "-s", "map-block", "--warmup", "331", "--format", "csv")
    plain, live = (
        list(csv.DictReader(io.StringIO(cli("compare", path, *words, *more).out)))
        for more in ([], ["--live", "--rounds", "1"])
    )
    assert [row["accesses"] for row in live] == [row["accesses"] for row in plain]
    assert [row["tlb_fills"] for row in live] == [row["tlb_fills"] for row in plain]
    cold = list(
        csv.DictReader(io.StringIO(cli("compare", path, *words[:4], *words[6:], "--live", "--rounds", "1").out))
    )
    for row, other in zip(live, cold, strict=True):  # the model of what was timed: no first touch is left
        assert float(row["live_model_ns_per_access"]) < float(other["live_model_ns_per_access"])
