"""What lies in the spool: how much and how old, and whether something new is a copy of a killer."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from forebay.api.router import Adapter
    from forebay.sidecar.cases import Cases
    from forebay.sidecar.metering import Meter

_AT_ONCE: Final = 50
_MOST_STATS: Final = 200


class SpoolWatch:
    """Looked at about once a second, a piece at a time, so that nothing else has to wait."""

    def __init__(self, adapter: Adapter, cases: Cases, meter: Meter, state: str) -> None:
        self._adapter = adapter
        self._cases = cases
        self._meter = meter
        self._state = state
        self._compared: set[str] = set()
        self._generation = -1
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
            return
        if self._generation != self._cases.generation:
            self._generation = self._cases.generation
            self._compared.clear()
        new = [path for path in paths if path not in self._compared]
        self._compared = set(paths)
        for start in range(0, len(new), _AT_ONCE):
            self._cases.look_for_copies(new[start : start + _AT_ONCE])
            await asyncio.sleep(0)

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
