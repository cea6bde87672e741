"""The ledger: which messages this host holds, by what the host itself saw of them. Nobody else's word counts.

A small SQLite file of the user who acts on queues (root). The database that hosts share names entries; what is done to
which message is decided by the ledger and by the record files of this host.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from forebay.errors import FileError
from forebay.store.queues import HOLD, Queued

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "ledger.db"
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS hold (entry TEXT PRIMARY KEY, mta TEXT NOT NULL, queue_id TEXT NOT NULL, "
    "sender TEXT NOT NULL, arrival INTEGER NOT NULL, size INTEGER NOT NULL, identity TEXT NOT NULL, "
    "intent TEXT NOT NULL DEFAULT '')"
)
_SELECT: Final = "SELECT entry, mta, intent, queue_id, sender, arrival, size, identity FROM hold"


class Held(NamedTuple):
    """A message that was seen in the hold queue of an MTA, and what was about to be done to it, or nothing."""

    mta: str
    queued: Queued
    intent: str


class Ledger:
    """The file; raises FileError from every method where it cannot be read or written."""

    def __init__(self, state: Path) -> None:
        self._path = state / NAME
        with self._transaction() as db:
            db.execute(_SCHEMA)
        self._path.chmod(0o600)

    def note(self, entry: str, mta: str, held: Queued) -> None:
        """A message was seen in the hold queue."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO hold (entry, mta, queue_id, sender, arrival, size, identity) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (entry, mta, *held[1:]),
            )

    def intend(self, entry: str, verb: str) -> None:
        """Write down what is about to be done."""
        with self._transaction() as db:
            db.execute("UPDATE hold SET intent = ? WHERE entry = ?", (verb, entry))

    def forget(self, entry: str) -> None:
        """Its message is gone."""
        with self._transaction() as db:
            db.execute("DELETE FROM hold WHERE entry = ?", (entry,))

    def held(self) -> dict[str, Held]:
        """What was seen, by entry: all of it."""
        with self._transaction() as db:
            rows = db.execute(_SELECT).fetchall()
        return {entry: Held(mta, Queued(HOLD, *rest), intent) for entry, mta, intent, *rest in rows}

    def known(self, entry: str) -> Held | None:
        """What was seen of one entry."""
        with self._transaction() as db:
            row = db.execute(f"{_SELECT} WHERE entry = ?", (entry,)).fetchone()
        return Held(row[1], Queued(HOLD, *row[3:]), row[2]) if row else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise FileError(f"{self._path}: {error}") from None
