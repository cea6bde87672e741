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
        finished: Callable[[Worker, Verdict, int | None], None],
    ) -> None:
        self.stopping = False
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
        verdict = judge(End(status, order, bool(culprits), worker.near_limit, added))
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
        self._clean(worker, culprits)
        self._finished(worker, verdict, status)

    def _status(self, worker: Worker) -> tuple[int | None, str]:
        status = exits.of_child(worker.process.pid)
        if status is not None:
            return status, "waitid"
        return exits.of_other(worker.process.pid, worker.process.started, worker.pidfd)

    def _act(
        self, verdict: Verdict, culprits: list[Holding], before: list[Holding], evidence: dict[str, object]
    ) -> None:
        known = [each for each in culprits if each.confidence > Confidence.UNKNOWN]
        what = ", ".join(printable(each.message.path) for each in culprits) or "nothing"
        level = logging.WARNING if verdict in STRIKES else logging.INFO if known else logging.DEBUG
        _log.log(level, "worker %s ended: %s, holding %s", evidence["pid"], verdict.value, what)
        if verdict not in STRIKES and verdict is not Verdict.LOST:
            return
        if len(known) == 1:
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

    def _clean(self, worker: Worker, culprits: list[Holding]) -> None:
        """End what it left running (an orphan holds locks), and remove what nobody will finish."""
        worker.leaf.kill()
        for path in self._adapter.leftovers(worker.process, [each.message for each in culprits]):
            with contextlib.suppress(OSError):
                os.unlink(path)
                _log.info("removed what worker %d left half-written: %s", worker.process.pid, printable(path))
        worker.close()
