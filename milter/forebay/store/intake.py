"""From record files to rows: each exactly once, in their order, whatever was killed in between.

A batch of rows and the hits in it are one transaction; only after it is stored are the files moved out of `new/`. Who
is killed in between finds the rows there already, and only moves the files.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from forebay.logs import LOGGER, printable
from forebay.records import NEW, Record, RecordError
from forebay.store import fingerprints
from forebay.store.changes import FOREBAY, audit_row
from forebay.store.entries import pack_findings, pack_header
from forebay.store.schema import ANNOUNCED, AUDIT, DETAIL, ENTRY, MTA_HOLD, WAITING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from forebay.records import Records
    from forebay.store.engine import Store

BATCH: Final = 200
"""Records of one transaction: others wait for it no longer than a moment."""
HELD: Final = "quarantine"
_TEXT: Final = 300
_RECIPIENTS: Final = 2000

_log = logging.getLogger(LOGGER)


@dataclass(slots=True)
class Taken:
    """What came of one batch."""

    entries: int = 0
    hits: int = 0
    damaged: int = 0
    more: bool = False


class Intake:
    """Takes the records of one directory into a store. `owner` is the uid that they must belong to."""

    def __init__(self, store: Store, records: Records, owner: int | None, suspend_after: int) -> None:
        self._store = store
        self._records = records
        self._owner = owner
        self._suspend_after = suspend_after
        self._damaged: set[str] = set()

    def take(self) -> Taken:
        """Take the oldest records. Raises StoreError where the store is away; then they stay where they are."""
        taken = Taken()
        waiting = [each for each in self._records.new() if each not in self._damaged]
        records = [each for each in map(self._read, waiting[:BATCH]) if each]
        taken.damaged = len(waiting[:BATCH]) - len(records)
        taken.more = len(waiting) > BATCH
        if not records:
            return taken
        with self._store.write() as db:
            known = _known(db, [each.id for each in records])
            fresh = [each for each in records if each.id not in known]
            _insert(db, [each for each in fresh if each.action == HELD])
            # A hit without an entry leaves no row that says it was counted: it may count twice after a crash.
            fingerprints.count_hits(db, [_hit(each) for each in fresh if each.matched], self._suspend_after)
        taken.entries = sum(each.action == HELD for each in fresh)
        taken.hits = sum(bool(each.matched) for each in fresh)
        for each in records:
            with suppress(FileNotFoundError):
                if each.action == HELD:
                    self._records.keep(each.id)
                else:
                    self._records.drop(each.id, NEW)
        return taken

    def recover(self) -> int:
        """Take in again what this host has records of and the store does not know; how many those are.

        A store that was lost is made again; a record that nobody needs any more is removed.
        """
        kept = self._records.kept()
        missing = 0
        for start in range(0, len(kept), BATCH):
            batch = kept[start : start + BATCH]
            with self._store.read() as db:
                states = {
                    row.id: row.state
                    for row in db.execute(sa.select(ENTRY.c.id, ENTRY.c.state).where(ENTRY.c.id.in_(batch)))
                }
            for each in batch:
                if each not in states:
                    self._records.take_back(each)
                    missing += 1
                elif states[each] not in WAITING:
                    self._records.drop(each)
        return missing

    def _read(self, record_id: str) -> Record | None:
        try:
            return self._records.read(record_id, owner=self._owner)
        except FileNotFoundError:
            return None
        except (RecordError, OSError) as error:
            self._damaged.add(record_id)
            _log.error("the record %s is left where it is: %s", record_id, printable(str(error)))
            return None


def _known(db: Connection, ids: list[str]) -> set[str]:
    return {row[0] for row in db.execute(sa.select(ENTRY.c.id).where(ENTRY.c.id.in_(ids)))}


def _insert(db: Connection, records: list[Record]) -> None:
    if not records:
        return
    db.execute(ENTRY.insert(), [_row(each) for each in records])
    db.execute(
        DETAIL.insert(),
        [
            {
                "entry": each.id,
                "header": pack_header(each.header),
                "findings": pack_findings(each.findings),
                "evidence": "",
            }
            for each in records
        ],
    )
    lines = [audit_row(FOREBAY, each.host, ANNOUNCED, each.id, f"queue id {each.queue_id}") for each in records]
    db.execute(AUDIT.insert(), lines)


def _row(record: Record) -> dict[str, object]:
    reason = record.findings[0] if record.findings else None
    ids = dict.fromkeys(printable(each.id, 80) for each in record.findings)
    field = f"{printable(reason.field, 80)}: " if reason and reason.field else ""
    return {
        "id": record.id, "kind": MTA_HOLD, "state": ANNOUNCED, "host": printable(record.host, 250), "at": record.at,
        "changed": record.at, "size": record.size, "client": printable(record.client, 64),
        "sender": printable(record.sender, _TEXT), "recipients": shown_recipients(record.recipients),
        "recipient_count": record.recipient_count, "place": printable(record.queue_id, 64),
        "reason": printable(reason.id, 80) if reason else "", "why": field + printable(reason.message, _TEXT) if reason else "",
        "validators": f" {' '.join(ids)} ", "confidence": "", "exact": record.exact, "shape": record.shape,
        "matched": record.matched,
    }  # fmt: skip


def shown_recipients(recipients: tuple[bytes, ...]) -> str:
    """Recipients as the store keeps them for searching: escaped, with blanks between, not too many."""
    return printable(b" ".join(each.replace(b" ", b"_") for each in recipients), _RECIPIENTS)


def _hit(record: Record) -> fingerprints.Hit:
    others = any(each.id != fingerprints.FINDING and each.action != "accept" for each in record.findings)
    digests = [hashlib.blake2b(each.lower(), digest_size=16).hexdigest() for each in record.recipients]
    return fingerprints.Hit(record.matched, record.at, record.host, tuple(digests), is_good=not others)
