"""What was released from an MTA's quarantine, so that no door of any host holds it again (`forebay.judge.passes`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from forebay.records import is_id
from forebay.store.fingerprints import is_digest
from forebay.store.schema import PASS

if TYPE_CHECKING:
    from sqlalchemy import Connection

LIFE: Final = 5 * 86_400.0
"""Seconds in which a message that was released comes to the last of its doors, or was given up by its MTA."""


def give(db: Connection, entry: str, host: str, exact: str) -> None:
    """Let the message of an entry of a host through; `exact` is its exact fingerprint."""
    now = time.time()
    db.execute(PASS.delete().where(PASS.c.entry == entry))
    db.execute(PASS.insert().values(entry=entry, host=host, exact=exact, at=now, expires=now + LIFE))


def given(db: Connection, host: str, now: float) -> list[tuple[str, str, bool]]:
    """What is let through: exact fingerprint, entry, and whether this host has released it itself."""
    query = sa.select(PASS.c.exact, PASS.c.entry, PASS.c.host).where(PASS.c.expires > now)
    rows = [(str(exact), str(entry), by == host) for exact, entry, by in db.execute(query)]
    return [each for each in rows if is_id(each[1]) and is_digest(each[0])]  # they become names of files


def forget(db: Connection, now: float) -> None:
    """Remove those that have expired."""
    db.execute(PASS.delete().where(PASS.c.expires < now))
