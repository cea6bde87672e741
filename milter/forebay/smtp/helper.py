"""The template and the keeper, seen from the supervisor: a process, and the line to it."""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.smtp import processes
from forebay.smtp.channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATIENCE: Final = 2.0
"""Seconds that one gets to end by itself."""


@dataclass(slots=True)
class Helper:
    """One of them. It ends when its line does; `is_deaf` where it has closed its own end of it."""

    name: str
    pid: int
    line: Channel
    born: float
    is_deaf: bool = False

    @classmethod
    def start(cls, name: str, body: Callable[[Channel], object], keep: Iterable[int]) -> Helper:
        """Fork it. `keep` are the descriptors that it needs besides its end of the line."""
        ours, theirs = Channel.pair()
        pid = processes.fork(lambda: body(theirs), (*keep, theirs.fileno()), f"forebay-{name}")
        theirs.close()
        return cls(name, pid, ours, time.monotonic())

    def dismiss(self) -> None:
        """Let it end; it is reaped like every other child."""
        self.line.close()
        self.is_deaf = True

    def end(self) -> None:
        """Let it end, wait for that, and help it along if need be."""
        pidfd = os.pidfd_open(self.pid)
        try:
            self.dismiss()
            if not select.select([pidfd], [], [], PATIENCE)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        finally:
            os.close(pidfd)


class BackOff:
    """When the next one may be started: at once after a long life, later and later after short ones."""

    FIRST: Final = 0.1
    LONGEST: Final = 10.0
    LONG_LIFE: Final = 60.0

    def __init__(self) -> None:
        self._delay = 0.0
        self._not_before = 0.0

    def ended(self, born: float, now: float) -> None:
        """One that began at `born` has ended."""
        if now - born > self.LONG_LIFE:
            self._delay = 0.0
        self._not_before = now + self._delay
        self._delay = min(self.LONGEST, max(self.FIRST, self._delay * 2))

    def is_over(self, now: float) -> bool:
        """Whether the wait is over."""
        return now >= self._not_before
