"""Which of the router's processes are workers, and a leaf for each.

A process that is executed for one message starts in its leaf. One that is forked is moved when it is first seen,
normally before it has read anything. The first process of a router stays outside, and so does one that turns out to
fork the workers: it never holds a message, and they are born in its leaf.
"""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Final

from forebay.api.process import Process, process
from forebay.logs import LOGGER
from forebay.sidecar.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter, Holding
    from forebay.sidecar.bounding import Bounding
    from forebay.sidecar.limits.leaf import Enforcement

_log = logging.getLogger(LOGGER)
_ORPHAN_SECONDS: Final = 0.2
"""A daemon that has just detached itself looks like a worker: it gets so long to fork one."""
_YOUNG: Final = 0.03
"""One that is no worker as yet, says the adapter, is looked at again and again for so long."""
_PATIENCE: Final = 5.0
"""And now and then for so long: where all processors are busy, a child takes its time to become another program."""
_SETTLED: Final = 0.0
_FEW: Final = 8
"""A first process is taken for a worker when it is alone; more that never had a message are idle workers."""
_AT_ONCE: Final = 8
"""To move a process takes the kernel up to 40 ms, and others have to be looked after meanwhile."""


class Roster:
    """All live workers by pid. `began` and `ended` are called with each."""

    def __init__(
        self, enforcement: Enforcement, adapter: Adapter, bounding: Bounding, pattern: str,
        began: Callable[[Worker], None], closed: Callable[[Worker], None],
    ) -> None:  # fmt: skip
        self.workers: dict[int, Worker] = {}
        self.main = 0
        self._enforcement = enforcement
        self._adapter = adapter
        self._bounding = bounding
        self._pattern = re.compile(os.fsencode(pattern)) if pattern else None
        self._began = began
        self._closed = closed
        self._outside: dict[int, float] = {}
        self._inside: dict[int, float] = {}
        self._unlikely: set[int] = set()
        self._parents: set[int] = set()
        self._lingering: set[int] = set()
        self._room = 0

    def adopt(self) -> None:
        """Take over the live workers of an earlier life of the sidecar."""
        for slot in self._enforcement.slots():
            pids = self._enforcement.members(slot)
            if not pids:
                self._enforcement.drop(slot)
                continue
            found = [each for each in map(process, pids) if each]
            heads = [each for each in found if each.parent not in pids]
            if heads:
                self._take(heads[0], slot)
        self._parents |= {each.process.parent for each in self.workers.values()}  # which else look like orphans

    def scan(self) -> bool:
        """Look for processes that are workers, and have no leaf; whether there may be more before long."""
        now = time.monotonic()
        is_more = self._scan_leaves(now)
        pids = self._enforcement.router_pids()
        if not pids and not self._outside:
            return is_more
        self._make_room(len(pids))
        present = set(pids)
        for pid in [each for each in self._outside if each not in present]:
            del self._outside[pid]
        self._unlikely &= present
        taken = 0
        for pid in pids:
            if taken == _AT_ONCE:
                return True
            taken += self._look(pid, present, now)
        self._parents &= present
        return is_more or any(self._is_unsure(pid, now) for pid in self._outside)

    def _is_unsure(self, pid: int, now: float) -> bool:
        """Whether what a process outside the leaves is may be known in a moment."""
        first = self._outside[pid]
        if first == _SETTLED or pid in self._parents:
            return False
        return now - first < (_YOUNG if pid in self._unlikely else 2 * _ORPHAN_SECONDS)

    def _look(self, pid: int, present: set[int], now: float) -> bool:
        """Look at a process outside the leaves; whether it was taken in as a worker."""
        first = self._outside.setdefault(pid, now)
        if pid == self.main:
            self._outside[pid] = _SETTLED
        if pid in self._parents or self._outside[pid] == _SETTLED:
            return False
        found = process(pid)
        if not found or not found.command[0]:  # a zombie, or one that is just becoming another program
            return False
        age, is_worker = now - first, self._told(found)
        if is_worker is False and self._is_helper(found):
            return False
        patience = _ORPHAN_SECONDS if is_worker is None else _PATIENCE
        if is_worker is None:
            is_child = found.parent in present
            if is_child:
                self._parents.add(found.parent)
            is_worker = is_child or age > _ORPHAN_SECONDS
        if is_worker and self._matches(found):
            return self._take(found) is not None  # else again: what was refused now may be had later
        if age > patience:
            self._outside[pid] = _SETTLED
        return False

    def _told(self, found: Process) -> bool | None:
        """Whether a process is a worker, by the adapter."""
        told = self._adapter.is_worker(found, process(found.parent))
        if told is False:
            self._unlikely.add(found.pid)
        return told

    def _scan_leaves(self, now: float) -> bool:
        """Give leaves of their own to the workers that workers have started; whether there may be more before long."""
        starting = [each for each in self.workers.values() if each.starts_workers]
        within = {pid: each for each in starting for pid in each.leaf.pids() if pid not in self.workers}
        self._inside = {pid: self._inside.get(pid, now) for pid in within}
        for pid, worker in within.items():
            found = process(pid) if now - self._inside[pid] <= _PATIENCE else None
            if not found:
                continue
            if found.parent in self.workers and found.parent != worker.process.pid:
                self.workers[found.parent].leaf.add(pid)  # it was forked before its parent was taken in
            elif self._adapter.is_worker(found, worker.process) and self._matches(found):
                self._take(found)
        return any(now - first < _YOUNG for pid, first in self._inside.items() if pid not in self.workers)

    def _is_helper(self, found: Process) -> bool:
        """Put what a worker has forked, before it was taken in, into its leaf; not what may be a worker by itself."""
        parent = self.workers.get(found.parent)
        return parent is not None and not parent.starts_workers and parent.leaf.add(found.pid)

    def _make_room(self, processes: int) -> None:
        if processes != self._room:
            self._room = processes
            self._enforcement.make_room(processes)

    def may_start_workers(self, pid: int) -> bool:
        """Whether what a process of the router forks may be a worker."""
        worker = self.workers.get(pid)
        if worker:
            return worker.starts_workers or pid in self._doubtful()
        return pid in self._outside or (pid == self.main and pid != 0)

    def parents(self) -> set[int]:
        """The router's processes that are known to be in no leaf, and the workers that start others, or may do so."""
        starting = {pid for pid, each in self.workers.items() if each.starts_workers}
        return {*self._outside, *starting, *self._doubtful(), self.main} - {0}

    def _doubtful(self) -> set[int]:
        """Workers that may be the router's first process. Of many nobody asks: the process connector takes few parents."""
        found = {pid for pid, each in self.workers.items() if each.is_doubtful}
        return found if len(found) <= _FEW else set()

    def took_a_message(self, parent: int) -> None:
        """A child of this process has: if it is a worker that never had one, it is the router's first process.

        It looks like a worker while all that it has forked are dead, and they may die faster than anybody can look.
        """
        worker = self.workers.get(parent)
        if worker and worker.is_doubtful:
            self.give_back(worker, worker.leaf.pids())

    def claimed_by(self, pid: int) -> None:
        """Somebody has taken a message: if that is a process outside the leaves, it is a worker."""
        if pid not in self.workers and (found := process(pid)):
            self.took_a_message(found.parent)
        if pid not in self.workers and pid != self.main and pid in self._enforcement.router_pids():
            found = process(pid)
            if found and self._matches(found) and self._told(found) is not False:
                self._take(found)

    def launched(self, pid: int, slot: int, holding: Holding) -> Worker | None:
        """A process that we have started for one message, in its leaf."""
        found = process(pid)
        return self._take(found, slot, holding) if found else None

    def split(self) -> None:
        """A leaf whose first process never held a message, and has forked its like, is no worker's."""
        for worker in list(self.workers.values()):
            if not worker.is_doubtful:
                continue
            pids = worker.leaf.pids()
            if len(pids) < 2:
                continue
            like = [each for each in map(process, pids) if each and each.parent == worker.process.pid
                    and each.command[:1] == worker.process.command[:1]]  # fmt: skip
            if like:
                self.give_back(worker, pids)

    def give_back(self, worker: Worker, pids: list[int]) -> None:
        """Take processes for no worker after all."""
        self.workers.pop(worker.process.pid, None)
        self._closed(worker)
        worker.close()
        self._parents.add(worker.process.pid)
        self._put_outside(pids)
        self.drop(worker.leaf.slot)

    def spare(self, worker: Worker) -> None:
        """One that has ended and never held a message was a daemon that detached itself: what it left is the router.

        Or what it left goes on with what it was told to do.
        """
        self._put_outside(worker.leaf.pids())

    def _put_outside(self, pids: list[int]) -> None:
        for pid in pids:
            self._enforcement.give_back(pid)
            self._outside.pop(pid, None)

    def free_slot(self) -> int:
        """The lowest number that no worker has, and no remains of one."""
        taken = {worker.leaf.slot for worker in self.workers.values()} | self._lingering
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def drop(self, slot: int) -> None:
        """Give up a leaf, or try to: a killed process may take its time."""
        if self._enforcement.drop(slot):
            self._lingering.discard(slot)
        else:
            self._lingering.add(slot)

    def tidy(self) -> None:
        """Give up the leaves that are empty now."""
        for slot in list(self._lingering):
            self._enforcement.leaf(slot).kill()
            self.drop(slot)

    def gone(self, worker: Worker) -> None:
        """A worker has ended. Until `drop` its slot is nobody's: one that is taken in meanwhile would be ended with it."""
        self._lingering.add(worker.leaf.slot)
        self.workers.pop(worker.process.pid, None)
        self._closed(worker)

    def _matches(self, found: Process) -> bool:
        """A zombie has no command line, and is no worker."""
        if not self._bounding.guards(found):
            return False
        return bool(found.command[0]) and (not self._pattern or bool(self._pattern.search(b" ".join(found.command))))

    def _take(self, found: Process, slot: int | None = None, holding: Holding | None = None) -> Worker | None:
        if found.pid in self.workers:  # a record of an open may have told of it while others were taken in
            return None
        try:
            pidfd = os.pidfd_open(found.pid)
        except OSError:
            return None
        limits = self._bounding.of(found)
        leaf = self._enforcement.leaf(self.free_slot() if slot is None else slot, limits[0])
        again = process(found.pid)
        if not again or again.started != found.started or (slot is None and not leaf.add(found.pid)):
            os.close(pidfd)
            self.drop(leaf.slot)
            return None
        if slot is not None:
            leaf.add(found.pid)
        worker = self.workers[found.pid] = Worker(found, leaf, pidfd, limits, holding)
        worker.starts_workers = self._adapter.starts_workers(found)
        worker.only_answers = self._adapter.only_answers(found)
        self._outside.pop(found.pid, None)
        self._began(worker)
        return worker
