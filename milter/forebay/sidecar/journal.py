"""The journal: what the sidecar must know after any instant at which it may be killed.

SQLite in write-ahead mode with an fsync at each commit. Every change is one transaction, made before what it speaks
of is done (an intent) or after (an outcome). The sidecar is its only writer but for the command line, which adds
requests.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from forebay import files
from forebay.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

NAME: Final = "journal.db"
_VERSION: Final = 1
_WAIT_MS: Final = 300
# "If not exists": of two who find the file empty one is faster.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (
    identity BLOB PRIMARY KEY, path TEXT NOT NULL, state TEXT NOT NULL, strikes INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0, exact BLOB, shape BLOB, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS fingerprint (
    digest BLOB PRIMARY KEY, kind TEXT NOT NULL, strikes INTEGER NOT NULL DEFAULT 0, convicted REAL NOT NULL DEFAULT 0,
    cause TEXT NOT NULL DEFAULT '', at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS strike (
    id INTEGER PRIMARY KEY, identity BLOB NOT NULL, cause TEXT NOT NULL, confidence TEXT NOT NULL, at REAL NOT NULL,
    evidence TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
    id TEXT PRIMARY KEY, identity BLOB NOT NULL, original TEXT NOT NULL, source TEXT NOT NULL, aside TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT NOT NULL, confidence TEXT NOT NULL, size INTEGER NOT NULL, at REAL NOT NULL, evidence TEXT NOT NULL,
    exact BLOB, shape BLOB);
CREATE INDEX IF NOT EXISTS entry_state ON entry (state);
CREATE TABLE IF NOT EXISTS withheld (
    identity BLOB PRIMARY KEY, original TEXT NOT NULL, kept TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pass (identity BLOB PRIMARY KEY, entry TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, entry TEXT NOT NULL, person TEXT NOT NULL, at REAL NOT NULL,
    outcome TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Entry(NamedTuple):
    """A quarantine entry. `state`: intended, aside, releasing, released, deleting, deleted, vanished.

    `original` is where the router had it, and gets it back; `source` where it was when it was set aside.
    """

    id: str
    identity: bytes
    original: str
    source: str
    aside: str
    state: str
    cause: str
    confidence: str
    size: int
    at: float
    evidence: str
    exact: bytes | None = None
    shape: bytes | None = None


class Withheld(NamedTuple):
    """A message that waits out of the router's sight. `state`: intended, kept, returning."""

    identity: bytes
    original: str
    kept: str
    state: str
    reason: str
    at: float


class Request(NamedTuple):
    """What a person asks for on the command line."""

    id: int
    kind: str
    entry: str
    person: str


class Record(NamedTuple):
    """What is known against a message. `state`: struck, convicted, aside, released, deleted."""

    identity: bytes
    path: str
    state: str
    strikes: int
    losses: int
    exact: bytes | None
    shape: bytes | None


class Journal:
    """The database, opened anew after an error. Raises JournalError from every method.

    `step` is told before and after each commit.
    """

    def __init__(self, directory: Path, step: Callable[[str], None] = lambda _: None) -> None:
        self._path = directory / NAME
        self._step = step
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] = (0, 0)
        with self.change():
            pass

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, stored for good when the block ends, and undone when it raises."""
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._step("commit")
            connection.execute("COMMIT")
            self._step("committed")
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self._path}: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def record(self, identity: bytes) -> Record | None:
        """What is known against a message."""
        query = "SELECT identity, path, state, strikes, losses, exact, shape FROM message WHERE identity = ?"
        return next((Record(*row) for row in self._read(query, identity)), None)

    def records(self, state: str) -> list[Record]:
        """The messages in a state."""
        query = "SELECT identity, path, state, strikes, losses, exact, shape FROM message WHERE state = ? ORDER BY at"
        return [Record(*row) for row in self._read(query, state)]

    def entries(self, *states: str) -> list[Entry]:
        """The entries in these states (in any, without), the oldest first."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        query = f"SELECT * FROM entry {where} ORDER BY at, id"  # noqa: S608 - only question marks are put in
        return [Entry(*row) for row in self._read(query, *states)]

    def entry(self, entry_id: str) -> Entry | None:
        """The entry of this id."""
        return next((Entry(*row) for row in self._read("SELECT * FROM entry WHERE id = ?", entry_id)), None)

    def withheld(self) -> list[Withheld]:
        """Everything that is withheld, or was about to be, the oldest first."""
        return [Withheld(*row) for row in self._read("SELECT * FROM withheld ORDER BY at, identity")]

    def hot(self, since: float) -> dict[bytes, bool]:
        """The fingerprints with strikes since then, and whether they are convicted."""
        rows = self._read("SELECT digest, convicted FROM fingerprint WHERE strikes > 0 AND at > ?", since)
        return {digest: bool(convicted) for digest, convicted in rows}

    def has_pass(self, identity: bytes) -> bool:
        """Whether this message was released by a person."""
        return bool(self._read("SELECT 1 FROM pass WHERE identity = ?", identity))

    def passed(self, entry: str) -> int:
        """How many messages have passed, or may, because a person released this entry: itself, and others like it."""
        return int(self._read("SELECT count(*) FROM pass WHERE entry = ?", entry)[0][0])

    def put_back(self, digests: Sequence[bytes], since: float) -> list[tuple[str, str]]:
        """What was put back since then and has one of these fingerprints: entry, and where it was put; the oldest first."""
        marks = ", ".join("?" * len(digests))
        rows = self._read(
            "SELECT entry.id, entry.original FROM entry JOIN pass ON pass.identity = entry.identity "  # noqa: S608 - marks
            f"AND pass.entry = entry.id WHERE pass.at > ? AND (exact IN ({marks}) OR shape IN ({marks})) ORDER BY pass.at",
            since, *digests, *digests,
        )  # fmt: skip
        return [(str(entry), str(original)) for entry, original in rows]

    def let_go(self, since: float) -> list[tuple[str, float, bytes]]:
        """What people have let go since then, or ask to: entry, when, and its exact fingerprint, where it has one."""
        query = (
            "SELECT entry.id, pass.at, entry.exact FROM pass JOIN entry ON entry.id = pass.entry "
            "WHERE pass.at > ? AND entry.exact IS NOT NULL UNION "
            "SELECT entry.id, request.at, entry.exact FROM request JOIN entry ON entry.id = request.entry "
            "WHERE request.kind = 'release' AND request.outcome = '' AND request.at > ? "
            "AND entry.state = 'aside' AND entry.exact IS NOT NULL ORDER BY 2"
        )
        return [(str(entry), float(at), bytes(exact)) for entry, at, exact in self._read(query, since, since)]

    def requests(self) -> list[Request]:
        """What was asked for and has no outcome yet."""
        return [Request(*row) for row in self._read("SELECT id, kind, entry, person FROM request WHERE outcome = ''")]

    def outcome(self, request: int) -> str:
        """What became of a request; empty as long as nothing has."""
        return next((str(row[0]) for row in self._read("SELECT outcome FROM request WHERE id = ?", request)), "")

    def setting(self, name: str) -> str:
        """A value that was kept, or nothing."""
        return next((str(row[0]) for row in self._read("SELECT value FROM setting WHERE name = ?", name)), "")

    def keep(self, name: str, value: str) -> None:
        """Keep a value."""
        with self.change() as db:
            db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def changes(self) -> int:
        """A number that differs when another process has written (PRAGMA data_version)."""
        return int(self._read("PRAGMA data_version")[0][0])

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._open().execute(query, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self._path}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is there now: one that was removed meanwhile holds nothing for anybody."""
        if self._connection:
            try:
                status = self._path.stat()
            except FileNotFoundError:
                status = None
            if status and (status.st_dev, status.st_ino) == self._file:
                return self._connection
            self.close()
        files.check_own_directory(self._path.parent)
        is_new = not self._path.exists()
        connection = sqlite3.connect(self._path, timeout=_WAIT_MS / 1000, isolation_level=None)
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        if is_new:
            self._path.chmod(0o600)
        status = self._path.stat()
        self._file = (status.st_dev, status.st_ino)
        self._connection = connection
        return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the log on that lets others read meanwhile: for this alone SQLite does not wait until others have done so."""
    until = time.monotonic() + _WAIT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the low byte: what kind of error it is
            if not is_busy or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return
