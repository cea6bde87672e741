"""What lies in the spool: how much and how old, and whether something new is a copy of a killer."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.sidecar.limits import inotify

if TYPE_CHECKING:
    from forebay.api.router import Adapter
    from forebay.sidecar.cases import Cases
    from forebay.sidecar.metering import Meter

_AT_ONCE: Final = 50
_MOST_STATS: Final = 200


class SpoolWatch:
    """Looked at about once a second, a piece at a time, so that nothing else has to wait.

    As long as something is known to kill, each message that is renamed into the queue is looked at as soon as it is
    there: a worker may be as fast.
    """

    def __init__(self, adapter: Adapter, cases: Cases, meter: Meter, state: str) -> None:
        self._adapter = adapter
        self._cases = cases
        self._meter = meter
        self._state = state
        self._compared: set[str] = set()
        self._generation = -1
        self._queue = -1
        self._folders: dict[int, str] = {}
        self.depth = 0
        self.aside = 0
        self.withheld = 0

    async def look(self) -> None:
        """Count what there is; compare what is new with what is known to kill."""
        paths = list(self._adapter.paths())
        self.depth = len(paths)
        self._meter.spool_messages.set(self.depth)
        self._meter.spool_oldest.set(_oldest(paths))
        self.aside, size, self.withheld = self._cases.held()
        self._meter.quarantine_messages.set(self.aside)
        self._meter.quarantine_bytes.set(size)
        self._meter.withheld.set(self.withheld)
        self._look_at_room()
        self._cases.refresh()
        if not self._cases.is_hot:
            self._compared.clear()
            self.close()
            return
        self._watch()
        if self._generation != self._cases.generation:
            self._generation = self._cases.generation
            self._compared.clear()
        new = [path for path in paths if path not in self._compared]
        self._compared = set(paths)
        for start in range(0, len(new), _AT_ONCE):
            self._cases.look_for_copies(new[start : start + _AT_ONCE])
            await asyncio.sleep(0)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._queue >= 0:
            asyncio.get_running_loop().remove_reader(self._queue)
            inotify.close(self._queue)
            self._queue = -1

    def _watch(self) -> None:
        """Have the kernel tell of new messages; where it will not, they are looked at a second later."""
        if self._queue >= 0:
            return
        with suppress(OSError):
            self._queue = inotify.open_queue()
            asyncio.get_running_loop().add_reader(self._queue, self._arrived)
            folders = [(Path(each), each) for each in self._adapter.directories()]
            self._folders = {inotify.add(self._queue, path, inotify.MOVED_TO): each for path, each in folders}

    def _arrived(self) -> None:
        paths = (f"{self._folders.get(each.watch, '')}/{each.name}" for each in inotify.read(self._queue))
        new = [each for each in paths if self._adapter.is_message(each)]
        self._cases.look_for_copies(new[:_AT_ONCE], is_new=True)
        self._compared.difference_update(new[_AT_ONCE:])  # a name may be that of another message by now

    def _look_at_room(self) -> None:
        """Where messages are set aside, or, without a spool, where the journal is."""
        with suppress(OSError):
            found = os.statvfs(next(iter(self._adapter.directories()), self._state))
            self._meter.room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def _oldest(paths: list[str]) -> float:
    """The age in seconds of the oldest message, of those that are looked at: the first some hundred."""
    oldest = time.time()
    for path in paths[:_MOST_STATS]:
        with suppress(OSError):
            oldest = min(oldest, os.lstat(path).st_mtime)
    return max(0.0, time.time() - oldest)
