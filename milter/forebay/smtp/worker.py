"""A worker: one process that serves sessions with libmilter until it is told to drain.

Its main thread listens to the supervisor and beats for the watchdog; libmilter runs in threads beside it. When the
line to the supervisor ends, the supervisor is dead: the worker refuses new connections, finishes those it has, and
ends.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.logs import LOGGER
from forebay.message.finding import Action
from forebay.metrics import WorkerMetrics
from forebay.smtp import remembered
from forebay.smtp.complaints import Complaints
from forebay.smtp.libmilter import Serving
from forebay.smtp.session import Callbacks
from forebay.smtp.verdict_line import log_verdict
from forebay.smtp.watchdog import Watchdog

if TYPE_CHECKING:
    import socket

    from forebay.config import Milter
    from forebay.judge.runner import Judge
    from forebay.judge.verdict import Verdict
    from forebay.records import Record
    from forebay.smtp.channel import Channel
    from forebay.smtp.desk import Desk
    from forebay.smtp.page import Page
    from forebay.smtp.session import Session

SILENT_TIME: Final = 2.0
"""Seconds of running time that a draining worker waits for a connection on which nothing has been said yet."""
LOOK: Final = 0.02
"""Seconds between two looks at what is left, while draining."""

_MEMORY_INTERVAL: Final = 2.0
_FAILURE_LOG_INTERVAL: Final = 1.0
_PAGE_SIZE: Final = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker works: its slot, and what it shares with the other processes."""

    slot: int
    page: Page
    listening: socket.socket
    channel: Channel
    trace: int


class Worker:
    """The host of the sessions of this process."""

    def __init__(self, settings: Milter, judge: Judge, desk: Desk, place: Place) -> None:
        self.judge = judge
        self.may_quarantine = judge.may_quarantine or desk.may_quarantine
        self.may_tag = judge.may_tag or desk.may_tag
        self._desk = desk
        self.hostname = settings.hostname
        self.tag_field = settings.tag_field
        self.reply_url = settings.reply_url
        self._settings = settings
        self._page = place.page
        self._channel = place.channel
        self._log = logging.getLogger(LOGGER)
        self._lock = threading.Lock()
        self._complaints = Complaints(self._log)
        self._sessions = 0
        self._last_failure_logged = 0.0
        self._metrics = WorkerMetrics(str(Path(settings.runtime, "metrics")), place.slot, judge.ids, judge.third_party)
        self._slot = place.page.slot(place.slot)
        self._watchdog = Watchdog(self._slot, settings.hang_time, place.trace)
        self._watchdog.remembered.update(remembered.load(Path(settings.state)))
        judge.watch = self._watchdog
        judge.failed = self._validator_failed
        desk.matcher.protect.watch = self._watchdog
        self._memory = os.open("/proc/self/statm", os.O_RDONLY)  # once: later there may be no descriptor left
        self._ours = {place.channel.fileno()}
        self._serving = Serving(place.listening, Callbacks(self).register, settings.runtime)
        self._benched: tuple[str, ...] = ()
        self._is_over = False
        self._silent_looks = 0

    def run(self) -> None:
        """Serve until told to drain, or until nobody is there to tell."""
        _allow_descriptors()
        os.register_at_fork(after_in_child=_end_at_once)
        threading.Thread(target=self._serve, name="libmilter", daemon=True).start()
        self._watchdog.beat()
        self._channel.send("ready", pid=os.getpid())
        self._mind_orders()
        deadline = time.monotonic() + self._settings.drain_time
        while time.monotonic() < deadline and not self._is_drained():
            self._watchdog.beat()
            time.sleep(LOOK)
        self._report()
        os._exit(os.EX_OK)  # not exit: libmilter's threads would be waited for

    def opened(self) -> bool:
        """Count a session; False above the limit, which holds for all workers together."""
        with self._lock:
            self._sessions += 1
            self._slot.write_sessions(self._sessions)
            self._metrics.opened(self._sessions)
        if self._page.sessions() <= self._settings.max_connections:
            return True
        self._metrics.connections_refused.inc()
        return False

    def closed(self) -> None:
        """Count the end of a session."""
        with self._lock:
            self._sessions -= 1
            self._slot.write_sessions(self._sessions)
            self._metrics.closed(self._sessions)

    def verdict(self, session: Session) -> Verdict:
        """Judge what the session has collected."""
        self._watchdog.begin(session.fields)
        try:
            envelope = session.envelope
            verdict = self.judge.judge(session.fields, envelope, session.body)
            return self._desk.compare(session, envelope, verdict)
        finally:
            self._watchdog.end()

    def recipient_verdict(self, session: Session, recipient: bytes) -> Verdict:
        """Judge one recipient, and write a refusal down: the message may never come to a verdict."""
        self._watchdog.begin(())
        try:
            verdict = self.judge.judge_recipient(session.envelope, recipient)
        finally:
            self._watchdog.end()
        if verdict.action is Action.REJECT:
            self._metrics.recipients_rejected.inc()
            log_verdict(verdict, session.envelope, session.queue_id, recipient)
        return verdict

    def judged(self, session: Session, verdict: Verdict, seconds: float) -> None:
        """Count a verdict, and write down one that is not plain acceptance."""
        metrics = self._metrics
        metrics.judged(verdict.action, seconds, session.size)
        if not verdict.findings and not verdict.errors and not session.matched:
            return
        if verdict.would is not verdict.action:
            metrics.observed[verdict.would].inc()
        for validator in {each.id for each in verdict.findings}:
            metrics.found(validator)
        if session.matched:
            self._hit(session, verdict)
        if verdict.action is not Action.ACCEPT or verdict.would is not Action.ACCEPT or verdict.errors:
            log_verdict(verdict, session.envelope, session.queue_id)

    def announce(self, session: Session, verdict: Verdict) -> Record:
        """What is to be written down of a message that is quarantined."""
        return self._desk.record(session, verdict)

    def hold(self, record: Record, queue_id: str, version: str) -> bool:
        """Write it down; False where the quarantine takes no more. Raises OSError where it cannot be written."""
        return self._desk.hold(record, queue_id, version)

    def _hit(self, session: Session, verdict: Verdict) -> None:
        self._metrics.hits.inc()
        if verdict.action is Action.QUARANTINE:
            return  # the record of the message says it too
        try:
            self._desk.note(self._desk.record(session, verdict))
        except OSError:
            self.failed("a hit of a fingerprint was not written down")

    def failed(self, where: str) -> None:
        """Count a failure of our own; write down at most one a second."""
        self._metrics.failures.inc()
        now = time.monotonic()
        if now - self._last_failure_logged >= _FAILURE_LOG_INTERVAL:
            self._last_failure_logged = now
            self._log.exception("%s: answered with a temporary error", where)

    def _validator_failed(self, validator: str, error: BaseException) -> None:
        self._metrics.failed(validator)
        self._complaints.note(validator, error)

    def _serve(self) -> None:
        try:
            self._serving.run()
        except BaseException:  # noqa: BLE001 - a thread has nobody to tell
            self._log.exception("libmilter gave up")
        self._is_over = True

    def _mind_orders(self) -> None:
        """Beat, and look after the memory, until there is an order to drain."""
        next_look = 0.0
        while not self._is_over:
            if select.select([self._channel], [], [], self._watchdog.interval)[0]:
                order = self._channel.receive()
                if order is None:
                    self._serving.refuse_all()
                    return
                if order.verb == "drain":
                    self._serving.accept_no_more()
                    return
                if order.verb == "snapshot":
                    self._desk.renew()
                if order.verb == "remember":
                    self._watchdog.remembered.add((order.given["digest"], order.given["validator"]))
            self._watchdog.beat()
            self._report()
            if (limit := self._settings.worker_memory) and time.monotonic() >= next_look:
                next_look = time.monotonic() + _MEMORY_INTERVAL
                if (size := self._resident()) > limit:
                    self._channel.send("spent", bytes=size)
                    next_look = float("inf")
        os._exit(os.EX_SOFTWARE)

    def _report(self) -> None:
        """Tell the supervisor which validators failed since the last report, and who is benched now."""
        errors, benched = self._complaints.take(), self.judge.benched
        if errors or benched != self._benched:
            for validator in {*benched, *self._benched}:
                self._metrics.bench(validator, is_benched=validator in benched)
            self._benched = benched
            self._channel.send("report", errors=errors, benched=benched)

    def _is_drained(self) -> bool:
        """Whether no connection is left; one that says nothing is given little time to begin."""
        if self._sessions:
            self._silent_looks = 0
            return False
        with suppress(OSError):  # no descriptor left to look with: there are connections indeed
            if not self._serving.connections(self._ours):
                return True
        self._silent_looks += 1  # looks and not the clock: in a pause of the machine nobody can begin to speak
        return self._silent_looks * LOOK > SILENT_TIME

    def _resident(self) -> int:
        """Bytes of memory that are this process's in RAM, shared ones included."""
        return int(os.pread(self._memory, 256, 0).split()[1]) * _PAGE_SIZE


def _end_at_once() -> None:
    """A plugin has forked: the child must not answer sessions that are its parent's."""
    os._exit(os.EX_SOFTWARE)


def _allow_descriptors() -> None:
    """As many descriptors as the system lets us have: libmilter spins when it cannot accept a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
