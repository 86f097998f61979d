"""The file of kept counts: an SQLite database in the user's cache folder, which several processes read and write.

Nothing depends on it: where it cannot be read or written, one counts anew. A value is given out only if it has the
checksum that it had when it was kept; a file that is not a whole database is put aside, and a new one begun. What was
used longest ago goes when the file grows beyond `LIMIT_BYTES`.
"""

import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mmuexp.errors import MmuexpError
from mmuexp.runtime.places import cache_folder

PLACE = "MMUEXP_STORE"  # in the environment: the file to take instead; empty for none
LIMIT_BYTES = 256 << 20
WAIT_SECONDS = 5  # for another process that writes
TOGETHER = 500  # keys in one question
MOST_FILES = 1 << 16  # whose digests are kept
SCHEMA = """
CREATE TABLE IF NOT EXISTS counts (
    key BLOB PRIMARY KEY, identity TEXT NOT NULL, origin TEXT NOT NULL,
    value BLOB NOT NULL, checksum BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS counts_used ON counts (used);
CREATE TABLE IF NOT EXISTS files (state TEXT PRIMARY KEY, sha256 TEXT NOT NULL, checksum BLOB NOT NULL);
"""
OURS = {"counts": 6, "files": 3}  # the tables, and how many columns each has
NO_DATABASE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
Answer = TypeVar("Answer")

on_trouble: Callable[[str], None] | None = None  # told a line when a damaged database was put aside


class Entry(NamedTuple):
    """What is kept of one scheme on one trace: what it is (see identity.py), where that lay, and what was counted."""

    identity: str
    origin: str
    value: bytes

    @property
    def key(self) -> bytes:
        return key_of(self.identity)

    @property
    def checksum(self) -> bytes:
        return _checksum(self.identity.encode(), self.origin.encode(), self.value)


@dataclass(frozen=True)
class Held:
    """What the store holds. `size_bytes` is that of its files."""

    path: str
    entries: int
    size_bytes: int
    limit_bytes: int


class _NotOurs(sqlite3.DatabaseError):
    """A database with other tables."""


def key_of(identity: str) -> bytes:
    return hashlib.sha256(identity.encode()).digest()


def _checksum(*parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join(parts)).digest()


def _of_file(state: Any, digest: Any) -> bytes | None:
    """The checksum of a file's digest; None for what is no such thing."""
    texts = isinstance(state, str) and isinstance(digest, str)
    return _checksum(state.encode(), digest.encode()) if texts else None


def store_path() -> Path | None:
    """Where the counts are kept; None if the user wants none kept."""
    named = os.environ.get(PLACE)
    if named is not None:
        return Path(named).absolute() if named else None
    return cache_folder() / "store" / "counts-1.sqlite"  # the number is raised with SCHEMA


class Database:
    """The counts that are kept. Each method does without them where there is no database to be had."""

    def __init__(self, path: Path):
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._useless = False
        self._writes = True

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def found(self, identities: Iterable[str]) -> dict[str, bytes]:
        """The values that are kept of these."""
        wanted = {key_of(identity): identity for identity in identities}
        keys = list(wanted)

        def ask(connection: sqlite3.Connection) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for first in range(0, len(keys), TOGETHER):
                some = keys[first : first + TOGETHER]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, {_COLUMNS} FROM counts WHERE key IN ({marks})", some)
                for key, *row in rows.fetchall():
                    entry = _checked(row)
                    if entry is not None and entry.identity == wanted[key]:
                        found[entry.identity] = zlib.decompress(entry.value)
            return found

        nothing: dict[str, bytes] = {}
        found = self._do(ask, nothing)
        if found:
            self._write(lambda connection: _mark_used(connection, [key_of(identity) for identity in found]))
        return found

    def keep(self, entries: Sequence[Entry]) -> None:
        """Keep these, all of them or, where the disk is full, none."""
        packed = [entry._replace(value=zlib.compress(entry.value, 1)) for entry in entries]

        def write(connection: sqlite3.Connection) -> None:
            used = _next_use(connection)
            rows = [(one.key, *one, one.checksum, used) for one in packed]
            connection.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?, ?, ?)", rows)
            _let_go(connection)

        self._write(write)

    def drop(self, identity: str) -> None:
        """Forget one."""
        self._write(lambda connection: connection.execute("DELETE FROM counts WHERE key = ?", [key_of(identity)]))

    def sample(self, entries: int) -> list[Entry]:
        """So many of what is kept, by chance; all if there are fewer. Values are as they were given."""

        def ask(connection: sqlite3.Connection) -> list[Entry]:
            chosen = "SELECT rowid FROM counts ORDER BY random() LIMIT ?"
            rows = connection.execute(f"SELECT {_COLUMNS} FROM counts WHERE rowid IN ({chosen})", [entries])
            whole = filter(None, map(_checked, rows.fetchall()))
            return [entry._replace(value=zlib.decompress(entry.value)) for entry in whole]

        return self._do(ask, [])

    def file_digests(self) -> dict[str, str]:
        """What is known of files: their state -> SHA-256."""

        def ask(connection: sqlite3.Connection) -> dict[str, str]:
            rows = connection.execute("SELECT state, sha256, checksum FROM files").fetchall()
            return {state: digest for state, digest, checksum in rows if _of_file(state, digest) == checksum}

        return self._do(ask, {})

    def keep_file_digests(self, digests: Mapping[str, str]) -> None:
        """Keep these as well."""

        rows = [(state, digest, _of_file(state, digest)) for state, digest in digests.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)
            oldest = "SELECT rowid FROM files ORDER BY rowid DESC LIMIT -1 OFFSET ?"
            connection.execute(f"DELETE FROM files WHERE rowid IN ({oldest})", [MOST_FILES])

        if digests:
            self._write(write)

    def held(self) -> Held:
        """How much is kept. A database that is not there is not made."""
        entries = 0
        if self.path.is_file():
            entries = self._do(lambda c: int(c.execute("SELECT count(*) FROM counts").fetchone()[0]), 0)
        return Held(str(self.path), entries, sum(map(_size_bytes, _files(self.path))), LIMIT_BYTES)

    def clear(self) -> None:
        """Forget everything, and give the space back. Raises MmuexpError where that cannot be."""

        def empty(connection: sqlite3.Connection) -> bool:
            with connection:
                connection.execute("DELETE FROM counts")
                connection.execute("DELETE FROM files")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return True

        if self.path.is_file() and not self._do(empty, False):
            todo = "another mmuexp may be at work; else remove it yourself"
            raise MmuexpError("cannot be cleared", where=str(self.path), todo=todo)

    def _write(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Change what is kept, as a whole or not at all. Where that fails one goes on with what is there."""

        def attempt(connection: sqlite3.Connection) -> None:
            try:
                with connection:
                    work(connection)
            except sqlite3.OperationalError as error:  # no room, no right, or another process writes for long
                if _is_no_database(error):
                    raise
                self._writes = _code(error) == sqlite3.SQLITE_BUSY

        if self._writes:
            self._do(attempt, None)

    def _do(self, work: Callable[[sqlite3.Connection], Answer], otherwise: Answer) -> Answer:
        """What `work` answers. After an error nothing more is asked of this database."""
        for _ in range(2):
            if self._useless:
                break
            try:
                if self._connection is None:
                    self._connection = _connected(self.path)
                return work(self._connection)
            except (sqlite3.Error, OSError, zlib.error) as error:
                self.close()
                if not (_is_no_database(error) and self._put_aside()):
                    self._useless = True
        return otherwise

    def _put_aside(self) -> bool:
        """Give the files another name, and say so, unless another process did. False if that cannot be."""
        if _is_whole(self.path):
            return True
        aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
        try:
            os.replace(self.path, aside)
            for beside in _files(self.path):
                os.unlink(beside)
        except OSError:
            return False
        if on_trouble is not None:
            on_trouble(f"{self.path}: is not a whole database any more; put aside as {aside.name}, a new one begins")
        return True


_COLUMNS = "identity, origin, value, checksum"


def _connected(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")  # what is damaged has another checksum
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # a crash of the machine may lose the latest, and breaks nothing
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 4194304")
        for table, columns in OURS.items():
            if len(connection.execute(f"PRAGMA table_info({table})").fetchall()) not in (0, columns):
                raise _NotOurs(f"its table {table} is another one")
        connection.executescript(SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_no_database(error: Exception) -> bool:
    return isinstance(error, _NotOurs | zlib.error) or _code(error) in NO_DATABASE


def _code(error: Exception) -> int:
    """SQLite's number of an error; 0 if it has none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _is_whole(path: Path) -> bool:
    try:
        with closing(_connected(path)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except (sqlite3.Error, OSError):
        return False


def _checked(row: Sequence[Any]) -> Entry | None:
    """The entry of a row; None if it is not what was kept."""
    identity, origin, value, checksum = row
    if not (isinstance(identity, str) and isinstance(origin, str) and isinstance(value, bytes)):
        return None
    entry = Entry(identity, origin, value)
    return entry if entry.checksum == checksum else None


def _next_use(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(used), 0) + 1 FROM counts").fetchone()[0])


def _mark_used(connection: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    used = _next_use(connection)
    connection.executemany("UPDATE counts SET used = ? WHERE key = ?", [(used, key) for key in keys])


def _let_go(connection: sqlite3.Connection) -> None:
    """Delete what was used longest ago until the rest takes nine tenths of the limit."""

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    page_bytes = pragma("page_size")
    while (taken := (pragma("page_count") - pragma("freelist_count")) * page_bytes) > LIMIT_BYTES:
        rows = int(connection.execute("SELECT count(*) FROM counts").fetchone()[0])
        if not rows:
            return
        some = max(1, int(rows * (1 - 0.9 * LIMIT_BYTES / taken)))
        oldest = "SELECT rowid FROM counts ORDER BY used LIMIT ?"
        connection.execute(f"DELETE FROM counts WHERE rowid IN ({oldest})", [some])


def _files(path: Path) -> list[Path]:
    """The database, and what SQLite keeps beside it, as far as they are there."""
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm")
    return [one for name in names if (one := path.with_name(name)).exists()]


def _size_bytes(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
