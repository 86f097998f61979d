"""The column of --every is `window_index`, which SQL can name; the name of older results, `window`, is still read."""

import json

import pytest

import mmuexp
from mmuexp.result.saved import load


@pytest.fixture
def saved(cli, trace, tmp_path, monkeypatch):
    """A result of today in three formats, and the same as an older version wrote it."""
    monkeypatch.chdir(tmp_path)
    outputs = [word for suffix in ("csv", "json", "parquet") for word in ("-o", f"new.{suffix}")]
    assert cli("compare", trace, "-s", "softmmu", "-s", "map-block", "--every", "5", *outputs).code == 0
    for suffix in ("csv", "json"):
        text = (tmp_path / f"new.{suffix}").read_text()
        (tmp_path / f"old.{suffix}").write_text(text.replace("window_index", "window"))
    frame = load("new.parquet").frame.rename(columns={"window_index": "window"})
    frame.to_parquet("old.parquet")
    return tmp_path


def test_the_header_has_the_new_name(saved):
    columns = (saved / "new.csv").read_text().splitlines()[0].split(",")
    assert "window_index" in columns
    assert "window" not in columns


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_an_older_result_is_read_by_its_old_name(saved, cli, suffix):
    old, new = load(f"old.{suffix}"), load(f"new.{suffix}")
    assert old.windowed
    assert list(old.frame.columns) == list(new.frame.columns)
    assert list(old.frame["window_index"]) == [0, 1, 2, 0, 1, 2]
    assert cli("diff", f"old.{suffix}", f"new.{suffix}").code == 0
    assert cli("export", f"old.{suffix}", "-o", "-", "--format", "csv").out == (saved / "new.csv").read_text()


def test_frames_with_the_old_name_are_compared(trace):
    new = mmuexp.compare(trace, ["softmmu"], every=5)
    old = new.rename(columns={"window_index": "window"})
    assert len(mmuexp.diff(old, new)) == 0
    old.loc[1, "faults"] = 9
    (change,) = mmuexp.diff(old, new).to_dict("records")
    assert (change["window_index"], change["column"], change["a"], change["b"]) == (1, "faults", 9, 0)


def test_a_check_may_say_either_name(cli, trace):
    for name in ("window_index", "window"):
        assert cli("compare", trace, "--every", "6", "--fail-if", f"{name}>0").code == 3
        assert cli("compare", trace, "--every", "6", "--fail-if", f"{name}>1").code == 0
    assert cli("compare", trace, "--fail-if", "window>0").code == 2


def test_a_parameter_of_this_name_stays_what_it_is(saved):
    document = json.loads((saved / "old.json").read_text())
    document |= {"kind": "sweep", "parameters": ["window"]}
    (saved / "sweep.json").write_text(json.dumps(document))
    assert "window" in load("sweep.json").frame.columns
