"""Bringing a store up to date, with Alembic; the migrations come with the program."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from forebay.errors import StoreError
from forebay.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(engine: Engine, file: str | None) -> None:
    """Bring the store to the version of this program; `file` is where an SQLite store is.

    Whoever comes second waits for the first. Raises StoreError where it cannot be done; then nothing is changed.
    """
    try:
        with _alone(file), engine.connect() as connection:
            connection.info["forebay"] = "write"
            with connection.begin():
                if not file:
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(70111)")
                settings = Config()
                settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
                settings.attributes["connection"] = connection
                command.upgrade(settings, HEAD)
            if file:
                Path(file).chmod(0o600)  # it holds who wrote to whom
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the store cannot be brought to version {HEAD}: {cause}") from None


@contextmanager
def _alone(file: str | None) -> Iterator[None]:
    if not file:
        yield
        return
    descriptor = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
