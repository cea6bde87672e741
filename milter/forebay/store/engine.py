"""Opening the store: SQLite in write-ahead mode, or PostgreSQL, by one URL; short transactions; one kind of error.

SQLite: one writer at a time, who waits for the other a few seconds at most; every commit is fsynced. The file is made,
and brought up to date, by whoever opens it first. PostgreSQL: a store of another version is refused with the command
to type, since the other hosts of the fleet use it too.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forebay.errors import StoreError, StoreVersionError
from forebay.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from forebay.config import Config

FILE: Final = "store.db"
_BUSY_MS: Final = 10_000
_CONNECT_SECONDS: Final = 5
_STATEMENT_MS: Final = 15_000


def url_of(config: Config) -> str:
    """The URL of the store of this configuration."""
    return config.store.url or f"sqlite:///{config.milter.state}/{FILE}"


def host_of(config: Config) -> str:
    """The name of this host in the store."""
    return config.store.host or config.milter.hostname


class Store:
    """The database. It is opened at first use, and again after an error; every method raises StoreError."""

    def __init__(self, url: str, *, migrate: bool = False) -> None:
        self._url = sa.make_url(url)
        self._migrates = migrate
        self._engine: Engine | None = None
        self._inode = 0
        self.is_sqlite = self._url.get_backend_name() == "sqlite"

    @classmethod
    def of(cls, config: Config) -> Store:
        """The store of this configuration."""
        return cls(url_of(config))

    @property
    def where(self) -> str:
        """The store as a person calls it, without its password."""
        return str(self._url.database) if self.is_sqlite else self._url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, stored for good when the block ends, and undone when it raises."""
        with self._transaction("write") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads."""
        with self._transaction("read") as connection:
            yield connection

    def open(self) -> Engine:
        """The engine of a store that is there and of this version. Raises StoreError or StoreVersionError."""
        if self._engine and self.is_sqlite and _inode(self.where) != self._inode:
            self.close()  # a file that was removed holds nothing for anybody
        if self._engine is None:
            engine = self._make()
            try:
                self._check(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
            self._inode = _inode(self.where) if self.is_sqlite else 0
        return self._engine

    def close(self) -> None:
        """Let go of all connections."""
        if self._engine:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[Connection]:
        try:
            with self.open().connect() as connection:
                connection.info["forebay"] = kind
                with connection.begin():
                    yield connection
        except SQLAlchemyError as error:
            if not isinstance(error, DBAPIError) or error.connection_invalidated:
                self.close()
            raise StoreError(f"the store {self.where}: {_first_line(error)}") from None

    def _make(self) -> Engine:
        if self.is_sqlite:
            engine = sa.create_engine(
                self._url, connect_args={"timeout": _BUSY_MS / 1000}, poolclass=sa.pool.QueuePool, pool_size=2
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        options = f"-c statement_timeout={_STATEMENT_MS} -c idle_in_transaction_session_timeout={_STATEMENT_MS}"
        arguments: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "options": options}
        try:
            return sa.create_engine(self._url, connect_args=arguments, pool_size=2, pool_pre_ping=True)
        except ImportError as error:
            raise StoreError(f"the store {self.where} needs {error.name}: pip install 'forebay[fleet]'") from None

    def _check(self, engine: Engine) -> None:
        found = self._version(engine)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise StoreVersionError(f"the store {self.where} is of version {found}, newer than this forebay ({HEAD})")
        if not self.is_sqlite and not self._migrates:
            raise StoreVersionError(
                f"the store {self.where} is of version {found or 'none'}, and {HEAD} is needed: "
                "on one host type: forebay store migrate"
            )
        from forebay.store.migrate import migrate  # noqa: PLC0415 - Alembic is only needed here

        migrate(engine, self.where if self.is_sqlite else None)

    def _version(self, engine: Engine) -> str | None:
        try:
            with engine.connect() as connection:
                if not sa.inspect(connection).has_table("alembic_version"):
                    return None
                return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        except SQLAlchemyError as error:
            raise StoreError(f"the store {self.where}: {_first_line(error)}") from None


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {_BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its turn at once: one that reads first and writes then could be refused at any time."""
    kind = connection.info.get("forebay")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if kind == "write" else "BEGIN")


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - asked at every transaction
    except OSError:
        return 0
