"""What the kernel tells of the router's processes, where it does: what they open, whom they fork, how they end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from forebay.sidecar.births import Births
from forebay.sidecar.connector import Connector
from forebay.sidecar.openlog import OpenLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from forebay.api.router import Adapter, Process
    from forebay.sidecar.roster import Roster

_RECORDS: Final = 0.05
_RECORDS_WHERE_FORKS_ARE_TOLD: Final = 0.5
_SCAN: Final = 0.02
_SCAN_WHERE_FORKS_ARE_TOLD: Final = 0.25


class Listening:
    """`openlog` is the log of opened files, None where there is none; `lacking` says why, a line for each."""

    def __init__(self, adapter: Adapter, *, is_wanted: bool) -> None:
        self.lacking: list[str] = []
        self.openlog = self._open_log(adapter) if is_wanted else None
        self._connector = None if adapter.launches or not adapter.needs_spool else self._connect()
        self._births: Births | None = None
        self._roster: Roster
        self._lost: Callable[[], None]
        self._is_closed = False

    def _open_log(self, adapter: Adapter) -> OpenLog | None:
        if adapter.launches or not adapter.directories():
            return None
        try:
            return OpenLog(adapter)
        except OSError as error:
            self.lacking.append(f"no fanotify: {error.strerror}: a worker that dies at once leaves no trace")
            return None

    def _connect(self) -> Connector | None:
        try:
            return Connector()
        except OSError as error:
            self.lacking.append(
                f"no process connector: {error.strerror}: forks are found by looking, fifty times a second"
            )
            return None

    def begin(
        self, roster: Roster, done: Callable[[int], None], overflowed: Callable[[], None],
        stray: Callable[[Process, int], None],
    ) -> None:  # fmt: skip
        """Begin, within the loop. `done`: so many messages were finished; `stray`: an end of one that was never a worker."""
        self._roster = roster
        self._lost = overflowed
        if self._connector:
            self._births = Births(self._connector, roster, self._scan, stray)
            self._births.begin()
        if self.openlog:
            self.openlog.known = roster.workers
            self.openlog.fresh = self.fresh
            self.openlog.took = self._took
            self.openlog.finished = done
            self.openlog.overflowed = self._overflowed
            self._await_records()

    @property
    def fresh(self) -> Collection[int]:
        """Processes that were forked just now and may become workers, where forks are told."""
        return self._births.fresh if self._births else ()

    async def scanning(self) -> None:
        """Look for workers again and again: seldom where forks are told."""
        while True:
            if self._births:
                self._births.scan()
            else:
                self._scan()
            await asyncio.sleep(_SCAN_WHERE_FORKS_ARE_TOLD if self._births else _SCAN)

    def started(self) -> None:
        """The router has just been started: its first workers may be dead before anybody looks."""
        if self._births:
            self._births.follow()

    def status(self, pid: int) -> int | None:
        """How a worker has ended, where that was told."""
        return self._births.status(pid) if self._births else None

    def exits(self) -> list[str]:
        """Where the exit statuses of processes that are not our children may be from."""
        return ["connector"] if self._connector else []

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        if self._births:
            self._births.close()

    def _scan(self) -> bool:
        """Look for workers. One that has opened a message is surely one, whosever child it is."""
        is_more = self._roster.scan()
        if is_more and self.openlog:
            self.openlog.read()
            for pid in list(self.fresh):
                if self.openlog.knows(pid):
                    self._roster.claimed_by(pid)
        return is_more

    def _took(self, pid: int) -> None:
        """Somebody unknown has opened a message: his fork was told before that."""
        if self._births:
            self._births.read()
        self._roster.claimed_by(pid)

    def _overflowed(self) -> None:
        """What anybody has open must be looked up again."""
        self._lost()
        for worker in self._roster.workers.values():
            worker.is_logged = False

    def _await_records(self) -> None:
        """Where forks are told, records can wait for somebody who asks; else they tell of new workers."""
        if self.openlog and not self._is_closed:
            loop = asyncio.get_running_loop()
            if self._births:
                loop.call_later(_RECORDS_WHERE_FORKS_ARE_TOLD, self._read_records)
            else:
                loop.add_reader(self.openlog.fileno(), self._recorded)

    def _recorded(self) -> None:
        """Something was opened: it is read a moment later, with what follows."""
        if self.openlog:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.openlog.fileno())
            loop.call_later(_RECORDS, self._read_records)

    def _read_records(self) -> None:
        if self.openlog and not self._is_closed:
            self.openlog.read()
            self._await_records()
