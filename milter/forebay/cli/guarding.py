"""The sidecar as a service: what the service manager hears of it, and SIGHUP.

A sidecar that is restarted adopts what is alive and ends nothing. So a reload is a restart in place: what is installed
and configured now is looked at first, and where it is wrong everything stays as it was. Then the sidecar ends and the
process executes the program anew, under the same pid.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from forebay.errors import ForebayError
from forebay.logs import LOGGER
from forebay.sidecar import clerk
from forebay.sidecar.spawn import ahead
from forebay.smtp import notify
from forebay.smtp.succession import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.sidecar.service import Service

_log = logging.getLogger(LOGGER)


class Guarding:
    """One life of the sidecar. `check` looks whether it may begin anew, and raises a ForebayError where it may not."""

    def __init__(self, service: Service, check: Callable[[], object]) -> None:
        self._service = service
        self._check = check
        self._program = Program.of_this_process()
        self._again = False

    def run(self, config: str | None) -> None:
        """Guard until SIGTERM or SIGINT; at SIGHUP begin anew."""
        with clerk.beside(config), ahead():  # the clerk may wait
            asyncio.run(self._guard())
        if self._again:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new life has its handler
            os.execv(self._program.command[0], self._program.command)  # noqa: S606 - forebay itself, without a shell
        notify.notify("STOPPING=1")

    async def _guard(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        beating = asyncio.create_task(_beat())
        try:
            await self._service.run(_ready)
        finally:
            beating.cancel()

    def _reload(self) -> None:
        """End as at a stop, to begin anew."""
        notify.reloading()
        try:
            self._check()
        except ForebayError as error:
            for line in str(error).splitlines():
                _log.error("reload: %s", line)
            _log.error("reload: refused; the configuration of before stays in use")
            _ready()
            return
        _log.info("reload: beginning anew; workers that are alive are adopted")
        self._again = True
        os.kill(os.getpid(), signal.SIGTERM)


def _ready() -> None:
    notify.notify("READY=1", "STATUS=guarding")


async def _beat() -> None:
    """Tell the service manager that the loop goes round, as often as it wants to hear it."""
    while interval := notify.watchdog_seconds():
        notify.notify("WATCHDOG=1")
        await asyncio.sleep(interval)
