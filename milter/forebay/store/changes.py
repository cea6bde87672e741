"""What changes an entry, each change with its line in the audit trail."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from forebay.logs import printable
from forebay.store.schema import AUDIT, DELETED, DETAIL, ENTRY, NOTE, RELEASED, VANISHED, WAITING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from forebay.store.entries import Entry

FOREBAY: Final = "forebay"
"""The person of what no person asked for."""
CLOSED: Final = (VANISHED, RELEASED, DELETED)
_MOST_TEXT: Final = 2000


def audit(db: Connection, person: str, origin: str, verb: str, subject: str, text: str = "") -> None:
    """Add a line to the audit trail."""
    db.execute(AUDIT.insert().values(**audit_row(person, origin, verb, subject, text)))


def audit_row(person: str, origin: str, verb: str, subject: str, text: str) -> dict[str, object]:
    """A line of the audit trail, for many at once."""
    return {
        "at": time.time(), "person": printable(person, 200), "origin": printable(origin, 200), "verb": verb,
        "subject": subject, "text": printable(text, _MOST_TEXT),
    }  # fmt: skip


def set_state(
    db: Connection, entry: Entry, state: str, host: str, person: str = FOREBAY, text: str = "", size: int | None = None
) -> bool:
    """Change the state of an entry that waits, and write down who did; False where it waits no more."""
    values: dict[str, object] = {"state": state, "changed": time.time()}
    if size is not None:
        values["size"] = size
    changed = db.execute(
        ENTRY.update()
        .where(ENTRY.c.id == entry.id, ENTRY.c.state.in_(WAITING), ENTRY.c.state != state)
        .values(**values)
    )
    if not changed.rowcount:
        return False
    audit(db, person, host, state, entry.id, text)
    return True


def add_note(db: Connection, entry: Entry, person: str, origin: str, text: str) -> None:
    """Keep what a person has to say about an entry."""
    shown = printable(text, _MOST_TEXT)
    db.execute(NOTE.insert().values(entry=entry.id, at=time.time(), person=printable(person, 200), text=shown))
    audit(db, person, origin, "note", entry.id, text)


def forget(db: Connection, before: float) -> int:
    """Remove the entries whose messages were gone before this time; how many that were."""
    old = sa.select(ENTRY.c.id).where(ENTRY.c.state.in_(CLOSED), ENTRY.c.changed < before).limit(1000)
    ids = [row[0] for row in db.execute(old)]
    if ids:
        for table, column in ((DETAIL, DETAIL.c.entry), (NOTE, NOTE.c.entry), (ENTRY, ENTRY.c.id)):
            db.execute(table.delete().where(column.in_(ids)))
        audit(db, FOREBAY, "", "retention", "", f"{len(ids)} entries whose messages are gone")
    return len(ids)
