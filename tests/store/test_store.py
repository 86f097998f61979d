"""What was counted is not counted twice, by whatever command; what is another count is counted."""

import json
from pathlib import Path

import pytest
from kit.traces import load, system_rows, write, write_trace
from store.conftest import entries

import mmuexp
from mmuexp.errors import MmuexpError
from mmuexp.guest import THREAD, Op

SPECS = ["softmmu", "map-block,pool_blocks=3"]
OTHERS = {
    "as it is": {},
    "windows": {"every": 5},
    "other windows": {"every": 7},
    "a warm-up": {"warmup": 5},
    "both": {"warmup": 5, "every": 5},
}


def asked(trace, *more, store=True):
    """Each command that looks into the store, as a table."""
    yield mmuexp.compare(trace, SPECS, store=store)
    yield mmuexp.sweep("map_block_bits=12..14", trace, store=store)
    yield mmuexp.sweep("load_seed=0..2", trace, strategy="softmmu", store=store)
    yield mmuexp.tlb_misses(trace, load_seed=range(3), store=store)
    yield mmuexp.tlb_misses(trace, "softmmu,tlb_bits=4", load_seed=[2, 7], join_pages=5, move_bits=4, store=store)


def test_what_was_counted_is_not_replayed(store, trace, no_replay):
    without = list(asked(trace, store=False))
    assert not store.exists()
    first = list(asked(trace))
    no_replay()
    second = list(asked(trace))
    for none, one, other in zip(without, first, second, strict=True):
        assert none.equals(one) and one.equals(other)
        assert none.dtypes.equals(other.dtypes)
        assert one.attrs["manifest"]["from_store"] == []
        told = other.attrs["manifest"]["from_store"]
        assert {spec for part in told for spec in part["strategies"]} == set(other["strategy"])
        same = ("verdicts", "certainty", "pressure", "second_half", "left_out")
        assert all(one.attrs["manifest"].get(n) == other.attrs["manifest"].get(n) for n in same)


def test_another_file_with_the_same_bytes_is_the_same_trace(store, trace, tmp_path, no_replay):
    mmuexp.compare(trace, SPECS)
    (tmp_path / "copy.arrow").write_bytes(Path(trace).read_bytes())
    no_replay()
    assert set(mmuexp.compare(tmp_path / "copy.arrow", SPECS)["trace"]) == {str(tmp_path / "copy.arrow")}


def test_what_is_missing_alone_is_replayed(store, trace):
    mmuexp.compare(trace, "softmmu")
    both = mmuexp.compare(trace, SPECS)
    assert both.attrs["manifest"]["from_store"] == [{"trace": trace, "strategies": ["softmmu"]}]
    assert both.equals(mmuexp.compare(trace, SPECS, store=False))
    assert list(mmuexp.compare(trace, SPECS[::-1])["strategy"]) == SPECS[::-1]


@pytest.mark.parametrize("first", OTHERS)
def test_each_way_of_cutting_is_a_count_of_its_own(store, tmp_path, first):
    trace = write_trace(tmp_path / "t.arrow", repeat=3)
    mmuexp.compare(trace, SPECS, **OTHERS[first])
    for name, how in OTHERS.items():
        found = mmuexp.compare(trace, SPECS, **how)
        assert found.equals(mmuexp.compare(trace, SPECS, **how, store=False)), name
        assert bool(found.attrs["manifest"]["from_store"]) == (name == first), name


def test_each_thread_is_a_count_of_its_own(store, tmp_path):
    rows = ((THREAD, 1, 0, 0), load(0x1000), load(0x2000), (THREAD, 0, 0, 0), load(0x1000))
    trace = write_trace(tmp_path / "threads.arrow", rows, repeat=2)
    for thread in (None, 0, 1, None, 0, 1):
        found = mmuexp.compare(trace, SPECS, thread=thread)
        assert found.equals(mmuexp.compare(trace, SPECS, thread=thread, store=False)), thread
        assert mmuexp.tlb_misses(trace, thread=thread).equals(mmuexp.tlb_misses(trace, thread=thread, store=False))
    assert found.attrs["manifest"]["from_store"]


def test_misses_of_other_moves_are_others(store, trace, no_replay):
    first = mmuexp.tlb_misses(trace, load_seed=range(3))
    again = mmuexp.tlb_misses(trace, load_seed=range(5), move_bits=9)
    assert again.equals(mmuexp.tlb_misses(trace, load_seed=range(5), move_bits=9, store=False))
    no_replay()
    assert mmuexp.tlb_misses(trace, load_seed=[2, 0]).equals(first.iloc[[2, 0]].reset_index(drop=True))
    assert mmuexp.tlb_misses(trace)["regions"].isna().all()
    with pytest.raises(MmuexpError, match="move_bits"):
        mmuexp.tlb_misses(trace, move_bits=99)


def test_a_scheme_that_is_left_out_stays_so_without_a_replay(store, tmp_path, no_replay):
    """One that was asked for is an error, in the same words."""
    rows = [(Op.MAP, 0x90001000, 12, 0, 0, 0x11), (Op.STORE, 0x90001000, 4, 1)]
    rows += [(Op.MAP, 0x60001000, 12, 0, 0, 0x12), (Op.LOAD, 0x60001000, 4, 1)]
    trace = write(tmp_path / "meeting.arrow", system_rows(*rows), mode="system")
    first = mmuexp.compare(trace)
    left_out = first.attrs["manifest"]["left_out"]
    assert left_out
    with pytest.raises(MmuexpError) as before:
        mmuexp.compare(trace, [left_out[0]["strategy"]], store=False)
    with pytest.raises(MmuexpError) as after:
        mmuexp.compare(trace, [left_out[0]["strategy"]])
    assert str(after.value) == str(before.value)
    no_replay()
    second = mmuexp.compare(trace)
    assert second.equals(first) and second.attrs["manifest"]["left_out"] == left_out


def test_a_bad_row_is_an_error_each_time(store, tmp_path):
    trace = write_trace(tmp_path / "bad.arrow", (load(0x1000), load(0x1000, size=65)))
    told = set()
    for _ in range(2):
        with pytest.raises(MmuexpError) as error:
            mmuexp.compare(trace, "softmmu")
        told.add(str(error.value))
    assert len(told) == 1 and entries(store) == 0


def test_the_command_line_says_what_is_from_the_store(store, cli, trace, no_replay):
    words = ["compare", trace, "-s", "softmmu", "-s", "map-block", "--format", "csv"]
    first = cli(*words).out
    assert "store" not in cli.err
    assert cli(*words, "--no-store").out == first and "store" not in cli.err
    no_replay()
    assert cli(*words).out == first
    assert cli.err == "mmuexp: 2 runs are from the store of counts; --no-store replays\n"


def test_claims_and_rerun_look_there_first(store, cli, folder, no_replay):
    assert cli("rerun", "mine").code == 0
    assert cli("claims", "mine/small.arrow", "--only", "1").code == 0
    no_replay()
    assert cli("rerun", "mine", "--check").code == 0 and "4 runs are from the store" in cli.err
    assert cli("claims", "mine/small.arrow", "--only", "1", "-o", "claims.json").code == 0
    assert "from the store" in cli.err
    assert json.loads(Path("claims.json").read_text())["manifest"]["from_store"]
    assert cli("rerun", "mine").code == 0
    manifest = json.loads((folder / "counts.csv.manifest.json").read_text())
    assert {part["trace"] for part in manifest["from_store"]} == {"small.arrow", "other.arrow"}


def test_progress_tells_of_what_is_not_replayed(store, trace):
    mmuexp.compare(trace, SPECS)
    told = []
    mmuexp.compare(trace, SPECS, progress=lambda *words: told.append(words))
    rows = int(mmuexp.compare(trace, "softmmu")["rows"].iloc[0])
    assert told == [(trace, rows, rows)]


def test_info_clear_verify(store, cli, trace):
    assert cli("store", "info").code == 0 and "0 runs" in cli.out and not store.exists()
    assert cli("store", "clear").code == 0 and cli("store", "verify").code == 0
    list(asked(trace))
    mmuexp.compare(trace, SPECS, every=5)
    held = json.loads(cli("store", "info", "--format", "json").out)
    assert held["path"] == str(store) and held["entries"] == entries(store) > 10
    assert cli("store", "verify", "--sample", "100").code == 0
    assert cli.out.count("equal") == held["entries"] and f"{held['entries']} equal" in cli.err
    assert cli("store", "clear").code == 0
    assert f"forgot {held['entries']} runs" in cli.err and entries(store) == 0
    assert cli("cache", "info").code == 0


def test_verify_of_what_cannot_be_counted_again(store, cli, trace, tmp_path):
    mmuexp.compare(trace, "softmmu")
    (tmp_path / "small.arrow").rename(tmp_path / "elsewhere.arrow")
    assert cli("store", "verify").code == 0
    assert "cannot be counted again softmmu" in cli.out and "no such file" in cli.out
    write_trace(tmp_path / "small.arrow", repeat=2)
    assert cli("store", "verify").code == 0 and "another recording" in cli.out


def test_an_empty_name_is_no_store(cli, trace, monkeypatch):
    monkeypatch.setenv("MMUEXP_STORE", "")
    for words in (["info"], ["clear"], ["verify"]):
        assert cli("store", *words).code == 0 and "no counts are kept" in cli.err
