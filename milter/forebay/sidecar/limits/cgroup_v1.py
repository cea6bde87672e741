"""Limits by cgroup v1: the memory controller, whose brake is a threshold eventfd and SIGSTOP.

The limit is on memory alone, not on memory and swap together, because the kernel counts no failures otherwise; swap
is kept off by memory.swappiness. oom_kill_disable is not used: it makes system calls come back short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from forebay.sidecar.limits import cgroup
from forebay.sidecar.limits.leaf import Bounds, Counters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SLACK = 1 << 20
"""Charges are made in batches: a group is at its limit when less than this is missing."""


class LeafV1:
    """A worker's group in the memory hierarchy."""

    def __init__(self, group: Path, slot: int, bounds: Bounds, above: cgroup.NumberFile) -> None:
        self.slot = slot
        self._group = group
        self._bounds = bounds
        cgroup.make(group)
        if bounds.memory:
            cgroup.write(group / "memory.limit_in_bytes", str(bounds.memory))
        cgroup.write(group / "memory.swappiness", "0")
        self._above = above
        self._usage = cgroup.NumberFile(group / "memory.usage_in_bytes")
        self._peak = cgroup.NumberFile(group / "memory.max_usage_in_bytes")
        self._stat = cgroup.NumberFile(group / "memory.stat")
        self._fails = cgroup.NumberFile(group / "memory.failcnt")
        self._oom = cgroup.NumberFile(group / "memory.oom_control")
        self._events: list[int] = []

    def watch(self, alarmed: Callable[[int], None]) -> None:
        """Call when memory crosses the brake, and when the kernel runs out of it here or above."""
        for name, argument in ((b"usage_in_bytes", b" %d" % self._bounds.brake), (b"oom_control", b"")):
            if argument == b" 0":
                continue
            event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            watched = os.open(self._group / f"memory.{name.decode()}", os.O_RDONLY | os.O_CLOEXEC)
            control = os.open(self._group / "cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(control, b"%d %d%s" % (event, watched, argument))
            finally:
                os.close(control)
                os.close(watched)
            self._events.append(event)
            asyncio.get_running_loop().add_reader(event, self._rang, event, alarmed)

    def _rang(self, event: int, alarmed: Callable[[int], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(event)
        alarmed(self.slot)

    @property
    def usage(self) -> int:
        return self._usage.number()

    @property
    def anonymous(self) -> int:
        return self._stat.numbers().get(b"rss", 0)

    @property
    def peak(self) -> int:
        return self._peak.number()

    @property
    def counters(self) -> Counters:
        """`oom` is inferred, since v1 counts only the kills: it was killed, and had come to its own limit."""
        kill = self._oom.numbers().get(b"oom_kill", 0)
        at_limit = bool(self._bounds.memory) and self.peak >= self._bounds.memory - _SLACK
        return Counters(0, self._fails.number(), kill if at_limit else 0, kill, self._above.number())

    def add(self, pid: int) -> bool:
        return cgroup.write(self._group / "cgroup.procs", str(pid))

    def pids(self) -> list[int]:
        return cgroup.pids(self._group)

    def stop(self) -> None:
        cgroup.signal_all(self._group, signal.SIGSTOP)

    def go_on(self) -> None:
        cgroup.signal_all(self._group, signal.SIGCONT)

    def kill(self) -> None:
        cgroup.signal_all(self._group, signal.SIGKILL)

    def close(self) -> None:
        """Let go of its files."""
        for event in self._events:
            asyncio.get_running_loop().remove_reader(event)
            os.close(event)
        self._events.clear()
        for each in (self._usage, self._peak, self._stat, self._fails, self._oom):
            each.close()


class CgroupV1:
    """The tree: `base` with the group `router` and one leaf a worker."""

    kind = "cgroup-v1"
    throttles = False

    def __init__(self, base: Path, bounds: Bounds, total: int) -> None:
        self.base = base
        self._bounds = bounds
        self._leaves: dict[int, LeafV1] = {}
        self._alarmed: Callable[[int], None] = lambda _: None
        cgroup.make(base)
        cgroup.gather(base)
        if total:
            cgroup.write(base / "memory.limit_in_bytes", str(total))
        self._fails = cgroup.NumberFile(base / "memory.failcnt")
        self._total = cgroup.NumberFile(base / "memory.usage_in_bytes")
        self._router = LeafV1(base / cgroup.ROUTER, -1, Bounds(bounds.memory, 0), self._fails)

    def start(self, alarmed: Callable[[int], None]) -> None:
        self._alarmed = alarmed

    def router_pids(self) -> list[int]:
        return self._router.pids()

    def router_counters(self) -> Counters:
        return self._router.counters

    def members(self, slot: int) -> list[int]:
        return cgroup.pids(self.base / f"{cgroup.WORKER}{slot}")

    def leaf(self, slot: int, bounds: Bounds | None = None) -> LeafV1:
        leaf = self._leaves.get(slot)
        if leaf is None:
            group = self.base / f"{cgroup.WORKER}{slot}"
            leaf = self._leaves[slot] = LeafV1(group, slot, bounds or self._bounds, self._fails)
            leaf.watch(self._alarmed)
        return leaf

    def drop(self, slot: int) -> bool:
        if not cgroup.remove(self.base / f"{cgroup.WORKER}{slot}"):
            return False
        leaf = self._leaves.pop(slot, None)
        if leaf:
            leaf.close()
        return True

    def slots(self) -> list[int]:
        return cgroup.slots(self.base)

    def make_room(self, processes: int) -> None:
        if self._bounds.memory:
            limit = self._router.usage + max(1, processes) * self._bounds.memory
            cgroup.write(self.base / cgroup.ROUTER / "memory.limit_in_bytes", str(limit))

    def enter_router(self) -> None:
        (self.base / cgroup.ROUTER / "cgroup.procs").write_text("0", "ascii")

    def started(self, pid: int) -> None:
        """It is in its group: nothing else is needed."""

    def enter(self, slot: int) -> None:
        (self.base / f"{cgroup.WORKER}{slot}" / "cgroup.procs").write_text("0", "ascii")

    def give_back(self, pid: int) -> None:
        self._router.add(pid)

    def total(self) -> int:
        return self._total.number()

    def close(self) -> None:
        for leaf in self._leaves.values():
            leaf.close()
        self._leaves.clear()
        self._router.close()
        self._fails.close()
        self._total.close()
