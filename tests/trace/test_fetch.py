"""Recordings that a URL names: fetched once, kept while they are what they were, checked and refused like any file."""

import fnmatch
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from kit.cli import one_line
from kit.traces import write_trace

import mmuexp
from mmuexp.analysis.given import given_traces
from mmuexp.errors import MmuexpError, TraceError
from mmuexp.trace import digest, fetch


class Bucket(MemoryFileSystem):
    """Objects in memory, by the names of an object store; each has an ETag."""

    protocol, cachable = "s3", False
    store, pseudo_dirs, fetched = {}, [""], []

    def info(self, path, **how):
        found = super().info(path, **how)
        return found if found["type"] == "directory" else found | {"ETag": str(self.store[found["name"]].created)}

    def get_file(self, path, *words, **how):
        self.fetched.append(path)
        super().get_file(path, *words, **how)

    def find(self, path, **how):
        return [name.rpartition("s3://")[2] for name in super().find(path, **how)]

    def glob(self, path, **how):
        return fnmatch.filter(self.find("s3://b/"), path.removeprefix("s3://"))


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Bucket:
    """Two recordings in s3://b/traces, and what is none."""
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache" / "mmuexp")  # machine code stays where it is
    Bucket.store, Bucket.pseudo_dirs, Bucket.fetched = {}, [""], []
    one = Bucket()
    monkeypatch.setattr(fetch, "_system_of", lambda protocol: one)
    for repeat, name in enumerate("ab", start=1):
        path = write_trace(tmp_path / f"{name}.arrow", repeat=repeat)
        one.pipe_file(f"s3://b/traces/{name}.arrow", Path(path).read_bytes())
    one.pipe_file("s3://b/traces/notes.md", b"none of them")
    return one


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "mmuexp" / "fetched").glob("*.arrow"))


def test_it_is_fetched_once_and_is_what_the_file_is(bucket, tmp_path):
    here = mmuexp.compare(str(tmp_path / "a.arrow"), "softmmu")
    for _ in range(2):
        there = mmuexp.compare("s3://b/traces/a.arrow", "softmmu")
        assert there.drop(columns="trace").equals(here.drop(columns="trace"))
        assert list(there["trace"]) == ["s3://b/traces/a.arrow"]
    (facts,) = there.attrs["manifest"]["traces"]
    assert facts["sha256"] == digest(tmp_path / "a.arrow")
    assert len(bucket.fetched) == len(kept(tmp_path)) == 1


def test_one_that_changed_is_fetched_again(bucket, tmp_path):
    assert mmuexp.compare("s3://b/traces/a.arrow", "softmmu")["rows"][0] == 12
    bucket.pipe_file("s3://b/traces/a.arrow", (tmp_path / "b.arrow").read_bytes())
    assert mmuexp.compare("s3://b/traces/a.arrow", "softmmu")["rows"][0] == 24


def test_other_commands_take_a_url_as_well(bucket, cli, tmp_path):
    url = "s3://b/traces/a.arrow"
    assert cli("trace", "info", url).code == 0 and url in cli.out
    assert cli("trace", "verify", url).code == 0, cli.out
    assert cli("trace", "head", "-n", "2", url).code == 0
    assert cli("trace", "slice", url, "0:5", "-o", tmp_path / "s.arrow").code == 0
    assert cli("misses", url).code == 0 and cli("faults", url, "-s", "map-block").code == 0
    assert cli("sweep", "map_block_bits=12..13", url, "-s", "map-block").code == 0
    assert bucket.fetched == [url]


def test_a_folder_a_pattern_and_a_list(bucket, tmp_path, monkeypatch):
    both = ["s3://b/traces/a.arrow", "s3://b/traces/b.arrow"]
    assert given_traces("s3://b/traces/") == given_traces("s3://b/traces/?.arrow") == given_traces("s3://b/") == both
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("s3://b/traces/b.arrow\na.arrow\n")
    assert given_traces("corpus.txt") == ["s3://b/traces/b.arrow", "a.arrow"]
    assert not bucket.fetched
    for nothing, why in {"s3://b/none/": "holds no recording", "s3://b/*.tar": "fits nothing"}.items():
        with pytest.raises(TraceError, match=f"{why}.*name another"):
            given_traces(nothing)
    with pytest.raises(TraceError, match="folder of a web server"):
        given_traces("https://host/folder/")


def test_one_bad_object_costs_its_row(bucket):
    bucket.pipe_file("s3://b/traces/cut.arrow", bucket.cat_file("s3://b/traces/a.arrow")[:-40])
    bucket.pipe_file("s3://b/traces/empty.arrow", b"")
    table = mmuexp.compare("s3://b/traces/", "softmmu")
    assert set(table["trace"]) == {"s3://b/traces/a.arrow", "s3://b/traces/b.arrow"}
    failed = {one["trace"]: one["why"] for one in table.attrs["manifest"]["failed"]}
    assert "has no footer" in failed["s3://b/traces/cut.arrow"] and "is empty" in failed["s3://b/traces/empty.arrow"]


def test_what_a_server_says_no_to_is_one_line(bucket, cli, monkeypatch):
    assert cli("compare", "s3://b/traces/none.arrow").code == 1 and "is not there" in one_line(cli.err)
    assert cli("compare", "s3://b/traces").code == 1 and "is a folder; write / behind it" in one_line(cli.err)
    for error, told in {
        PermissionError("Access Denied"): "may not be read: Access Denied",
        ConnectionError("no route\nto host"): "cannot be fetched: ConnectionError: no route to host",
        KeyError("x"): "cannot be fetched: KeyError: 'x'",
    }.items():

        def refuse(*_, error=error, **__):
            raise error

        monkeypatch.setattr(bucket, "info", refuse)
        assert cli("compare", "s3://b/traces/a.arrow").code == 1 and told in one_line(cli.err)


def test_what_comes_is_as_long_as_was_told(bucket, tmp_path, monkeypatch):
    real = bucket.info
    for more, told in {1: "came as", -1: "brings more bytes than its server told"}.items():
        monkeypatch.setattr(bucket, "info", lambda path, more=more: real(path) | {"size": real(path)["size"] + more})
        with pytest.raises(TraceError, match=told):
            mmuexp.compare("s3://b/traces/a.arrow", "softmmu")
    assert not kept(tmp_path) and not list(tmp_path.rglob("*.part"))


def test_what_a_server_does_not_tell_apart_is_fetched_each_time(bucket, tmp_path, monkeypatch):
    real = bucket.info
    monkeypatch.setattr(bucket, "info", lambda path: {**real(path), "ETag": None})
    for _ in range(2):
        mmuexp.compare("s3://b/traces/a.arrow", "softmmu")
    assert len(bucket.fetched) == 2 and not kept(tmp_path)


def test_the_cache_is_bounded_and_what_is_open_stays(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "LIMIT_BYTES", 4000)
    with mmuexp.open_trace("s3://b/traces/a.arrow") as trace:
        (first,) = kept(tmp_path)
        os.utime(first.with_suffix(".used"), ns=(0, 0))
        mmuexp.compare("s3://b/traces/b.arrow", "softmmu")
        assert len(kept(tmp_path)) == 1 and not first.exists()
        assert sum(len(columns.op) for columns in trace.batches()) == 12
    assert {path.suffix for path in first.parent.iterdir()} == {".arrow", ".used"}


def test_a_disk_without_room_is_one_line(bucket, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.partfile, "create", full)
    with pytest.raises(MmuexpError, match=r"a\.arrow cannot be kept: no space left on device; make room"):
        mmuexp.compare("s3://b/traces/a.arrow", "softmmu")


def test_without_its_package_it_says_what_to_install(bucket, cli, monkeypatch):
    def missing(protocol):
        raise ModuleNotFoundError("No module named 's3fs'", name="s3fs")

    monkeypatch.setattr(fetch, "_system_of", missing)
    assert cli("compare", "s3://b/traces/a.arrow").code == 1
    assert one_line(cli.err).endswith("needs s3fs, which is not installed; pip install 'mmuexp[cluster]'")


def test_a_password_in_a_url_is_refused_and_not_shown(bucket, cli):
    assert cli("compare", "https://me:secret@host/a.arrow").code == 1
    assert "holds a password" in one_line(cli.err) and "secret" not in cli.err


def test_a_web_server(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path / "cache" / "mmuexp")  # machine code stays where it is
    path, asked = write_trace(tmp_path / "w.arrow"), []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=str(tmp_path))

        def log_message(self, text, *words):
            asked.append(str(words[0]))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/w.arrow"
        for _ in range(2):
            table = mmuexp.compare(url, "softmmu")
        assert table.drop(columns="trace").equals(mmuexp.compare(path, "softmmu").drop(columns="trace"))
        with pytest.raises(TraceError, match="is not there"):
            mmuexp.compare(f"{url}x", "softmmu")
        server.shutdown()
    assert sum(line.startswith("GET /w.arrow HTTP") for line in asked) == 1
