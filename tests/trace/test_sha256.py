"""`mmuexp.trace.sha256`: a digest is remembered only while nothing can have changed the file."""

import hashlib
import os
import shutil

import pytest

from mmuexp.trace import digest, open_trace, sha256

LONG_AGO_NS = 1_600_000_000_000_000_000
FILE = "traces/crossing.arrow"


@pytest.fixture
def pieces(monkeypatch):
    """How often a piece of a file was read, in [0]; nothing is known at first."""
    count, read = [0], os.pread

    def counted(*args):
        count[0] += 1
        return read(*args)

    monkeypatch.setattr(sha256.os, "pread", counted)
    monkeypatch.setattr(sha256, "_known", {})
    return count


@pytest.fixture
def calm(monkeypatch):
    """A file is calm as soon as it is written: when its state changed, which nobody can set, is not waited for."""
    monkeypatch.setattr(sha256, "CALM_NS", -10_000_000_000)


def test_a_file_that_did_not_change_is_read_once(tmp_path, pieces, calm):
    file = tmp_path / "a"
    file.write_bytes(b"x" * (sha256.PIECE_BYTES + 1))
    expected = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest(file) == expected
    assert pieces == [3]  # two of the file, and none is left
    assert digest(file) == expected
    assert pieces == [3]
    sha256._known.clear()
    assert digest(file) == expected
    assert pieces == [6]


def test_a_change_of_the_same_size_and_time_is_seen(tmp_path, calm):
    file = tmp_path / "a"
    for content in (b"one", b"two"):
        file.write_bytes(content)
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
        assert digest(file) == hashlib.sha256(content).hexdigest()


def test_a_file_that_was_written_just_now_is_read_again(tmp_path, pieces):
    file = tmp_path / "a"
    file.write_bytes(b"one")
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))  # when its state changed can't be set
    digest(file)
    digest(file)
    assert pieces == [4]
    assert not sha256._known


@pytest.mark.long
def test_no_more_than_some_are_kept(tmp_path, pieces, calm):
    for at in range(sha256.KEPT + 5):
        (tmp_path / str(at)).write_bytes(b"%d" % at)
        digest(tmp_path / str(at))
    assert len(sha256._known) == sha256.KEPT


def test_it_is_that_of_the_open_file_whatever_the_name_leads_to(tmp_path):
    file = tmp_path / "a.arrow"
    shutil.copy(FILE, file)
    with open_trace(file) as trace:
        other = tmp_path / "b"
        other.write_bytes(b"something else")
        other.replace(file)
        assert trace.sha256() == digest(FILE)
