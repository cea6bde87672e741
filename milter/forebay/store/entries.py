"""Quarantine entries: finding them, and what is known of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from forebay.errors import DataError
from forebay.records import RecordedFinding
from forebay.store.schema import DETAIL, ENTRY, NOTE, STATES, WAITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

SORTS: Final = ("at", "size", "sender", "reason", "host", "client")


class Entry(NamedTuple):
    """One entry, as the table has it (see `forebay.store.schema.ENTRY`)."""

    id: str
    kind: str
    state: str
    host: str
    at: float
    changed: float
    size: int
    client: str
    sender: str
    recipients: str
    recipient_count: int
    place: str
    reason: str
    why: str
    validators: str
    confidence: str
    exact: str
    shape: str
    matched: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: each member that is given must hold. Addresses and clients match by any part of them."""

    since: float | None = None
    until: float | None = None
    validator: str = ""
    cause: str = ""
    client: str = ""
    sender: str = ""
    recipient: str = ""
    fingerprint: str = ""
    host: str = ""
    kind: str = ""
    states: Sequence[str] = WAITING


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of them, in which order."""

    sort: str = "at"
    reverse: bool = False
    limit: int = 100
    offset: int = 0


class Note(NamedTuple):
    """What a person wrote about an entry."""

    at: float
    person: str
    text: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What `show` shows besides the entry; all empty where the store has nothing."""

    header: tuple[tuple[bytes, bytes], ...] = ()
    findings: tuple[RecordedFinding, ...] = ()
    evidence: str = ""
    notes: tuple[Note, ...] = ()


def find(db: Connection, wanted: Filter, page: Page) -> list[Entry]:
    """The entries of one page."""
    column = ENTRY.c[page.sort if page.sort in SORTS else "at"]
    order = [column.desc(), ENTRY.c.id.desc()] if page.reverse else [column, ENTRY.c.id]
    # First the ids alone: whole rows need not be sorted.
    ids = sa.select(ENTRY.c.id).where(*_conditions(db, wanted)).order_by(*order).limit(page.limit).offset(page.offset)
    query = sa.select(ENTRY).where(ENTRY.c.id.in_(ids)).order_by(*order)
    return [Entry(*row) for row in db.execute(query)]


def count(db: Connection, wanted: Filter) -> tuple[int, int, float]:
    """How many there are, their bytes, and since when the oldest waits (0 for none)."""
    query = sa.select(sa.func.count(), sa.func.sum(ENTRY.c.size), sa.func.min(ENTRY.c.at)).where(
        *_conditions(db, wanted)
    )
    number, size, oldest = db.execute(query).one()
    return int(number), int(size or 0), float(oldest or 0.0)


def tally(db: Connection, wanted: Filter) -> list[tuple[str, str, str, int, int, float]]:
    """Kind, state, reason, number, bytes and the oldest, for each that there is, the most frequent first."""
    columns = ENTRY.c.kind, ENTRY.c.state, ENTRY.c.reason
    query = (
        sa.select(*columns, sa.func.count(), sa.func.sum(ENTRY.c.size), sa.func.min(ENTRY.c.at))
        .where(*_conditions(db, wanted)).group_by(*columns).order_by(sa.func.count().desc())
    )  # fmt: skip
    return [
        (kind, state, reason, int(n), int(size), float(at)) for kind, state, reason, n, size, at in db.execute(query)
    ]


def get(db: Connection, beginning: str) -> Entry:
    """The one entry whose id begins, or ends, like this. Raises DataError where there is none, or more than one."""
    if not beginning.isalnum():
        raise DataError(f"{beginning}: an id has letters and digits only")
    for pattern in (f"{beginning}%", f"%{beginning}"):
        rows = db.execute(sa.select(ENTRY).where(ENTRY.c.id.like(pattern)).limit(2)).all()
        if len(rows) == 1:
            return Entry(*rows[0])
        if rows:
            raise DataError(f"{beginning}: several entries have such an id; write more of it")
    raise DataError(f"{beginning}: no such entry")


def detail(db: Connection, entry_id: str) -> Detail:
    """What is known of an entry besides its row."""
    notes = db.execute(
        sa.select(NOTE.c.at, NOTE.c.person, NOTE.c.text).where(NOTE.c.entry == entry_id).order_by(NOTE.c.id)
    )
    told = tuple(Note(*row) for row in notes)
    row = db.execute(
        sa.select(DETAIL.c.header, DETAIL.c.findings, DETAIL.c.evidence).where(DETAIL.c.entry == entry_id)
    ).first()
    if row is None:
        return Detail(notes=told)
    return Detail(unpack_header(row[0]), unpack_findings(row[1]), row[2], told)


def pack_header(header: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A header as the store keeps it."""
    return json.dumps([[name.decode("latin-1"), value.decode("latin-1")] for name, value in header]).encode("ascii")


def unpack_header(packed: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """A header that was kept; nothing where the row is damaged."""
    try:
        return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(packed))
    except (ValueError, TypeError, AttributeError):
        return ()


def pack_findings(findings: Sequence[RecordedFinding]) -> str:
    """Findings as the store keeps them."""
    return json.dumps(
        [[f.id, f.field.decode("latin-1"), f.field_index, f.start, f.end, f.message, f.action] for f in findings]
    )


def unpack_findings(packed: str) -> tuple[RecordedFinding, ...]:
    """Findings that were kept; nothing where the row is damaged."""
    try:
        rows: Any = json.loads(packed)
        return tuple(
            RecordedFinding(
                str(i), field.encode("latin-1"), int(index), int(start), int(end), str(message), str(action)
            )
            for i, field, index, start, end, message, action in rows
        )
    except (ValueError, TypeError, AttributeError):
        return ()


def _conditions(db: Connection, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    column = ENTRY.c
    found: list[sa.ColumnElement[bool]] = []
    if set(wanted.states) != set(STATES):
        found.append(column.state.in_(list(wanted.states)))
    if wanted.since is not None:
        found.append(column.at >= wanted.since)
    if wanted.until is not None:
        found.append(column.at < wanted.until)
    for name, value in (("host", wanted.host), ("kind", wanted.kind), ("reason", wanted.cause)):
        if value:
            found.append(column[name] == value)
    if wanted.validator:
        found.append(column.validators.contains(f" {wanted.validator} ", autoescape=True))
    for name, value in (("client", wanted.client), ("sender", wanted.sender), ("recipients", wanted.recipient)):
        if value:
            found.append(_contains(db, column[name], value))
    if wanted.fingerprint:
        any_of = (column.exact, column.shape, column.matched)
        found.append(sa.or_(*(each.startswith(wanted.fingerprint, autoescape=True) for each in any_of)))
    return found


def _contains(db: Connection, column: sa.Column[Any], part: str) -> sa.ColumnElement[bool]:
    """Without regard to case, which SQLite's LIKE never has for ASCII."""
    return (column.contains if db.dialect.name == "sqlite" else column.icontains)(part, autoescape=True)
