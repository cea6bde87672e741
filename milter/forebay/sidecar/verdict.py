"""The verdict on a worker's end: whose fault it was, by counters first and by the exit status where they are silent.

A pure function. Exit status 137 proves nothing, and a notification of the kernel proves nothing: what counts is what
the counters have added since the worker took its message, and what the sidecar itself ordered.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from forebay.sidecar.limits.leaf import Counters


class Verdict(StrEnum):
    """What a worker's end was; the value is the word in logs, metrics and evidence."""

    MEMORY = "memory"
    """Out of memory by its own limit."""
    STUCK = "stuck"
    """Alive at its limit without getting on."""
    CPU = "cpu"
    """More CPU time than one message may take."""
    CRASH = "crash"
    DISK = "disk"
    """Wrote more than a worker may (SIGXFSZ)."""
    ERROR = "error"
    """Ended with an error status, a message in hand."""
    COLLATERAL = "collateral"
    """Killed for a limit that is not its own."""
    WAITING = "waiting"
    """Waited for something else for longer than one message may take."""
    LOST = "lost"
    """Ended with a message in hand, and nothing tells why."""
    DEFERRED = "deferred"
    """Ended with status 75: try again later."""
    NOT_OURS = "not-ours"
    """Ended by a signal that somebody else sent."""
    ORDERED = "ordered"
    """Ended because we stop or restart the router."""
    IDLE = "idle"
    """Ended with nothing in hand."""


STRIKES: Final = frozenset(
    {Verdict.MEMORY, Verdict.STUCK, Verdict.CPU, Verdict.CRASH, Verdict.DISK, Verdict.ERROR}
)  # fmt: skip
"""The ends that are laid to the message."""
LOSSES: Final = 3
"""So many losses of one message make a strike."""

_CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS}
)  # fmt: skip
_ORDERS: Final = {
    "memory": Verdict.MEMORY,
    "stuck": Verdict.STUCK,
    "cpu": Verdict.CPU,
    "time": Verdict.WAITING,
    "stop": Verdict.ORDERED,
}


@dataclass(frozen=True, slots=True)
class End:
    """A worker's end. `status` is as waitpid(2) gives it, None where nobody knows it.

    `order` is why the sidecar ended it (memory, stuck, cpu, time, stop), empty where it did not. `holding`: whether
    there was an unfinished message in its hands. `near_limit`: whether its anonymous memory was last seen near its
    own brake. `added` is what the counters of its leaf have added since it took the message.
    """

    status: int | None = None
    order: str = ""
    holding: bool = False
    near_limit: bool = False
    added: Counters = field(default_factory=Counters)


def judge(end: End) -> Verdict:
    """The verdict. What would be a strike without a message in hand is one all the same: the caller finds no claim."""
    if end.order:
        return _ORDERS[end.order]
    if end.added.kill:
        own = end.added.oom > 0 and (end.near_limit or not end.added.above)
        return Verdict.MEMORY if own else Verdict.COLLATERAL
    if end.status is None:
        return Verdict.LOST if end.holding else Verdict.IDLE
    if os.WIFSIGNALED(end.status):
        return _by_signal(os.WTERMSIG(end.status))
    return _by_code(os.waitstatus_to_exitcode(end.status)) if end.holding else Verdict.IDLE


def _by_code(code: int) -> Verdict:
    if code == os.EX_TEMPFAIL:
        return Verdict.DEFERRED
    return Verdict.ERROR if code else Verdict.LOST


def _by_signal(number: int) -> Verdict:
    if number in _CRASHES:
        return Verdict.CRASH
    if number == signal.SIGXCPU:
        return Verdict.CPU
    return Verdict.DISK if number == signal.SIGXFSZ else Verdict.NOT_OURS
