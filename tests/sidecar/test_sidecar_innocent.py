"""A worker dies that had opened several messages; by the time it is judged the killer is moved: who is left is innocent."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from typing import TYPE_CHECKING

from forebay.api.router import Process
from forebay.sidecar.claims import Claims
from forebay.sidecar.ending import Ending
from forebay.sidecar.keeping import Keeping
from forebay.sidecar.limits.leaf import Counters
from forebay.sidecar.metering import Meter
from forebay.sidecar.openlog import OpenLog
from sidecar.cases_kit import begin, put

if TYPE_CHECKING:
    from pathlib import Path


def crash(*paths: Path) -> int:
    """A process that opens one after the other and dies of the last; its pid, which nobody has any more."""
    pid = os.fork()
    if pid == 0:
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            if path != paths[-1]:
                os.close(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid


def test_who_is_left_when_the_killer_is_aside_is_not_struck(tmp_path: Path) -> None:
    """Opened and closed in one record, an innocent one may have been the last: but a killer was there that is known."""
    innocent, killer = put(tmp_path, "innocent", "innocent"), put(tmp_path, "killer", "killer")
    kit = begin(tmp_path)
    log = OpenLog(kit.adapter)
    ending = Ending(
        kit.adapter,
        Claims(kit.adapter, log, lambda _: False, Keeping(kit.adapter)),
        kit.cases,
        Meter(),
        "test",
        lambda _, __: None,
    )
    with closing(log):
        dead = [crash(innocent, killer) for _ in range(3)]
        log.known = dead
        for _ in range(2):
            kit.strike("killer")
        assert not killer.exists()
        for pid in dead:
            ending.stray(Process(pid, 0, os.getpid()), signal.SIGSEGV, Counters())
    assert innocent.exists()
    assert kit.journal.record(kit.message("innocent").identity) is None
    assert [each.original for each in kit.journal.entries()] == [str(killer)]


def test_who_is_left_when_others_are_done_is_struck(tmp_path: Path) -> None:
    """What a worker has finished is nobody's excuse."""
    good, killer = put(tmp_path, "good", "good"), put(tmp_path, "killer", "killer")
    kit = begin(tmp_path)
    log = OpenLog(kit.adapter)
    ending = Ending(
        kit.adapter,
        Claims(kit.adapter, log, lambda _: False, Keeping(kit.adapter)),
        kit.cases,
        Meter(),
        "test",
        lambda _, __: None,
    )
    with closing(log):
        dead = [crash(good, killer) for _ in range(2)]
        log.known = dead
        good.unlink()
        for pid in dead:
            ending.stray(Process(pid, 0, os.getpid()), signal.SIGSEGV, Counters())
    assert [each.original for each in kit.journal.entries("aside")] == [str(killer)]
