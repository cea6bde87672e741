"""What people ask for: releases and deletions. A request is a row; the host that holds the bytes carries it out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from forebay.logs import printable
from forebay.store.changes import audit
from forebay.store.schema import REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from forebay.store.entries import Entry

RELEASE, DELETE = "release", "delete"
DONE: Final = "done"
"""The outcome of what was carried out; every other outcome says why not."""


class Request(NamedTuple):
    """One that has no outcome yet."""

    id: int
    entry: str
    verb: str
    person: str
    origin: str


def ask(db: Connection, entry: Entry, verb: str, person: str, origin: str) -> int:
    """Store a request, and who makes it; its number."""
    made = db.execute(
        REQUEST.insert().values(
            entry=entry.id, host=entry.host, verb=verb, person=printable(person, 200), origin=printable(origin, 200),
            at=time.time(), outcome="", done=0.0,
        )
    )  # fmt: skip
    audit(db, person, origin, f"ask {verb}", entry.id)
    return int((made.inserted_primary_key or (0,))[0])


def outcomes(db: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """What became of requests, for those that have come to an end."""
    query = sa.select(REQUEST.c.id, REQUEST.c.outcome).where(REQUEST.c.id.in_(list(numbers)), REQUEST.c.outcome != "")
    return {int(number): str(outcome) for number, outcome in db.execute(query)}


def open_for(db: Connection, host: str) -> list[Request]:
    """What a host is asked for, the oldest first."""
    columns = REQUEST.c.id, REQUEST.c.entry, REQUEST.c.verb, REQUEST.c.person, REQUEST.c.origin
    query = sa.select(*columns).where(REQUEST.c.host == host, REQUEST.c.outcome == "").order_by(REQUEST.c.id).limit(100)
    return [Request(*row) for row in db.execute(query)]


def close(db: Connection, request: Request, outcome: str, host: str) -> None:
    """Store what became of it."""
    text = printable(outcome, 500)
    db.execute(REQUEST.update().where(REQUEST.c.id == request.id).values(outcome=text, done=time.time()))
    audit(db, request.person, host, f"answer {request.verb}", request.entry, f"{text} (asked from {request.origin})")
