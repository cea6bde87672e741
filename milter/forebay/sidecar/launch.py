"""The router that we start ourselves: started in its group, started again with back-off, never beside its remains.

A router's first process may detach itself and end; it runs as long as any process is left. Before it is started again
all that is left is ended and dealt with: an orphan holds locks, and a busy one ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from forebay.logs import LOGGER, printable
from forebay.sidecar.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from forebay.sidecar.limits.leaf import Enforcement
    from forebay.sidecar.metering import Meter
    from forebay.sidecar.roster import Roster
    from forebay.sidecar.spawn import Heritage

_log = logging.getLogger(LOGGER)
_LONGEST_PAUSE: Final = 60.0
_STEADY: Final = 60.0
_STOP_SECONDS: Final = 10.0
_STEP: Final = 0.05


class Launched:
    """The router's life.

    `settle` is called when all of its processes have ended, before it is started again; `started` when it has been.
    """

    def __init__(
        self,
        command: Sequence[str],
        enforcement: Enforcement,
        roster: Roster,
        meter: Meter,
        heritage: Heritage,
        settle: Callable[[], None],
        started: Callable[[], None],
    ) -> None:
        self._command = command
        self._enforcement = enforcement
        self._roster = roster
        self._meter = meter
        self._heritage = heritage
        self._settle = settle
        self._tell_started = started
        self._pause = 0.0
        self._started = 0.0
        self.is_excused = False
        """Whether messages were found to blame for its end: then nothing is gained by a longer pause."""

    async def run(self) -> None:
        """Keep the router running until this is cancelled."""
        while True:
            await self.end_all()
            self._settle()
            self._start()
            while self._is_alive():  # noqa: ASYNC110 - nothing tells when the last of a group is gone
                await asyncio.sleep(_STEP)
            self._meter.up.set(0)
            if self.is_excused or time.monotonic() - self._started > _STEADY:
                self._pause = 0.0
            self.is_excused = False
            self._pause = min(_LONGEST_PAUSE, max(0.5, 2 * self._pause))
            _log.error("the router has ended; it is started again in %.1f seconds", self._pause)
            await asyncio.sleep(self._pause)
            self._meter.restarts.inc()

    async def stop(self) -> None:
        """Ask the router to end, and end what does not."""
        pids = self._enforcement.router_pids()
        for pid in (*pids, *self._roster.workers):
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        for _ in range(int(_STOP_SECONDS / _STEP)):
            self._reap()
            if not self._roster.workers and not self._enforcement.router_pids():
                return
            await asyncio.sleep(_STEP)
        await self.end_all()

    async def end_all(self) -> None:
        """End every process of the router, and wait until it is gone and dealt with."""
        while True:
            self._reap()
            for pid in self._enforcement.router_pids():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            for worker in list(self._roster.workers.values()):
                worker.order = worker.order or "stop"
                worker.leaf.kill()
            if not self._roster.workers and not self._enforcement.router_pids():
                return
            await asyncio.sleep(_STEP)

    def _start(self) -> None:
        self._started = time.monotonic()
        try:
            self._roster.main = spawn(self._command, self._enforcement.enter_router, self._heritage)
        except OSError as error:
            _log.critical("the router cannot be started: %s: %s", printable(str(error.filename)), error.strerror)
            return
        self._tell_started()  # first: it has not forked yet
        self._enforcement.started(self._roster.main)
        self._meter.up.set(1)
        _log.info("started the router, pid %d: %s", self._roster.main, printable(" ".join(self._command)))

    def _is_alive(self) -> bool:
        self._reap()
        return bool(self._roster.workers or self._enforcement.router_pids())

    def _reap(self) -> None:
        """Take note of ended children that are no workers: the first process, and orphans that came to us."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid in self._roster.workers:
                return
            with suppress(ChildProcessError):  # the clerk's end is awaited by a thread
                os.waitpid(ended.si_pid, 0)
            if ended.si_pid == self._roster.main:
                self._roster.main = 0
                _log.info("the router's first process has ended, status %d", ended.si_status)
