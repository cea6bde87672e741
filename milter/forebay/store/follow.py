"""Following the store: being told that somebody has changed it.

SQLite counts changes (PRAGMA data_version): the number is looked at often, which costs microseconds. PostgreSQL tells
(LISTEN): a connection of its own waits in a thread. Being told is never relied upon: who follows reads everything
anew after a lost connection, and every now and then anyway.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import sqlalchemy as sa

from forebay.logs import LOGGER, printable

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL: Final = "forebay"
"""The PostgreSQL channel on which the triggers of the schema tell which table has changed."""
_SILENCE: Final = 20.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0

_log = logging.getLogger(LOGGER)


class Follower(Protocol):
    """Says whether the store may have changed since it was asked last; true at first."""

    def changed(self) -> bool:
        """Whether to look at the store again. Never waits, never raises."""

    def close(self) -> None:
        """Follow no more."""


class SqliteFollower:
    """Looks at the counter of a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether another process or connection has written."""
        try:
            inode = Path(self._path).stat().st_ino
            if self._connection is None or not self._seen or self._seen[0] != inode:
                self.close()
                self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=0.05)
            now = inode, int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except (sqlite3.Error, OSError):
            self.close()
            return True
        changed, self._seen = now != self._seen, now
        return changed

    def close(self) -> None:
        """Let go of the file."""
        if self._connection:
            self._connection.close()
        self._connection, self._seen = None, None


class PostgresFollower:
    """Listens. `wake` is called, in the listener's thread, when something was told."""

    def __init__(self, url: str, wake: Callable[[], None] = lambda: None) -> None:
        self._url = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._wake = wake
        self._told = threading.Event()
        self._told.set()
        self._over = threading.Event()
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def changed(self) -> bool:
        """Whether something was told, or may have been missed."""
        if not self._told.is_set():
            return False
        self._told.clear()
        return True

    def close(self) -> None:
        """Listen no more."""
        self._over.set()

    def _listen(self) -> None:
        try:
            import psycopg  # noqa: PLC0415 - only fleets have it
        except ImportError:
            return  # whoever opens the store says so

        delay = _FIRST_DELAY
        while not self._over.is_set():
            try:
                with psycopg.connect(
                    self._url, autocommit=True, connect_timeout=5, keepalives_idle=10, keepalives_interval=5,
                    keepalives_count=3,
                ) as connection:  # fmt: skip
                    connection.execute(f"LISTEN {CHANNEL}")
                    delay = _FIRST_DELAY
                    self._tell()  # whatever was said before is read now
                    self._hear(connection)
            except psycopg.Error as error:
                _log.warning("not told of changes in the store: %s", printable(str(error), 200))
                self._over.wait(delay)
                delay = min(_LONGEST_DELAY, delay * 2)

    def _hear(self, connection: object) -> None:
        last = time.monotonic()
        while not self._over.is_set():
            for _ in connection.notifies(timeout=1.0):  # type: ignore[attr-defined]  # psycopg is imported late
                last = time.monotonic()
                self._tell()
            if time.monotonic() - last > _SILENCE:
                connection.execute("SELECT 1")  # type: ignore[attr-defined]  # a dead connection says so
                last = time.monotonic()

    def _tell(self) -> None:
        self._told.set()
        with suppress(Exception):
            self._wake()


def follower(url: str, wake: Callable[[], None] = lambda: None) -> Follower:
    """The follower of the store at this URL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteFollower(str(parsed.database))
    return PostgresFollower(url, wake)
