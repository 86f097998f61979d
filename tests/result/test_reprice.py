"""A saved result at other prices: as if it had been counted anew there, in every cell and every verdict."""

import csv
import json
from pathlib import Path

import pytest
from kit.cli import OWN_SCHEME, edit, one_line
from kit.prices import made_host
from kit.traces import write_trace

import mmuexp
from mmuexp.analysis.compare import compare, sweep
from mmuexp.analysis.reprice import reprice
from mmuexp.errors import MmuexpError, UsageError
from mmuexp.price.priced import PAGE_BLOCKS, price
from mmuexp.render.export import Output
from mmuexp.result.saved import load
from mmuexp.result.table import LIVE, Result, rows_of
from mmuexp.strategy.registry import parse_spec

NOW, OLD = "xeon-2.6-vm", "pentium4-2004"
KEPT = ("command", "strategies", "traces", "left_out", "model_version", "every", "warmup")


def same(found: Result, wanted: Result) -> None:
    assert list(found.frame.columns) == list(wanted.frame.columns)
    assert rows_of(found.frame) == rows_of(wanted.frame)
    for part in ("verdicts", "certainty", "pressure", "second_half", "prices", *KEPT):
        assert found.manifest.get(part) == wanted.manifest.get(part), part


def saved(result: Result, folder: Path, suffix: str) -> Result:
    path = str(folder / f"r.{suffix}")
    Output(path).save(result)
    return load(path)


@pytest.fixture
def trace(tmp_path):
    return write_trace(tmp_path / "t.arrow", repeat=30)


@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
def test_a_comparison(trace, tmp_path, suffix):
    now, old = (compare(trace, host=host, command=["mmuexp"]) for host in (NOW, OLD))
    same(reprice(saved(now, tmp_path, suffix), OLD), old)
    same(reprice(saved(old, tmp_path, suffix), NOW), now)
    same(reprice(saved(old, tmp_path, suffix)), compare(trace, command=["mmuexp"]))  # the default host


def test_windows_and_what_comes_after_a_warm_up(trace, tmp_path):
    for cut in ({"every": 100}, {"warmup": 77}, {"every": 50, "warmup": 20}):
        now, old = (compare(trace, host=host, command=["mmuexp"], **cut) for host in (NOW, OLD))
        same(reprice(saved(now, tmp_path, "csv"), OLD), old)


@pytest.mark.parametrize(
    ("params", "more"),
    [
        ("map_block_bits=12,16", {"reference": "softmmu"}),
        ("tlb_bits=4,8", {"strategy": "softmmu"}),
        ("evict=fifo,lifo", {}),
        ("load_seed=0..2", {"strategy": "softmmu"}),
    ],
)
def test_a_sweep(trace, tmp_path, params, more):
    now, old = (sweep(params, trace, host=host, command=["mmuexp"], **more) for host in (NOW, OLD))
    same(reprice(saved(now, tmp_path, "json"), OLD), old)


def test_a_profile_of_ones_own_and_the_dataframe(trace):
    host = made_host(signal=5.0)
    frame = mmuexp.reprice(mmuexp.compare(trace), host)
    assert frame.equals(mmuexp.compare(trace, host=host))
    assert frame.attrs["manifest"]["prices"]["host"]["name"] == "plain"
    assert frame.attrs["manifest"]["repriced"].keys() == {"mmuexp", "commit", "modified", "finished"}
    with pytest.raises(UsageError, match="reprice"):
        mmuexp.reprice(frame[["ns"]])


def test_what_was_measured_stays_and_its_model_moves(trace):
    result = compare(trace, ["softmmu", "map-block"], host=NOW)
    for column, values in zip(
        LIVE[:6], ((1.5, None), (1.0, -1.0), (2.0, 0.2), (1, 1), (9, 9), (7.5, None)), strict=True
    ):
        result.frame[column] = [None if one is None else float(one) for one in values]
    soft, block = rows_of(reprice(result, made_host()).frame)
    assert [soft[name] for name in LIVE[:4]] == [1.5, 1.0, 2.0, 1.0]
    scheme = parse_spec("softmmu")
    counts = {name: value for name, value in soft.items() if isinstance(value, int)}
    of_engine = price(scheme, counts, made_host(), scheme.engine_price_list()).engine_ns
    assert soft[LIVE[4]] == of_engine / soft["accesses"]
    assert soft[LIVE[5]] == soft[LIVE[4]] - 1.5
    assert (block[LIVE[0]], block[LIVE[5]]) == (None, None)
    assert block[LIVE[4]] != 9


def test_the_command(cli, trace, tmp_path):
    path = tmp_path / "r.json"
    assert cli("compare", trace, "-o", path).code == 0
    again = cli("export", path, "--host", OLD, "--format", "csv").out
    assert again == cli("compare", trace, "--host", OLD, "--format", "csv").out
    assert again != cli("export", path, "--format", "csv").out
    given = cli("export", path, "--host", OLD, "--price", "signal=1", "--format", "json").out
    assert json.loads(given)["manifest"]["prices"]["host"]["name"] == f"{OLD},signal=1"
    assert cli("export", path, "--price", "signal=1").code == 0  # of the default profile
    assert cli("export", path, "--host", "nowhere").code == 2
    assert cli("export", path, "-s", "softmmu").code == 2
    assert "--host or --price" in cli.err


def test_a_scheme_of_ones_own(cli, trace, tmp_path, plain_python):
    (tmp_path / "own.py").write_text(OWN_SCHEME)
    path = tmp_path / "r.json"
    assert cli("compare", trace, "-s", tmp_path / "own.py", "-s", "map-block", "-o", path).code == 0, cli.err
    assert cli("export", path, "--host", OLD).code == 1
    assert "-s FILE.py" in one_line(cli.err)
    found = cli("export", path, "--host", OLD, "-s", tmp_path / "own.py", "--format", "csv").out
    assert (
        found
        == cli("compare", trace, "-s", tmp_path / "own.py", "-s", "map-block", "--host", OLD, "--format", "csv").out
    )


@pytest.mark.parametrize("column", ["units8", "retranslated_insns", "ram_cross_loads"])
def test_an_older_table_is_refused_never_priced_at_nothing(cli, trace, tmp_path, column):
    result = compare(trace, ["softmmu"])
    older = Result(result.kind, result.frame.drop(columns=[column]), result.manifest)
    with pytest.raises(MmuexpError, match=column):
        reprice(older)
    Output(str(tmp_path / "r.csv")).save(older)
    done = cli("export", tmp_path / "r.csv", "--host", OLD)
    assert (done.code, done.out) == (1, "")
    assert column in one_line(done.err)


def test_a_table_older_than_searched_blocks_is_priced_as_with_lists_of_a_boot(trace):
    result = compare(trace, ["softmmu"])
    walked = result.frame.assign(slow_code=9, code_list_walks=5, searched_blocks=5 * PAGE_BLOCKS)
    older = walked.drop(columns=["searched_blocks", "split_mappings"])
    found, wanted = (reprice(Result(result.kind, frame, result.manifest)).frame for frame in (older, walked))
    assert list(found["ns"]) == list(wanted["ns"]) > list(reprice(result).frame["ns"])


def test_an_empty_cell_is_refused_never_priced_at_nothing(trace):
    result = compare(trace, ["softmmu"])
    older = Result(result.kind, result.frame.assign(units8=None), result.manifest)
    with pytest.raises(MmuexpError, match="has nothing in column units8, which prices of softmmu need"):
        reprice(older)


def test_what_holds_no_prices_is_refused(cli, trace, tmp_path):
    path = tmp_path / "m.json"
    assert cli("misses", "--trace", trace, "-o", path).code == 0, cli.err
    done = cli("export", path, "--host", OLD)
    assert done.code == 1
    assert "holds no prices" in one_line(done.err)


def table(path: Path) -> list[dict]:
    return list(csv.DictReader(path.open()))


def test_a_folder_at_new_prices_without_its_recordings(cli, folder):
    edit(folder, '"compare", "small",', '"compare", "small.arrow",')
    assert cli("rerun", "mine").code == 0
    before = (folder / "counts.csv").read_bytes()
    for name in ("small", "other"):
        (folder / f"{name}.arrow").unlink()
    assert cli("rerun", "mine", "--reprice", "--check").code == 0, cli.err + cli.out
    assert cli("rerun", "mine", "--reprice").code == 0, cli.err
    assert (folder / "counts.csv").read_bytes() == before
    # as if other prices had been when it was made
    rows = before.decode().splitlines()
    at = rows[0].split(",").index("access_ns")
    wrong = [",".join([*row.split(",")[:at], "1.0", *row.split(",")[at + 1 :]]) for row in rows[1:]]
    (folder / "counts.csv").write_text("\n".join([rows[0], *wrong]) + "\n")
    assert cli("rerun", "mine", "--reprice", "--check").code == 3
    assert "access_ns" in cli.out
    assert cli("rerun", "mine", "--reprice").code == 0, cli.err
    assert (folder / "counts.csv").read_bytes() == before
    assert cli("rerun", "mine", "--check", "--saved").code == 0


def test_a_folder_of_a_host_that_its_command_names(cli, folder):
    edit(folder, '"-s", "map-block"]', f'"-s", "map-block", "--host", "{OLD}"]')
    assert cli("rerun", "mine").code == 0
    before = (folder / "counts.csv").read_bytes()
    assert cli("rerun", "mine", "--reprice").code == 0
    assert (folder / "counts.csv").read_bytes() == before
    assert cli("rerun", "mine", "--reprice", "--saved").code == 2
