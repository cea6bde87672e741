"""What was released from a quarantine, so that no door of any host holds it again (`forebay.judge.passes`)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from forebay.store.fingerprints import is_digest
from forebay.store.schema import ENTRY, PASS, SPOOL

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ENTRY: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{20}")
"""The ids of entries: of a spool's quarantine, and of an MTA's."""
LIFE: Final = 5 * 86_400.0
"""Seconds in which a message that was released comes to the last of its doors, or was given up by its MTA."""


def give(db: Connection, entry: str, host: str, exact: str, at: float | None = None) -> None:
    """Let the message of an entry of a host through; `exact` is its exact fingerprint, `at` since when, now without."""
    since = time.time() if at is None else at
    db.execute(PASS.delete().where(PASS.c.entry == entry))
    db.execute(PASS.insert().values(entry=entry, host=host, exact=exact, at=since, expires=since + LIFE))


def is_given(db: Connection, entry: str) -> bool:
    """Whether the message of this entry has a pass, or had one not long ago."""
    return db.execute(sa.select(PASS.c.entry).where(PASS.c.entry == entry)).first() is not None


def given(db: Connection, host: str, now: float) -> list[tuple[str, str, bool]]:
    """What is let through: exact fingerprint, entry, and whether this host's own milter meets it no more.

    That is so of what this host's MTA has held. What was released from a spool may come to any milter.
    """
    query = (
        sa.select(PASS.c.exact, PASS.c.entry, PASS.c.host, ENTRY.c.kind)
        .join_from(PASS, ENTRY, ENTRY.c.id == PASS.c.entry, isouter=True)
        .where(PASS.c.expires > now)
    )
    rows = [(str(exact), str(entry), by == host and kind != SPOOL) for exact, entry, by, kind in db.execute(query)]
    return [each for each in rows if _ENTRY.fullmatch(each[1]) and is_digest(each[0])]  # they become names of files


def forget(db: Connection, now: float) -> None:
    """Remove those that have expired."""
    db.execute(PASS.delete().where(PASS.c.expires < now))
