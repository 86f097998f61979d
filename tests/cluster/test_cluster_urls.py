"""Recordings in an S3-compatible server (moto's), by a run here and by workers that alone read them."""

import os

import pytest
from kit.traces import ROWS, load, write_trace

import mmuexp
from mmuexp.errors import TraceError

pytestmark = pytest.mark.long
SPECS = ["softmmu", "map-block", "byte-lookup"]


@pytest.fixture(scope="module")
def endpoint():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, tmp_path, monkeypatch):
    """Three recordings in a bucket, one of which is cut; beside them as files."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    system = s3fs.S3FileSystem(skip_instance_cache=True)
    name = tmp_path.name.replace("_", "-").lower()
    system.mkdir(name)
    folder = tmp_path / "files"
    folder.mkdir()
    for number, one in enumerate("abc", start=1):
        path = write_trace(folder / f"{one}.arrow", (*ROWS, *(load(0x5000 * page) for page in range(1, 9 * number))))
        if one == "c":
            os.truncate(path, os.path.getsize(path) - 40)
        system.put_file(path, f"{name}/deep/{one}.arrow")
    return f"s3://{name}/"


def named(table) -> list[tuple]:
    """The rows without the places of the recordings."""
    rows = table.assign(trace=table["trace"].map(os.path.basename))
    return rows.astype(object).where(rows.notna(), None).to_records(index=False).tolist()


def test_a_bucket_is_a_corpus(bucket, tmp_path, cli):
    here = mmuexp.compare(str(tmp_path / "files"), SPECS)
    there = mmuexp.compare(bucket, SPECS)
    assert named(there) == named(here) and set(there["trace"]) == {f"{bucket}deep/{one}.arrow" for one in "ab"}
    assert [one["trace"] for one in there.attrs["manifest"]["failed"]] == [f"{bucket}deep/c.arrow"]
    assert named(mmuexp.compare(f"{bucket}*/a.arrow", SPECS)) == named(
        mmuexp.compare(str(tmp_path / "files/a.arrow"), SPECS)
    )
    assert cli("trace", "info", f"{bucket}deep/a.arrow").code == 0
    with pytest.raises(TraceError, match="is not there"):
        mmuexp.compare(f"{bucket}deep/none.arrow")
    with pytest.raises(TraceError, match="s3://no-such-bucket-of-ours/"):
        mmuexp.compare("s3://no-such-bucket-of-ours/")


def test_workers_read_the_bucket_and_this_process_does_not(bucket, tmp_path, monkeypatch):
    here = mmuexp.compare(str(tmp_path / "files"), SPECS)
    monkeypatch.setattr("mmuexp.trace.fetch.opened", lambda url: pytest.fail(f"it reads {url}"))
    there = mmuexp.compare(bucket, SPECS, cluster="local:2")
    assert named(there) == named(here)
    (failed,) = there.attrs["manifest"]["failed"]
    assert failed["trace"] == f"{bucket}deep/c.arrow" and "has no footer" in failed["why"]
    facts = [[one["sha256"], one["rows"], one["window"], one["mode"]] for one in there.attrs["manifest"]["traces"]]
    files = [[one["sha256"], one["rows"], one["window"], one["mode"]] for one in here.attrs["manifest"]["traces"]]
    assert facts == files


def test_what_the_store_has_of_it_is_not_counted_again(bucket, store, monkeypatch):
    first = mmuexp.compare(f"{bucket}deep/a.arrow", SPECS, cluster="local:1")
    monkeypatch.setattr("mmuexp.analysis.experiment.run_passes", lambda *_, **__: pytest.fail("it replays"))
    again = mmuexp.compare(f"{bucket}deep/a.arrow", SPECS)
    assert again.equals(first)
