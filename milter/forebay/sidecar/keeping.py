"""Who keeps a message, of the processes that have it open: the others only look at it.

A name with a pid tells; else, in a router that locks what it works on, the lock does. What reads the spool beside the
router (a backup, a list of the queue, `cat`) has files open without a lock, for as long as it likes: no message is to be
timed by that, and no killer excused. Whether a router locks is what its adapter says, or what is seen.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from forebay.api.process import opened

if TYPE_CHECKING:
    from forebay.api.router import Adapter, Holding, Message
    from forebay.sidecar.worker import Worker

_MOMENT: Final = 1.0
"""Seconds that lie between an open and a lock at the most: so long whoever has opened a message may be its keeper."""
_MOST_MOVED: Final = 100
_MOST_ASKED: Final = 8
"""So many workers a sweep are looked at as long as nobody knows whether the router locks."""


class Keeping:
    """Asked about what workers have open.

    What has a lock is read from each process's own descriptors, and once: to give its list of all locks the kernel stops
    everybody on the machine who locks anything, for ten milliseconds.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._is_locking = adapter.locks
        self._left = _MOST_ASKED

    def begin_sweep(self) -> None:
        """All workers are asked about now."""
        self._left = _MOST_ASKED

    def keeps(self, worker: Worker, message: Message) -> bool:
        """Whether a worker that has a message open is the one who works on it."""
        claimant = self._adapter.claimant(message.path)
        if claimant:
            return claimant == worker.process.pid
        if self._is_locking is False or message.identity in worker.keeps:
            return True
        if self._is_locking is None:
            if not self._left:
                return True
            self._left -= 1
        if _has_lock(worker, message):
            self._is_locking = True
            worker.keeps.add(message.identity)
            return True
        return not self._is_locking

    def kept(self, worker: Worker, found: list[Holding]) -> list[Holding]:
        """Of what a live worker has open, what it keeps, or may be about to; what it only looks at is taken down."""
        now = time.monotonic()
        open_now = {each.message.identity: each.message for each in found}
        worker.open_since = {each: worker.open_since.get(each, now) for each in open_now}
        worker.keeps &= open_now.keys()
        moved = worker.looks_at - open_now.keys()  # it may have them open still, wherever they are now
        worker.looks_at = moved if len(moved) < _MOST_MOVED else set()
        for identity, message in open_now.items():
            if now - worker.open_since[identity] >= _MOMENT and not self.keeps(worker, message):
                worker.looks_at.add(identity)
        return [each for each in found if each.message.identity not in worker.looks_at]


def _has_lock(worker: Worker, message: Message) -> bool:
    """Whether a worker, or a helper of it, has a lock on a message; of whom we may not look at, that is taken for granted."""
    pid = worker.process.pid
    try:
        os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        return False
    return any(opened(each, (message.path,), locked=True) for each in (pid, *worker.leaf.pids()))
