"""A worker's end: its counters and its status are read, the verdict made, and the message dealt with."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

from forebay.api.router import Confidence
from forebay.logs import LOGGER, printable
from forebay.sidecar import exits
from forebay.sidecar.verdict import STRIKES, End, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.process import Process
    from forebay.api.router import Adapter, Holding
    from forebay.sidecar.cases import Cases
    from forebay.sidecar.claims import Claims
    from forebay.sidecar.limits.leaf import Counters
    from forebay.sidecar.metering import Meter
    from forebay.sidecar.worker import Worker

_log = logging.getLogger(LOGGER)
_MOST_WORDS = 20


class Ending:
    """Deals with the end of workers. `finished` is called when all is done about one."""

    def __init__(
        self,
        adapter: Adapter,
        claims: Claims,
        cases: Cases,
        meter: Meter,
        limits: str,
        finished: Callable[[Worker | None, Verdict], None],
    ) -> None:
        self.stopping = False
        self.told: Callable[[int], int | None] = _nothing
        """How a process has ended, where the process connector tells it."""
        self.spare: Callable[[Worker], None] = _kill
        """Called for one whose processes go on: it was no worker it seems, or it has answered."""
        self._adapter = adapter
        self._claims = claims
        self._cases = cases
        self._meter = meter
        self._limits = limits
        self._finished = finished

    def ended(self, worker: Worker) -> None:
        """A worker has ended, and is in no roster any more."""
        began = time.monotonic()
        counters = worker.leaf.counters
        status, source = self._status(worker)
        culprits = self._claims.left_by(worker)
        added = counters.since(worker.counters)
        order = worker.order or ("stop" if self.stopping else "")
        has_answered = self._has_answered(worker.process, status)
        verdict = judge(End(status, order, bool(culprits) and not has_answered, worker.near_limit, added))
        self._meter.detection.observe(time.monotonic() - began)
        self._count(worker, verdict, counters.since(worker.looked_at))
        evidence: dict[str, object] = worker.evidence | {
            "pid": worker.process.pid,
            "slot": worker.leaf.slot,
            "command": [printable(each) for each in worker.process.command[:_MOST_WORDS]],
            "at": round(time.time(), 3),
            "seconds_held": round(began - worker.since, 3),
            "status": status,
            "status_from": source,
            "order": order,
            "memory_peak": max(worker.leaf.peak, worker.peak),
            "counters": {name: getattr(added, name) for name in ("high", "max", "oom", "kill", "above")},
            "limits": self._limits,
        }
        self._act(verdict, culprits, worker.holdings, evidence)
        if verdict in STRIKES:
            self._meter.reaction.observe(time.monotonic() - began)
        is_over = (culprits or worker.has_held) and not has_answered
        if order or is_over or verdict in STRIKES:
            worker.leaf.kill()  # an orphan holds locks
        else:
            self.spare(worker)
        self._clean(worker.process, culprits)
        worker.close()
        self._finished(worker, verdict)

    def _has_answered(self, process: Process, status: int | None) -> bool:
        if status is None or not os.WIFEXITED(status):
            return False
        return self._adapter.answers(process, os.waitstatus_to_exitcode(status))

    def stray(self, process: Process, status: int, counters: Counters) -> bool:
        """A process of the router has ended before it became a worker: only what it surely held may be to blame.

        Of the process only its pid and its parent's are known; returns whether it had a message.
        `counters`: what those of the router's group have added. A kill there may be for what another one used.
        """
        culprits, had = self._claims.left_behind(process)
        is_holding = bool(culprits) and not self._has_answered(process, status)
        verdict = judge(End(status, "stop" if self.stopping else "", is_holding))
        if verdict is Verdict.NOT_OURS and counters.kill:
            verdict = Verdict.LOST if culprits else Verdict.COLLATERAL
        if not is_holding and verdict is Verdict.IDLE:
            return bool(had)  # whatever it was, it has done it
        self._meter.ends[verdict].inc()
        evidence: dict[str, object] = {
            "pid": process.pid, "at": round(time.time(), 3), "status": status, "status_from": "connector", "order": "",
            "limits": self._limits,
        }  # fmt: skip
        self._act(verdict, culprits, had, evidence)
        self._clean(process, culprits)
        self._finished(None, verdict)
        return bool(had)

    def _status(self, worker: Worker) -> tuple[int | None, str]:
        told = self.told(worker.process.pid)
        status = exits.of_child(worker.process.pid)
        if status is not None:
            return status, "waitid"
        return exits.of_other(worker.process.pid, worker.process.started, worker.pidfd, told)

    def _act(
        self, verdict: Verdict, culprits: list[Holding], before: list[Holding], evidence: dict[str, object]
    ) -> None:
        """`before` is all that it had, the culprits too. Nobody knows in which order it had opened what it had closed."""
        known = [each for each in culprits if each.confidence > Confidence.UNKNOWN]
        what = ", ".join(printable(each.message.path) for each in culprits) or "nothing"
        level = logging.WARNING if verdict in STRIKES else logging.INFO if known else logging.DEBUG
        _log.log(level, "worker %s ended: %s, holding %s", evidence["pid"], verdict.value, what)
        if verdict not in STRIKES and verdict is not Verdict.LOST:
            return
        held = {each.message.identity for each in culprits}
        if known and any(self._cases.knows(each.message) for each in before if each.message.identity not in held):
            _log.info("worker %s had a message as well that is set aside by now: no other is to blame", evidence["pid"])
        elif len(known) == 1:
            if verdict is Verdict.LOST:
                self._cases.lose(known[0], evidence)
            else:
                self._cases.strike(known[0], verdict, evidence)
        elif known:
            self._meter.unattributed.inc()
            self._cases.suspect(known)
        elif not any(self._cases.knows(each.message) for each in before):
            self._meter.unattributed.inc()
            _log.warning("worker %s: nobody knows which message it held; nothing is moved", evidence["pid"])

    def _count(self, worker: Worker, verdict: Verdict, added: Counters) -> None:
        self._meter.ends[verdict].inc()
        self._meter.memory_peak.set(max(worker.leaf.peak, worker.peak))
        self._meter.events(worker.leaf.slot, added)
        if added.kill > 0:
            self._meter.oom_kills["other" if verdict is Verdict.COLLATERAL else "own"].inc(added.kill)

    def _clean(self, process: Process, culprits: list[Holding]) -> None:
        """Remove what nobody will finish."""
        for path in self._adapter.leftovers(process, [each.message for each in culprits]):
            with contextlib.suppress(OSError):
                os.unlink(path)
                _log.info("removed what worker %d left half-written: %s", process.pid, printable(path))


def _nothing(_: int) -> None:
    """Nobody tells."""


def _kill(worker: Worker) -> None:
    worker.leaf.kill()
