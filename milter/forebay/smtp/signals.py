"""Signals as bytes on a pipe: none is lost, and none interrupts anything.

A service is started by shells, service managers and test runners that may have blocked a signal, or set it to be
ignored: both are inherited. So the supervisor takes its handlers first, then unblocks. From then on the interpreter
writes the number of each signal to a pipe (signal.set_wakeup_fd), whatever it is doing at that moment, and the main
loop reads it there.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

OURS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""The signals that the supervisor acts upon."""
ORDERS: Final = OURS - {signal.SIGCHLD}
"""Those that an operator or a service manager sends."""


class Signals:
    """The reading end of the pipe. One a process, made before anything that could be interrupted by a signal."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for each in OURS:
            signal.signal(each, _noted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)

    def fileno(self) -> int:
        """For select."""
        return self._reader

    def read(self) -> list[signal.Signals]:
        """The signals that came since the last call, in their order."""
        try:
            return [signal.Signals(number) for number in os.read(self._reader, 4096)]
        except BlockingIOError:
            return []


def leave_to_parent() -> None:
    """Make a forked child deaf to orders: a stop sent to the whole group is the supervisor's to carry out.

    They are ignored and not blocked, because libmilter has a thread that waits for blocked ones and would cut every
    session.
    """
    signal.set_wakeup_fd(-1)
    for each in ORDERS:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _noted(number: int, frame: FrameType | None) -> None:
    """A handler must exist for the number to be written to the pipe; there is nothing else to do."""
