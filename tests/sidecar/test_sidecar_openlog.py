"""The log of opened files: what a process holds, from what the kernel records of real processes."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from forebay.api.router import Site
from forebay.sidecar.openlog import OpenLog
from forebay.sidecar.routers.spool import Spool
from sidecar.told_kit import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def opener(folder: Path) -> Iterator[tuple[int, Callable[[str], None]]]:
    """A process that opens the file of a name and closes the one before; its pid, and how it is told to."""
    held: list[int] = []

    def act(name: str) -> None:
        held.append(os.open(folder / name, os.O_RDONLY))
        for each in held[:-1]:
            os.close(each)
        del held[:-1]

    with told(act) as (pid, tell):
        yield pid, tell


def names(log: OpenLog, pid: int) -> list[str]:
    """The names of the messages that a process holds."""
    return sorted(each.message.path.rpartition("/")[2] for each in log.holdings(pid))


def test_what_is_newer_is_not_taken_in_first(tmp_path: Path) -> None:
    """A worker that is taken in while its records are read has the file open that it opened last, and no other."""
    for name in ("first", "second"):
        (tmp_path / name).touch()
    log = OpenLog(Spool(Site(spool=(str(tmp_path),))))
    known: set[int] = set()
    log.known = known
    with closing(log), opener(tmp_path) as (pid, tell):

        def took(stranger: int) -> None:
            known.add(stranger)
            tell("second")
            log.read()

        log.took = took
        tell("first")
        log.read()
        for _ in range(3):
            log.sweep()
        assert names(log, pid) == ["second"]
