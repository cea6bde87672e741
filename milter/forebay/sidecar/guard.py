"""The guard: brakes and ends workers that are near their limits, stuck there, or take too long.

Brake, look, then kill: a worker near its brake with anonymous memory is stopped (or throttled by the kernel), what it
holds is read, and it is ended. Page cache alone is never a reason. The kernel's own kill is the back-stop.
"""

from __future__ import annotations

import asyncio
import resource
import time
from typing import TYPE_CHECKING, Final

from forebay.api.process import State, state, waits_for_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Message
    from forebay.sidecar.claims import Claims
    from forebay.sidecar.keeping import Keeping
    from forebay.sidecar.limits.leaf import Enforcement
    from forebay.sidecar.metering import Meter
    from forebay.sidecar.roster import Roster
    from forebay.sidecar.worker import Worker

_NEAR: Final = 0.9
"""A worker is suspect when its anonymous memory is at least this share of its brake."""
_GRACE: Final = 1.0
"""Seconds that a throttled worker gets to come down by itself."""
_CLOSE_LOOK: Final = 0.1
_STALL_SECONDS: Final = 5.0
_IDLE_CPU: Final = 0.05
_MAX_RATE: Final = 50.0
"""So many `max` events a second at the limit are reclaim without progress."""
_STOP_TRIES: Final = 5


class Guard:
    """Looks after the workers of a roster. `released` is called with messages that a worker has let go of."""

    def __init__(
        self,
        enforcement: Enforcement,
        claims: Claims,
        keeping: Keeping,
        meter: Meter,
        released: Callable[[list[Message]], None],
    ) -> None:
        self.roster: Roster
        self._enforcement = enforcement
        self._claims = claims
        self._keeping = keeping
        self._meter = meter
        self._released = released

    def alarmed(self, slot: int) -> None:
        """The memory of a leaf wants a look."""
        for worker in list(self.roster.workers.values()):
            if worker.leaf.slot == slot:
                self.look(worker)
                asyncio.get_running_loop().call_later(_CLOSE_LOOK, worker.read_counters)  # an alarm precedes the kill

    def look(self, worker: Worker) -> None:
        """Look at a worker's memory; brake it, and end it, if it is suspect."""
        brake = worker.bounds.brake
        if not brake or worker.order or self.roster.workers.get(worker.process.pid) is not worker:
            return
        usage = worker.leaf.usage
        self._meter.uses(worker.leaf.slot, usage)
        if usage < _NEAR * brake:
            worker.near_since = 0.0
            return
        loop = asyncio.get_running_loop()
        if worker.leaf.anonymous < _NEAR * brake:
            worker.near_since = 0.0
            loop.call_later(_CLOSE_LOOK, self.look, worker)
            return
        worker.near_limit = True
        if not self._enforcement.throttles:
            worker.leaf.stop()
            _await_rest(worker.process.pid)
            self._note(worker, at_rest=True)
            self.end(worker, "memory")
            return
        now = time.monotonic()
        self._note(worker, at_rest=True)
        worker.near_limit = True
        worker.near_since = worker.near_since or now
        if now - worker.near_since < _GRACE:
            loop.call_later(_CLOSE_LOOK, self.look, worker)
        else:
            self._meter.stalls["throttled"].inc()
            self.end(worker, "memory")

    def end(self, worker: Worker, order: str) -> None:
        """End a worker, for a reason that the verdict will be made of."""
        worker.order = order
        worker.leaf.kill()

    def hold(self, worker: Worker) -> None:
        """Ask what a worker holds now, and take it down."""
        gone = worker.hold(self._claims.of(worker))
        if gone:
            self._released(gone)

    def sweep(self) -> None:
        """Look at every worker: for whatever no event tells."""
        now = time.monotonic()
        self._claims.begin_sweep()
        self._keeping.begin_sweep()
        for worker in list(self.roster.workers.values()):
            if worker.order:
                worker.leaf.kill()  # whatever was forked while the others were killed
                continue
            self.hold(worker)
            self.look(worker)
            if worker.holdings and not worker.order:
                self._check(worker, now)
            elif worker.only_answers and not worker.order:
                self._check_rest(worker)
        self._claims.end_sweep()

    def _check(self, worker: Worker, now: float) -> None:
        age = now - worker.since
        if worker.cpu is not None and age < _STALL_SECONDS and age < min(filter(None, worker.times), default=age + 1):
            return
        found = state(worker.process.pid)
        if not found:
            return
        cpu = _cpu(worker, found)
        if worker.cpu is None:
            worker.cpu = cpu
        self._check_times(worker, age, cpu - worker.cpu)
        if not worker.order:
            self._check_stalls(worker, now, found)

    def _check_rest(self, worker: Worker) -> None:
        """Who only answers, and gets no rest, is stuck in a question, and so is everybody who asks it."""
        found = state(worker.process.pid)
        if not found:
            return
        cpu = _cpu(worker, found)
        if worker.cpu is None or found.letter == "S":
            worker.cpu = cpu
        elif worker.times.message_cpu and cpu - worker.cpu > worker.times.message_cpu:
            worker.evidence |= {"cpu_seconds": round(cpu - worker.cpu, 2)}
            self.end(worker, "cpu")

    def _check_times(self, worker: Worker, age: float, cpu: float) -> None:
        if worker.times.message_cpu and cpu > worker.times.message_cpu:
            order = "cpu"
        elif worker.times.message_time and age > worker.times.message_time:
            message = worker.message
            if message and waits_for_lock(worker.process.pid, inode(message)):
                return  # another one has the message
            order = "time"
            self._meter.timeouts.inc()
        else:
            return
        self._note(worker, at_rest=False)
        worker.evidence |= {"seconds": round(age, 1), "cpu_seconds": round(cpu, 2)}
        self.end(worker, order)

    def _check_stalls(self, worker: Worker, now: float, found: State) -> None:
        counters = worker.leaf.counters
        added, worker.looked_at = counters.since(worker.looked_at), counters
        self._meter.events(worker.leaf.slot, added)
        kind = self._stall(worker, found, added.max)
        if not kind:
            worker.stalled_since = 0.0
            return
        if not worker.stalled_since or (kind == "asleep" and found.cpu - worker.stalled_cpu > _IDLE_CPU):
            worker.stalled_since, worker.stalled_cpu = now, found.cpu
        elif now - worker.stalled_since >= _STALL_SECONDS:
            self._meter.stalls[kind].inc()
            self._note(worker, at_rest=False)
            self.end(worker, "stuck")

    def _stall(self, worker: Worker, found: State, reclaims: int) -> str:
        """How a worker seems to be stuck at its limit: reclaim without progress, or asleep where malloc fails."""
        limit = worker.bounds.memory
        if limit and worker.leaf.usage >= 0.98 * limit and worker.leaf.anonymous >= _NEAR * worker.bounds.brake:
            return "reclaim" if reclaims >= _MAX_RATE else ""
        if found.letter == "S" and (most := address_space(worker.process.pid)) and found.vsize >= _NEAR * most:
            return "asleep"
        return ""

    def _note(self, worker: Worker, *, at_rest: bool) -> None:
        gone = worker.hold(self._claims.of(worker, at_rest=at_rest))
        if gone:
            self._released(gone)
        worker.note_memory()


def address_space(pid: int) -> int:
    """The RLIMIT_AS of a process in bytes, 0 for none."""
    try:
        most = resource.prlimit(pid, resource.RLIMIT_AS)[0]
    except (OSError, ValueError):
        return 0
    return 0 if most == resource.RLIM_INFINITY else most


def inode(message: Message) -> int:
    """The inode that a message's identity holds."""
    return int.from_bytes(message.identity[8:16], "big")


def _cpu(worker: Worker, found: State) -> float:
    """The CPU seconds of a worker and its helpers; of one that starts workers, its own: they have theirs."""
    if worker.starts_workers:
        return found.cpu
    helpers = (state(pid) for pid in worker.leaf.pids() if pid != worker.process.pid)
    return found.cpu + found.waited + sum(each.cpu + each.waited for each in helpers if each)


def _await_rest(pid: int) -> None:
    """Wait for a stop to have its effect: milliseconds at the most."""
    for _ in range(_STOP_TRIES):
        found = state(pid)
        if not found or found.letter in "TtZXD":
            return
        time.sleep(0.001)
