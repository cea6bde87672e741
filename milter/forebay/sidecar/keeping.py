"""Who keeps a message, of the processes that have it open: the others only look at it.

A name with a pid tells; else, in a router that locks what it works on, the lock does. What reads the spool beside the
router (a backup, a list of the queue, `cat`) has files open without a lock, for as long as it likes: no message is to be
timed by that, and no killer excused. Whether a router locks is what its adapter says, or what is seen.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from forebay.api.process import locks, opened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.api.router import Adapter, Holding, Message
    from forebay.sidecar.worker import Worker

_MOMENT: Final = 1.0
"""Seconds that lie between an open and a lock at the most: so long whoever has opened a message may be its keeper."""
_MOST_MOVED: Final = 100


class Keeping:
    """Asked about what workers have open."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._is_locking = adapter.locks
        self._locks: frozenset[tuple[int, int]] = frozenset()

    def begin_sweep(self, workers: Iterable[Worker]) -> None:
        """Take down who has locks, once for all workers that are asked about until `end_sweep`."""
        if self._is_locking is False:
            return
        self._locks = locks()
        if (
            self._is_locking is None
            and self._locks
            and any(self._is_listed(each, had.message) for each in workers for had in each.holdings)
        ):
            self._is_locking = True

    def end_sweep(self) -> None:
        """What was taken down may be out of date from now on."""
        self._locks = frozenset()

    def keeps(self, worker: Worker, message: Message) -> bool:
        """Whether a worker that has a message open is the one who works on it."""
        claimant = self._adapter.claimant(message.path)
        if claimant:
            return claimant == worker.process.pid
        if not self._is_locking or self._is_listed(worker, message):
            return True
        return any(opened(pid, (message.path,), locked=True) for pid in (worker.process.pid, *worker.leaf.pids()))

    def kept(self, worker: Worker, found: list[Holding]) -> list[Holding]:
        """Of what a live worker has open, what it keeps, or may be about to; what it only looks at is taken down."""
        now = time.monotonic()
        open_now = {each.message.identity: each.message for each in found}
        worker.open_since = {each: worker.open_since.get(each, now) for each in open_now}
        moved = worker.looks_at - open_now.keys()  # it may have them open still, wherever they are now
        worker.looks_at = moved if len(moved) < _MOST_MOVED else set()
        for identity, message in open_now.items():
            if now - worker.open_since[identity] >= _MOMENT and not self.keeps(worker, message):
                worker.looks_at.add(identity)
        return [each for each in found if each.message.identity not in worker.looks_at]

    def _is_listed(self, worker: Worker, message: Message) -> bool:
        """Whether the kernel's list has its lock; of one that has inherited it only its descriptors tell."""
        with suppress(OSError):
            return (worker.process.pid, os.lstat(message.path).st_ino) in (self._locks or locks())
        return False
