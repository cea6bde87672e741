"""The router's forks and its processes' exits, as the process connector tells them.

A process that the router forks is looked at a moment later, when it may have detached itself or become another
program. One that has ended before anybody could look at it is not lost: its fork, its exit status and what it has
opened are known.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from forebay.api.process import Process
from forebay.sidecar.connector import Fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.sidecar.connector import Connector
    from forebay.sidecar.roster import Roster

_MOMENT: Final = 0.003
_FORGET: Final = 10.0


class Births:
    """Calls `scan` when there is something to see, and again as long as that says that there is more.

    `stray` is called with each process that has ended and never was a worker, and its exit status. `fresh` are the
    router's children that are not known to have ended, and when they were forked.
    """

    def __init__(
        self, connector: Connector, roster: Roster, scan: Callable[[], bool], stray: Callable[[Process, int], None]
    ) -> None:
        self.fresh: dict[int, float] = {}
        self._connector = connector
        self._roster = roster
        self._scan = scan
        self._stray = stray
        self._statuses: dict[int, int] = {}
        self._strays: list[tuple[int, int]] = []
        self._parents: dict[int, int] = {}
        self._followed: set[int] = set()
        self._due: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin to listen, within the loop."""
        asyncio.get_running_loop().add_reader(self._connector.fileno(), self.read)

    def read(self) -> None:
        """Take in what was told; nothing is done about it before the loop goes on."""
        loop = asyncio.get_running_loop()
        told, is_whole = self._connector.read()
        for each in told:
            if isinstance(each, Fork):
                if self._roster.may_start_workers(each.parent) or each.parent in self.fresh:
                    self.fresh[each.child] = time.monotonic()
                    self._parents[each.child] = each.parent
            elif each.pid in self._roster.workers:
                self._statuses[each.pid] = each.status
                self._forget(each.pid)
            elif each.pid in self.fresh:
                self._strays.append((each.pid, each.status))
                loop.call_soon(self._deal)
        if self.fresh or not is_whole:
            self._scan_soon()

    def scan(self) -> None:
        """Look for workers, and listen to whoever may start some after that."""
        self._scan_no_more()
        if self._scan():
            self._scan_soon()
        long_ago = time.monotonic() - _FORGET
        for pid in [pid for pid, at in self.fresh.items() if at < long_ago or pid in self._roster.workers]:
            self._forget(pid)
        self.follow()

    def follow(self) -> None:
        """Listen to the forks of whoever may start workers now."""
        if self._followed != (now := self._roster.parents()):
            self._followed = now
            self._connector.follow(now)

    def status(self, pid: int) -> int | None:
        """How a worker has ended, where that was told."""
        self.read()
        return self._statuses.pop(pid, None)

    def close(self) -> None:
        """Listen no more, and leave what was to be done about what was told: the loop may go on for a moment."""
        self._scan_no_more()
        self._strays.clear()
        asyncio.get_running_loop().remove_reader(self._connector.fileno())
        self._connector.close()

    def _scan_soon(self) -> None:
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(_MOMENT, self.scan)

    def _scan_no_more(self) -> None:
        if self._due:
            self._due.cancel()
            self._due = None

    def _deal(self) -> None:
        strays, self._strays = self._strays, []
        for pid, status in strays:
            self._stray(Process(pid, 0, self._parents.get(pid, 0)), status)
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        self.fresh.pop(pid, None)
        self._parents.pop(pid, None)
