"""The hands: who confirms what the MTA holds, and carries out what people ask for, on this host.

The sidecar's, and nobody else's. The shared database commands nobody: it names entries, and what is touched is decided
by the record files (owned by the milter's user), the ledger and the MTA's own list. An entry that these do not know is
refused, whatever its row says.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

import sqlalchemy as sa

from forebay.errors import ForebayError, NoQueueError
from forebay.logs import LOGGER, printable
from forebay.records import KEPT, NEW, RecordError, is_id
from forebay.store import changes, passes, requests
from forebay.store.changes import FOREBAY
from forebay.store.entries import Entry
from forebay.store.ledger import Held
from forebay.store.queues import HOLD, Glance, bare, is_same, is_unique
from forebay.store.schema import ANNOUNCED, DELETED, ENTRY, HELD, MTA_HOLD, RELEASED, VANISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forebay.records import Record, Records
    from forebay.store.engine import Store
    from forebay.store.ledger import Ledger
    from forebay.store.queues import Queue, Queued
    from forebay.store.requests import Request

GRACE: Final = 900.0
"""Seconds until a message that was announced and is not in the queue has vanished: other milters come after us."""
LOOK: Final = 20.0
"""Seconds between two looks at the queue while nothing is awaited there."""
SOON: Final = 10.0
"""Seconds in which a message that was announced is looked for at every turn."""
_SHARE: Final = 10
"""So many times as long as it takes to look, nobody looks again for these: a hold queue of thousands takes seconds."""
_SLACK: Final = 600.0
_DAY: Final = 86_400.0
_OUTCOMES: Final = {requests.RELEASE: RELEASED, requests.DELETE: DELETED}

_log = logging.getLogger(LOGGER)


class Spool(Protocol):
    """The quarantine beside a router's spool: the sidecar's."""

    def act(self, entry: str, verb: str, person: str) -> str:
        """Carry out `release` or `delete`; "done", or empty for not yet, or why not."""


class Hands:
    """Acts on the hold queues, and hands what is in the spool to the sidecar.

    `queues` are those that this host may have, by the name of the MTA (`forebay.records.Record.mta`). `as_user` is a
    context in which the store and the records are used: as the user whom they belong to. `offer` lays out the passes of
    a message that is about to be released: its exact fingerprint and its entry.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it brings together
        self,
        host: str,
        store: Store,
        records: Records,
        owner: int | None,
        ledger: Ledger,
        queues: Mapping[str, Queue],
        spool: Spool | None = None,
        as_user: Callable[[], AbstractContextManager[None]] = nullcontext,
        offer: Callable[[str, str], None] = lambda _exact, _entry: None,
        grace: float = GRACE,
    ) -> None:
        self._host = host
        self._store = store
        self._records = records
        self._owner = owner
        self._ledger = ledger
        self._queues = queues
        self._spool = spool
        self._as_user = as_user
        self._offer = offer
        self._grace = grace
        self._look_at = self._soon_at = 0.0
        self._missed: dict[str, float] = {}

    def turn(self) -> None:
        """Do what there is to do. Raises a ForebayError where the store, the queue or the ledger cannot be used."""
        with self._as_user(), self._store.read() as db:
            asked = requests.open_for(db, self._host)
            waiting = self._waiting(db, ANNOUNCED)
        for request in asked:
            self._carry_out(request)
        # What has just been announced is awaited; what does not come is not asked for again and again.
        is_awaited = any(time.time() - each.at < SOON for each in waiting)
        began = time.monotonic()
        if asked or began >= self._look_at or (is_awaited and began >= self._soon_at):
            self._look(waiting)
            ended = time.monotonic()
            self._look_at, self._soon_at = ended + LOOK, ended + _SHARE * (ended - began)

    def message(self, entry_id: str) -> bytes:
        """The bytes of a message that the MTA holds. Raises a ForebayError where this host does not hold it."""
        queues = Glance(self._queues)
        found = self._find(entry_id, queues)
        if isinstance(found, str):
            raise ForebayError(f"{entry_id}: {found}")
        return queues.queue(found.mta).message(found.queued)

    # What was announced, and what has gone.

    def _look(self, announced: list[Entry]) -> None:
        """Compare what should wait in the queues with what does."""
        queues = Glance(self._queues)
        missed = {}
        for entry in announced:
            try:
                found = self._find(entry.id, queues)
            except NoQueueError:
                continue  # it may be held; it stays announced
            if not isinstance(found, str):
                self._change(entry.id, HELD, f"queue id {found.queued.queue_id}", size=found.queued.size)
                continue
            # By a clock that nobody sets: a wall clock that jumps ahead would give up what is on its way into the queue.
            since = missed[entry.id] = self._missed.get(entry.id, time.monotonic())
            if time.monotonic() - since > self._grace:
                self._close(entry.id, VANISHED, found)
        self._missed = missed
        for entry_id, known in self._ledger.held().items():
            there = queues.listed(known.mta).get(known.queued.queue_id)
            if there and is_same(known.queued, there):
                if there.queue == HOLD:
                    continue
                self._close(entry_id, RELEASED, "by hand, not through forebay")
            elif known.intent in _OUTCOMES:
                self._close(entry_id, _OUTCOMES[known.intent], "done before the sidecar was interrupted")
            else:
                self._close(entry_id, VANISHED, "released or deleted by hand, not through forebay")

    def _find(self, entry_id: str, queues: Glance) -> Held | str:
        """The message of an entry in the hold queue, as this host knows it; else why there is none."""
        known = self._ledger.known(entry_id)
        if known:
            there = queues.listed(known.mta).get(known.queued.queue_id)
            if there is None or not is_same(known.queued, there):
                return "its message is not in the queue any more"
            return known._replace(queued=there) if there.queue == HOLD else "its message is not held any more"
        record = self._record(entry_id)
        if record is None:
            return "this host knows of no such message"
        there = queues.listed(record.mta).get(record.queue_id)
        if there is None or there.queue != HOLD:
            return "its message is not in the hold queue"
        if not _fits(record, there):
            return "another message has its queue id"
        self._ledger.note(entry_id, record.mta, there)
        return Held(record.mta, there, "")

    def _record(self, entry_id: str) -> Record | None:
        if not is_id(entry_id):
            return None
        for folder in (KEPT, NEW):
            try:
                with self._as_user():
                    record = self._records.read(entry_id, folder, self._owner)
            except FileNotFoundError:
                continue
            except (RecordError, OSError) as error:
                _log.error("the record %s is not trusted: %s", entry_id, printable(str(error)))
                return None
            return record if record.host == self._host and record.action == "quarantine" else None
        return None

    # What people ask for.

    def _carry_out(self, request: Request) -> None:
        try:
            outcome = self._outcome(request)
        except ForebayError as error:
            outcome = str(error)
        if not outcome:
            return
        _log.info(
            "%s %s by %s from %s: %s", request.verb, printable(request.entry, 40), printable(request.person),
            printable(request.origin), printable(outcome),
        )  # fmt: skip
        with self._as_user(), self._store.write() as db:
            requests.close(db, request, outcome, self._host)

    def _outcome(self, request: Request) -> str:
        """What became of a request: `done`, why it is refused, or nothing as long as it goes on."""
        if request.verb not in _OUTCOMES:
            return "nobody knows how"
        with self._as_user(), self._store.read() as db:
            row = db.execute(sa.select(ENTRY).where(ENTRY.c.id == request.entry)).first()
        if row is None:
            return "no such entry"
        entry = Entry(*row)
        if entry.state not in {ANNOUNCED, HELD}:
            return requests.DONE if entry.state == _OUTCOMES[request.verb] else f"it is {entry.state}"
        return self._in_hold(entry, request) if entry.kind == MTA_HOLD else self._in_spool(entry, request)

    def _in_hold(self, entry: Entry, request: Request) -> str:
        queues = Glance(self._queues)
        try:
            found = self._find(entry.id, queues)
        except NoQueueError as error:
            return str(error)
        if isinstance(found, str):
            return found
        return self._act(entry, request, queues.queue(found.mta), found.queued)

    def _act(self, entry: Entry, request: Request, queue: Queue, held: Queued) -> str:
        self._ledger.intend(entry.id, request.verb)
        if request.verb == requests.DELETE:
            queue.delete(held)
        else:
            self._let_pass(entry.id)
            queue.release(held)
        self._close(entry.id, _OUTCOMES[request.verb], f"queue id {held.queue_id}", request.person)
        return requests.DONE

    def _let_pass(self, entry_id: str) -> None:
        """What is released now is not held again by the next door, as far as it can be known again."""
        record = self._record(entry_id)
        if record is None or not record.exact:
            return
        with self._as_user():
            with self._store.write() as db:
                passes.give(db, entry_id, self._host, record.exact)
            try:
                self._offer(record.exact, entry_id)
            except OSError as error:
                _log.error("a pass for %s cannot be laid out: %s", entry_id, error.strerror)

    def _in_spool(self, entry: Entry, request: Request) -> str:
        if self._spool is None:
            return "no sidecar guards a spool on this host"
        outcome = self._spool.act(entry.id, request.verb, f"{request.person} from {request.origin}")
        if outcome == requests.DONE:
            self._change(entry.id, _OUTCOMES[request.verb], person=request.person)
        return outcome

    # Writing it down: the store first, then what only this host knows.

    def _close(self, entry_id: str, state: str, text: str, person: str = FOREBAY) -> None:
        self._change(entry_id, state, text, person)
        self._ledger.forget(entry_id)
        with self._as_user():
            self._records.drop(entry_id)

    def _change(
        self, entry_id: str, state: str, text: str = "", person: str = FOREBAY, size: int | None = None
    ) -> None:
        with self._as_user(), self._store.write() as db:
            row = db.execute(sa.select(ENTRY).where(ENTRY.c.id == entry_id, ENTRY.c.host == self._host)).first()
            if row:
                changes.set_state(db, Entry(*row), state, self._host, person, text, size)

    def _waiting(self, db: sa.Connection, state: str) -> list[Entry]:
        query = sa.select(ENTRY).where(ENTRY.c.host == self._host, ENTRY.c.state == state, ENTRY.c.kind == MTA_HOLD)
        return [Entry(*row) for row in db.execute(query.order_by(ENTRY.c.id).limit(1000))]


def _fits(record: Record, there: Queued) -> bool:
    """Whether a message may be the one that was quarantined: came in before its verdict, and not long before.

    An MTA may rewrite a sender after the milter has seen it: then the time has to fit more narrowly. A queue id that
    never comes again is enough, whatever the clocks were.
    """
    if is_unique(there.queue_id):
        return there.size > 0
    age = record.at - there.arrival
    most = _DAY if bare(record.sender) == bare(there.sender) else _SLACK
    return -2.0 <= age <= most and there.size > 0
