"""Limits without cgroups: RLIMIT_AS on each worker, and its memory read again and again.

A router that meets its RLIMIT_AS may sleep and try again for ever, so the limit is only the back-stop: whoever comes
to the brake is found by polling. Groups do not exist here: a leaf is a worker and its descendants.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.api.process import PAGE, is_alive, state
from forebay.sidecar.limits.leaf import Bounds, Counters

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOM: Final = 256 << 20
"""What a program maps besides its data: its text, its libraries, its threads' stacks."""


class ProcessLeaf:
    """A worker and its descendants."""

    def __init__(self, slot: int, bounds: Bounds) -> None:
        self.slot = slot
        self._bounds = bounds
        self._pid = self._started = 0
        self._peak = 0

    @property
    def usage(self) -> int:
        found = sum(each.rss for each in map(state, self.pids()) if each)
        self._peak = max(self._peak, found)
        return found

    @property
    def anonymous(self) -> int:
        return sum(map(_anonymous, self.pids()))

    @property
    def peak(self) -> int:
        return self._peak

    @property
    def counters(self) -> Counters:
        return Counters()

    def add(self, pid: int) -> bool:
        if self._pid:
            return True
        found = state(pid)
        self._pid, self._started = pid, found.started if found else 0
        if not self._bounds.memory:
            return True
        most = self._bounds.memory + _ROOM
        try:
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
        except (OSError, ValueError):
            return False
        return True

    def pids(self) -> list[int]:
        """None once it has ended: its children are then others', and its pid may be."""
        return [self._pid, *descendants(self._pid)] if is_alive(self._pid, self._started) else []

    def stop(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(OSError):
                os.kill(pid, number)


class Rlimits:
    """The processes below one root: the router that was started, or the one whose pid is known."""

    kind = "rlimit"
    throttles = False

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._leaves: dict[int, ProcessLeaf] = {}
        self._roots: set[int] = set()

    def start(self, alarmed: Callable[[int], None]) -> None:
        """Nothing rings here: all is polled."""

    def router_pids(self) -> list[int]:
        known = {pid for leaf in self._leaves.values() for pid in leaf.pids()} | {os.getpid()}
        found = dict.fromkeys(pid for root in self._roots for pid in (root, *descendants(root)))
        return [pid for pid in found if pid not in known and (now := state(pid)) and now.letter not in "ZX"]

    def router_counters(self) -> Counters:
        return Counters()

    def members(self, slot: int) -> list[int]:
        return self._leaves[slot].pids() if slot in self._leaves else []

    def leaf(self, slot: int, bounds: Bounds | None = None) -> ProcessLeaf:
        return self._leaves.setdefault(slot, ProcessLeaf(slot, bounds or self._bounds))

    def drop(self, slot: int) -> bool:
        self._leaves.pop(slot, None)
        return True

    def slots(self) -> list[int]:
        return []

    def make_room(self, processes: int) -> None:
        """Each process has its own limit here."""

    def enter_router(self) -> None:
        """A child of ours is found by its parent."""

    def started(self, pid: int) -> None:
        self._roots = {pid, os.getpid()}  # orphans come to us

    def enter(self, slot: int) -> None:
        if self._bounds.memory:
            most = self._bounds.memory + _ROOM
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def give_back(self, pid: int) -> None:
        for slot, leaf in list(self._leaves.items()):
            if leaf.pids()[:1] == [pid]:
                del self._leaves[slot]

    def total(self) -> int:
        return sum(leaf.usage for leaf in self._leaves.values())

    def close(self) -> None:
        self._leaves.clear()


def descendants(pid: int) -> list[int]:
    """All processes below one, as far as their parents live."""
    found: list[int] = []
    todo = [pid]
    while todo:
        each = todo.pop()
        with contextlib.suppress(OSError, ValueError):
            children = [int(word) for word in Path(f"/proc/{each}/task/{each}/children").read_text("ascii").split()]
            found += children
            todo += children
    return found


def _anonymous(pid: int) -> int:
    try:
        words = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    except OSError:
        return 0
    return (int(words[1]) - int(words[2])) * PAGE
