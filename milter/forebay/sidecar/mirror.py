"""What the journal says, told to the store: entries of the spool's quarantine, strikes, fingerprints of the convicted,
passes of the released.

The journal is right, the store follows it: whatever was missed while the store was away is told when it is back.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from forebay.api.router import Message
from forebay.errors import ForebayError
from forebay.logs import LOGGER, printable
from forebay.message.split import split
from forebay.records import bounded
from forebay.sidecar.journal import NAME
from forebay.store import changes, fingerprints, passes
from forebay.store.engine import host_of
from forebay.store.entries import Entry, pack_header
from forebay.store.intake import shown_recipients
from forebay.store.schema import ANNOUNCED, DELETED, DETAIL, ENTRY, HELD, RELEASED, SPOOL, STRIKE, VANISHED

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from forebay.api.router import Adapter
    from forebay.config import Config
    from forebay.sidecar.journal import Entry as Aside
    from forebay.sidecar.journal import Journal
    from forebay.store.engine import Store

STATES: Final = {
    "intended": ANNOUNCED, "aside": HELD, "releasing": HELD, "deleting": HELD, "released": RELEASED,
    "deleted": DELETED, "vanished": VANISHED,
}  # fmt: skip
_KILLED_NOBODY: Final = frozenset({"copy", "gate"})
_log = logging.getLogger(LOGGER)


class Mirror:
    """Follows one journal. `as_user` is the context in which the store is used."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        store: Store,
        adapter: Adapter | None,
        as_user: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._config = config
        self._host = host_of(config)
        self._journal = journal
        self._path = config.private_state / NAME
        self._store = store
        self._adapter = adapter
        self._as_user = as_user
        self._told: dict[str, str] = {}
        self._let_go: set[str] = set()
        self._last_strike = -1
        self._changes = -1

    def turn(self) -> None:
        """Tell what is new, if anything is. Raises a ForebayError where journal or store cannot be used."""
        seen = self._journal.changes()
        if seen == self._changes:
            return
        new = [each for each in self._journal.entries() if self._told.get(each.id) != each.state]
        fresh = [each for each in new if each.id not in self._told]
        self._publish(fresh)  # first: this is what stops the next one
        self._let_pass()
        details = {each.id: self._read(each) for each in fresh}
        with self._as_user(), self._store.write() as db:
            for each in new:
                self._tell(db, each, details.get(each.id))
            last = self._last_strike if self._last_strike >= 0 else self._last_told(db)
        strikes = self._strikes_after(last)  # as ourselves: the store's user may not read the journal
        if strikes:
            with self._as_user(), self._store.write() as db:
                db.execute(STRIKE.insert(), [{"host": self._host, **each} for each in strikes])
            last = int(strikes[-1]["number"])
        self._told |= {each.id: each.state for each in new}
        self._last_strike, self._changes = last, seen

    def _publish(self, entries: list[Aside]) -> None:
        convicted = [each for each in entries if each.cause not in _KILLED_NOBODY and (each.exact or each.shape)]
        if not convicted:
            return
        section = self._config.fingerprints
        now = time.time()
        with self._as_user(), self._store.write() as db:
            for each in convicted:
                if each.at + section.expiry < now:
                    continue
                for kind, digest in ((fingerprints.SHAPE, each.shape), (fingerprints.EXACT, each.exact)):
                    if not digest or (kind == fingerprints.EXACT and each.shape):
                        continue  # what has a shape is known by that
                    new = fingerprints.New(digest.hex(), kind, each.cause, self._host, each.id)
                    if _is_known(db, new):
                        continue
                    if not fingerprints.publish(db, new, section.expiry, section.additions_per_hour):
                        _log.critical(
                            "not published: %s %s: more than fingerprints.additions_per_hour (%d) within an hour",
                            kind, new.digest, section.additions_per_hour,
                        )  # fmt: skip

    def _let_pass(self) -> None:
        """Give a pass to what is released from the spool: it is still like a killer at the doors that come after.

        A request is as good as the release: the guard carries it out up to a second later, and the pass is there first.
        """
        found = self._journal.let_go(time.time() - passes.LIFE)
        new = [(entry, at, exact) for entry, at, exact in found if entry not in self._let_go]
        if not new:
            return
        with self._as_user(), self._store.write() as db:
            for entry, at, exact in new:
                if not passes.is_given(db, entry):
                    passes.give(db, entry, self._host, exact.hex(), at)
        self._let_go |= {entry for entry, _, _ in new}

    def _tell(self, db: Connection, entry: Aside, detail: dict[str, Any] | None) -> None:
        state = STATES.get(entry.state, HELD)
        row = db.execute(sa.select(ENTRY).where(ENTRY.c.id == entry.id)).first()
        if row:
            changes.set_state(db, Entry(*row), state, self._host)
            return
        detail = detail or {}
        evidence = _evidence(entry.evidence)
        reason, _, why = str(evidence.get("reason", "")).partition(": ")
        db.execute(
            ENTRY.insert().values(
                id=entry.id, kind=SPOOL, state=state, host=self._host, at=entry.at, changed=time.time(),
                size=entry.size, client="", sender=detail.get("sender", ""), recipients=detail.get("recipients", ""),
                recipient_count=detail.get("count", 0), place=printable(entry.original, 500),
                reason=printable(entry.cause, 80), why=printable(f"{reason}: {why}" if why else reason, 300),
                validators=f" {printable(reason, 80)} " if why else " ", confidence=entry.confidence,
                exact=entry.exact.hex() if entry.exact else "", shape=entry.shape.hex() if entry.shape else "",
                matched="",
            )
        )  # fmt: skip
        header = pack_header(detail.get("header", ()))
        db.execute(DETAIL.insert().values(entry=entry.id, header=header, findings="[]", evidence=entry.evidence))
        changes.audit(db, changes.FOREBAY, self._host, state, entry.id, f"{entry.cause} ({entry.confidence})")

    def _last_told(self, db: Connection) -> int:
        """The number of the last strike of this host that the store has."""
        return db.execute(sa.select(sa.func.max(STRIKE.c.number)).where(STRIKE.c.host == self._host)).scalar() or 0

    def _strikes_after(self, last: int) -> list[dict[str, Any]]:
        """The strikes that the store has not. Raises ForebayError where the journal cannot be read."""
        query = "SELECT id, hex(identity), cause, confidence, at, evidence FROM strike WHERE id > ? ORDER BY id"
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as journal:
                rows = journal.execute(query, (last,)).fetchall()
        except sqlite3.Error as error:
            raise ForebayError(f"{self._path}: {error}") from None
        names = ("number", "identity", "cause", "confidence", "at", "evidence")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _read(self, entry: Aside) -> dict[str, Any]:
        """Who wrote to whom, and the header, from the file itself; nothing where it cannot be read."""
        if not self._adapter:
            return {}
        kept = self._adapter.kept(Message(entry.source, entry.identity, entry.size, 0), entry.aside)
        for path in (kept or entry.aside, entry.source):
            with suppress(OSError):
                reading = self._adapter.read(path)
                parts = split(reading.raw)
                sender = parts.sender or reading.envelope.sender
                recipients = reading.envelope.recipients
                return {
                    "sender": printable(sender, 300),
                    "recipients": shown_recipients(recipients[:100]),
                    "count": len(recipients),
                    "header": bounded(parts.fields if reading.fields is None else reading.fields),
                }
        return {}


def _is_known(db: Connection, new: fingerprints.New) -> bool:
    """Whether the store knows it from this very entry: a sidecar that starts anew must not make it live longer."""
    known = fingerprints.of_digest(db, new.digest)
    return known is not None and known.entry == new.entry


def _evidence(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
