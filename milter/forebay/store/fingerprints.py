"""Fingerprints in the store: published, counted, suspended, revoked; and which of them are matched now."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from forebay.errors import DataError
from forebay.logs import printable
from forebay.store.changes import FOREBAY, audit
from forebay.store.schema import FINGERPRINT, HIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

FINDING: Final = "fingerprint"
"""The id of the finding that a match makes."""
LIVE, REVOKED, SUSPENDED = "live", "revoked", "suspended"
EXACT, SHAPE = "exact", "shape"
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")
_HOUR: Final = 3600.0


def is_digest(text: str) -> bool:
    """Whether this is a fingerprint as we write one: who can write the database can write anything there."""
    return _DIGEST.fullmatch(text) is not None


class Fingerprint(NamedTuple):
    """One, as the table has it (see `forebay.store.schema.FINGERPRINT`)."""

    digest: str
    kind: str
    state: str
    cause: str
    host: str
    person: str
    entry: str
    made: float
    expires: float
    hits: int
    last_hit: float
    note: str


class New(NamedTuple):
    """One that is to be published: from which host, for which cause, by whom."""

    digest: str
    kind: str
    cause: str
    host: str
    entry: str = ""
    person: str = FOREBAY
    note: str = ""


class Hit(NamedTuple):
    """A message that matched. `recipients` are digests of them; `is_good`: nothing else was found in it."""

    digest: str
    at: float
    host: str
    recipients: tuple[str, ...]
    is_good: bool


def publish(db: Connection, new: New, expiry: float, most: int) -> bool:
    """Make a fingerprint known to all hosts for `expiry` seconds; False where `most` in an hour are made already.

    One that is known lives on from now; one that a person has revoked stays revoked, unless a person adds it.
    """
    now = time.time()
    by_person = new.person != FOREBAY
    known = of_digest(db, new.digest)
    if known and known.state == REVOKED and not by_person:
        return True
    if known is None and not by_person and most and _made_since(db, now - _HOUR) >= most:
        return False
    if known:
        if by_person:
            db.execute(HIT.delete().where(HIT.c.digest == new.digest))  # it is given another chance
        values = {"expires": now + expiry, "state": LIVE if by_person else known.state}
        db.execute(FINGERPRINT.update().where(FINGERPRINT.c.digest == new.digest).values(**values))
    else:
        db.execute(
            FINGERPRINT.insert().values(
                digest=new.digest, kind=new.kind, state=LIVE, cause=new.cause, host=new.host,
                person=printable(new.person), entry=new.entry, made=now, expires=now + expiry, hits=0, last_hit=0.0,
                note=printable(new.note, 1000),
            )
        )  # fmt: skip
    if not known or by_person:
        audit(db, new.person, new.host, "add fingerprint", new.digest, f"{new.kind}, {new.cause}")
    return True


def revoke(db: Connection, digest: str, person: str, origin: str, note: str = "") -> None:
    """Match it no more, and let no sidecar publish it again."""
    values: dict[str, object] = {"state": REVOKED, **({"note": printable(note, 1000)} if note else {})}
    db.execute(FINGERPRINT.update().where(FINGERPRINT.c.digest == digest).values(**values))
    audit(db, person, origin, "revoke fingerprint", digest, note)


def count_hits(db: Connection, hits: Sequence[Hit], suspend_after: int) -> None:
    """Count matches; suspend an exact fingerprint that hits good mail for too many recipients."""
    for digest in sorted({each.digest for each in hits}):
        mine = [each for each in hits if each.digest == digest]
        known = of_digest(db, digest)
        if known is None:
            continue
        latest = max(each.at for each in mine)
        db.execute(
            FINGERPRINT.update().where(FINGERPRINT.c.digest == digest)
            .values(hits=FINGERPRINT.c.hits + len(mine), last_hit=max(latest, known.last_hit))
        )  # fmt: skip
        if known.kind == EXACT and suspend_after:
            _suspend(db, known, mine, suspend_after)


def live(db: Connection, now: float) -> list[Fingerprint]:
    """Those that are matched; a row that is of no form that we write is none."""
    query = sa.select(FINGERPRINT).where(FINGERPRINT.c.state == LIVE, FINGERPRINT.c.expires > now)
    found = [Fingerprint(*row) for row in db.execute(query.order_by(FINGERPRINT.c.digest))]
    return [each for each in found if is_digest(each.digest)]


def lately(db: Connection, now: float) -> tuple[int, int]:
    """How many sidecars have published within an hour, and how many are suspended."""
    query = sa.select(sa.func.count()).where(FINGERPRINT.c.state == SUSPENDED, FINGERPRINT.c.expires > now)
    return _made_since(db, now - _HOUR), int(db.execute(query).scalar() or 0)


def dropped(db: Connection, now: float) -> list[str]:
    """The digests of those that have not expired and are matched no more: revoked, or suspended."""
    query = sa.select(FINGERPRINT.c.digest).where(FINGERPRINT.c.state != LIVE, FINGERPRINT.c.expires > now)
    return [row[0] for row in db.execute(query) if is_digest(row[0])]


def listed(db: Connection, *, everything: bool) -> list[Fingerprint]:
    """Those that are matched, or all that are known, the newest last."""
    query = sa.select(FINGERPRINT).order_by(FINGERPRINT.c.made, FINGERPRINT.c.digest)
    if not everything:
        query = query.where(FINGERPRINT.c.state != REVOKED, FINGERPRINT.c.expires > time.time())
    return [Fingerprint(*row) for row in db.execute(query)]


def get(db: Connection, beginning: str) -> Fingerprint:
    """The one fingerprint that begins like this. Raises DataError where there is none, or more than one."""
    if not beginning.isalnum():
        raise DataError(f"{beginning}: a fingerprint has hexadecimal digits only")
    rows = db.execute(sa.select(FINGERPRINT).where(FINGERPRINT.c.digest.like(f"{beginning}%")).limit(2)).all()
    if len(rows) != 1:
        raise DataError(f"{beginning}: {'several fingerprints begin so' if rows else 'no such fingerprint'}")
    return Fingerprint(*rows[0])


def of_digest(db: Connection, digest: str) -> Fingerprint | None:
    """The fingerprint with this very digest, whatever its state."""
    row = db.execute(sa.select(FINGERPRINT).where(FINGERPRINT.c.digest == digest)).first()
    return Fingerprint(*row) if row else None


def forget(db: Connection, before: float) -> None:
    """Remove those that expired before this time."""
    old = [row[0] for row in db.execute(sa.select(FINGERPRINT.c.digest).where(FINGERPRINT.c.expires < before))]
    for table in (HIT, FINGERPRINT):
        db.execute(table.delete().where(table.c.digest.in_(old)))


def _suspend(db: Connection, known: Fingerprint, hits: Iterable[Hit], suspend_after: int) -> None:
    wanted = {each for hit in hits if hit.is_good for each in hit.recipients}
    if not wanted:
        return
    found = {row[0] for row in db.execute(sa.select(HIT.c.recipient).where(HIT.c.digest == known.digest))}
    if new := sorted(wanted - found)[: suspend_after + 1]:
        db.execute(HIT.insert(), [{"digest": known.digest, "recipient": each} for each in new])
    if len(found) + len(new) > suspend_after and known.state == LIVE:
        db.execute(FINGERPRINT.update().where(FINGERPRINT.c.digest == known.digest).values(state=SUSPENDED))
        text = f"it has matched good mail for more than {suspend_after} recipients"
        audit(db, FOREBAY, known.host, "suspend fingerprint", known.digest, text)


def _made_since(db: Connection, since: float) -> int:
    query = sa.select(sa.func.count()).where(FINGERPRINT.c.made > since, FINGERPRINT.c.person == FOREBAY)
    return int(db.execute(query).scalar() or 0)
