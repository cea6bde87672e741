"""The end of the sidecar: what was about to be done is left, for all that it would be done with is closed."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from forebay.api.router import Site
from forebay.config_router import Router
from forebay.sidecar.births import Births
from forebay.sidecar.bounding import Bounding
from forebay.sidecar.connector import Connector
from forebay.sidecar.limits.leaf import Bounds
from forebay.sidecar.limits.rlimit import Rlimits
from forebay.sidecar.roster import Roster
from forebay.sidecar.routers.spool import Spool

if TYPE_CHECKING:
    from forebay.api.router import Process


def child() -> int:
    """A process that has ended; its pid."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_nobody_looks_for_workers_after_the_end() -> None:
    """A fork and its exit are told just before the end: nobody looks at them, although the loop goes on for a moment."""
    adapter = Spool(Site(spool=("/nonexistent",)))
    bounding = Bounding(Router(), adapter, 0)
    roster = Roster(Rlimits(Bounds(0, 0)), adapter, bounding, "", lambda _: None, lambda _: None)
    roster.main = os.getpid()
    done: list[object] = []
    failed: list[dict[str, Any]] = []

    def scan() -> bool:
        done.append("scan")
        return roster.scan()

    def stray(process: Process, _: int) -> None:
        done.append(process)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        births = Births(Connector(), roster, scan, stray)
        births.begin()
        births.follow()
        pid = child()
        births.read()
        assert pid in births.fresh
        births.close()
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert failed == []
    assert done == []
