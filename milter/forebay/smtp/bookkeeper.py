"""The keeper's books: record files go into the store, fingerprints come out of it to the workers.

One thread, which waits for the database and nobody else does. While the database is away, records pile up as files and
what is known of killers stays in use; both catch up by themselves.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import records
from forebay.errors import ForebayError
from forebay.judge import fingerprints as known
from forebay.judge import passes as doors
from forebay.judge import reach
from forebay.judge.fingerprints import Snapshot
from forebay.logs import LOGGER
from forebay.metrics_store import CLOSED, OTHER
from forebay.records import Records
from forebay.store import changes, entries, fingerprints, passes
from forebay.store.engine import Store, host_of, url_of
from forebay.store.follow import follower
from forebay.store.intake import Intake
from forebay.store.schema import KINDS, STATES, WAITING

if TYPE_CHECKING:
    from forebay.config import Config
    from forebay.metrics import KeeperMetrics
    from forebay.smtp.channel import Channel

TURN: Final = 0.04
"""Seconds between two looks at the directory and at the store's counter of changes."""
REST: Final = 0.25
"""Seconds after a transaction of record files in which what comes in waits for the next: each costs the same for one
record or two hundred."""
_SURVEY: Final = 5.0
_REREAD: Final = 30.0
_RETENTION: Final = 3600.0
_LONGEST_DELAY: Final = 5.0
_LOG_INTERVAL: Final = 60.0


class Bookkeeper:
    """Runs for the life of the keeper."""

    def __init__(self, config: Config, channel: Channel, metrics: KeeperMetrics) -> None:
        self._config = config
        self._channel = channel
        self._state = Path(config.milter.state)
        self._host = host_of(config)
        self._store = Store.of(config)
        self._records = Records(self._state / records.DIRECTORY)
        self._intake = Intake(self._store, self._records, os.geteuid(), config.fingerprints.suspend_after)
        self._metrics = metrics
        self._woken = threading.Event()
        self._follower = follower(url_of(config), self._woken.set)
        self._snapshot = known.read(self._state)
        self._is_full = self._snapshot.is_full
        self._log = logging.getLogger(LOGGER)
        self._logged = 0.0
        self._is_recovered = False
        self._seen = -1
        self._take_at = self._survey_at = self._reread_at = self._retention_at = 0.0
        self._delay = TURN

    def run(self) -> None:
        """Go on for ever."""
        while True:
            try:
                more = self._turn(time.monotonic())
                self._metrics.is_store_up.set(1)
                self._delay = TURN
            except (ForebayError, OSError) as error:
                more = False
                self._complain(error)
                self._delay = min(_LONGEST_DELAY, self._delay * 2)
            if not more:
                self._woken.wait(self._delay)
                self._woken.clear()

    def _turn(self, now: float) -> bool:
        """Do what there is to do; whether there is more of it."""
        if not self._is_recovered:
            if missing := self._intake.recover():
                self._log.warning(
                    "the store did not know %d records of messages that wait; they are taken in again", missing
                )
            self._is_recovered = True
        more = self._take(now)
        if now >= self._retention_at:
            self._retain()
            self._retention_at = now + _RETENTION
        if now >= self._survey_at:
            self._survey()
            self._survey_at = now + _SURVEY
        if self._follower.changed() or now >= self._reread_at:
            self._reread_at = 0.0  # again, should it fail
            self._publish()
            self._let_pass()
            self._reread_at = now + _REREAD
        return more

    def _take(self, now: float) -> bool:
        if now < self._take_at:
            return False
        changed = self._records.changed()
        if changed == self._seen:
            return False
        taken = self._intake.take()
        for each, number in (("entries", taken.entries), ("hits", taken.hits), ("damaged", taken.damaged)):
            self._metrics.intake[each].inc(number)
        if not taken.more:
            self._seen = changed  # what came in meanwhile has changed it again
            if taken.entries or taken.hits:
                self._take_at = now + REST
        return taken.more

    def _publish(self) -> None:
        """Hand the workers a new snapshot, if anything in it is new."""
        now = time.time()
        with self._store.read() as db:
            live = fingerprints.live(db, now)
            dropped = fingerprints.dropped(db, now)
        kinds = {
            kind: {bytes.fromhex(each.digest): each.expires for each in live if each.kind == kind}
            for kind in (fingerprints.EXACT, fingerprints.SHAPE)
        }
        before = self._snapshot
        gone = frozenset(map(bytes.fromhex, dropped))
        snapshot = Snapshot(kinds["exact"], kinds["shape"], self._is_full, now, gone)
        self._metrics.snapshot.set(now)
        if replace(snapshot, at=before.at) == before:
            return
        for digest in snapshot.exact.keys() - before.exact.keys():
            reach.forget(self._state, digest)  # one that was suspended, and that a person has added again
        known.write(self._state, snapshot)
        self._snapshot = snapshot
        self._channel.send("snapshot")
        for kind, digests in kinds.items():
            self._metrics.fingerprints[kind].set(len(digests))
        old = {*before.exact, *before.shape}
        for each in live:
            if bytes.fromhex(each.digest) not in old and each.made > before.at > 0:
                self._metrics.propagation.observe(max(0.0, time.time() - each.made))

    def _let_pass(self) -> None:
        """Lay out the passes of what people have released, here and elsewhere."""
        with self._store.read() as db:
            released = passes.given(db, self._host, time.time())
        doors.renew(self._state, released)

    def _survey(self) -> None:
        """Count what waits on this host, and what piles up."""
        self._note_room()
        self._metrics.backlog.set(len(self._records.new()))
        with self._store.read() as db:
            additions, suspended = fingerprints.lately(db, time.time())
            rows = entries.tally(db, entries.Filter(host=self._host, states=STATES))
        waiting = [row for row in rows if row[1] in WAITING]
        total = 0
        for kind in KINDS:
            mine = [row for row in waiting if row[0] == kind]
            size = sum(row[4] for row in mine)
            total += size
            self._metrics.waiting(kind, sum(row[3] for row in mine), size, min((row[5] for row in mine), default=0.0))
        reasons: dict[str, int] = {}
        for row in waiting:
            name = row[2] or OTHER
            reasons[name] = reasons.get(name, 0) + row[3]
        self._metrics.reasons(reasons)
        for state in CLOSED:
            self._metrics.actions[state].set(sum(row[3] for row in rows if row[1] == state))
        self._metrics.suspended.set(suspended)
        self._metrics.additions.set(additions)
        self._metrics.additions_limit.set(self._config.fingerprints.additions_per_hour)
        for kind, digests in (("exact", self._snapshot.exact), ("shape", self._snapshot.shape)):
            self._metrics.fingerprints[kind].set(len(digests))
        self._note_quota(total)

    def _note_quota(self, total: int) -> None:
        quota = self._config.quarantine.quota
        is_full = bool(quota) and total > quota
        if is_full and not self._is_full:
            self._log.error(
                "the quarantine is full: %d bytes wait, more than quarantine.quota (%d); "
                "what would be quarantined is deferred until somebody releases or deletes", total, quota,
            )  # fmt: skip
        if is_full != self._is_full:
            self._is_full = is_full
            self._reread_at = 0.0
        self._metrics.full.set(int(is_full))

    def _note_room(self) -> None:
        found = os.statvfs(self._state)
        self._metrics.state_size.set(found.f_blocks * found.f_frsize)
        self._metrics.state_available.set(found.f_bavail * found.f_frsize)

    def _retain(self) -> None:
        """Remove what nobody needs: rows and records whose message is gone, expired fingerprints, unfinished files."""
        self._records.tidy()
        for digest in reach.counted(self._state):
            if digest not in self._snapshot.exact:
                reach.forget(self._state, digest)
        before = time.time() - self._config.quarantine.retention
        with self._store.write() as db:
            changes.forget(db, before)
            fingerprints.forget(db, before)
            passes.forget(db, time.time())

    def _complain(self, error: Exception) -> None:
        self._metrics.is_store_up.set(0)
        self._metrics.errors.inc()
        if time.monotonic() - self._logged >= _LOG_INTERVAL:
            self._logged = time.monotonic()
            self._log.error("mail goes on, but the store does not: %s", error)
