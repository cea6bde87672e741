"""Limits by cgroup v2: memory.high is the brake, memory.max the limit, memory.events.local what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from typing import TYPE_CHECKING, Final

from forebay.sidecar.limits import cgroup, inotify
from forebay.sidecar.limits.leaf import Bounds, Counters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TURNS: Final = 100
"""A process that forks can be a step ahead of us, but not for so long."""


class LeafV2:
    """A worker's group. `above` is the event file of the group above it."""

    def __init__(self, group: Path, slot: int, bounds: Bounds, above: cgroup.NumberFile) -> None:
        self.slot = slot
        self.group = group
        cgroup.make(group)
        for name, value in (
            ("memory.max", bounds.memory),
            ("memory.high", bounds.brake),
            ("pids.max", bounds.pids),
        ):
            if value:
                cgroup.write(group / name, str(value))
        if bounds.memory:
            cgroup.write(group / "memory.swap.max", "0")
        self._above = above
        self._current = cgroup.NumberFile(group / "memory.current")
        self._stat = cgroup.NumberFile(group / "memory.stat")
        self._events = cgroup.NumberFile(group / "memory.events.local")
        self._peak = cgroup.NumberFile(group / "memory.peak") if (group / "memory.peak").exists() else None

    @property
    def usage(self) -> int:
        return self._current.number()

    @property
    def anonymous(self) -> int:
        return self._stat.numbers().get(b"anon", 0)

    @property
    def peak(self) -> int:
        return self._peak.number() if self._peak else 0

    @property
    def counters(self) -> Counters:
        found = self._events.numbers()
        return Counters(
            found.get(b"high", 0),
            found.get(b"max", 0),
            found.get(b"oom", 0),
            found.get(b"oom_kill", 0),
            self._above.numbers().get(b"oom", 0),
        )

    def add(self, pid: int) -> bool:
        return cgroup.write(self.group / "cgroup.procs", str(pid))

    def pids(self) -> list[int]:
        return cgroup.pids(self.group)

    def stop(self) -> None:
        cgroup.signal_all(self.group, signal.SIGSTOP)

    def go_on(self) -> None:
        cgroup.signal_all(self.group, signal.SIGCONT)

    def kill(self) -> None:
        if not cgroup.write(self.group / "cgroup.kill", "1"):
            cgroup.signal_all(self.group, signal.SIGKILL)

    def close(self) -> None:
        """Let go of its files."""
        for each in (self._current, self._stat, self._events, self._peak):
            if each:
                each.close()


def _delegate(base: Path) -> None:
    """Let the groups below have limits. Raises OSError.

    As long as `base` has processes of its own, the kernel refuses it, so these are moved; what they fork meanwhile, in
    the next turn. Never pids without memory: a group with processes may have that, but then it counts as one for
    threads, and nobody can enter a group below it (the kernel's cgroup-v2, "Threads").
    """
    control = base / "cgroup.subtree_control"
    for _ in range(_TURNS):
        cgroup.gather(base)
        if cgroup.write(control, "+memory") or "memory" in control.read_text("ascii").split():
            cgroup.write(control, "+pids")
            return
    raise OSError(errno.EBUSY, "it has processes that cannot be moved", str(base))


class CgroupV2:
    """The tree: `base`, delegated to us and without processes of its own, with `router` and one leaf a worker."""

    kind = "cgroup-v2"
    throttles = True

    def __init__(self, base: Path, bounds: Bounds, total: int) -> None:
        self.base = base
        self._bounds = bounds
        self._leaves: dict[int, LeafV2] = {}
        self._watches: dict[int, int] = {}
        self._alarmed: Callable[[int], None] = lambda _: None
        cgroup.make(base)
        _delegate(base)
        if total:
            cgroup.write(base / "memory.max", str(total))
        self._events = cgroup.NumberFile(base / "memory.events.local")
        self._current = cgroup.NumberFile(base / "memory.current")
        self._router = LeafV2(base / cgroup.ROUTER, -1, Bounds(bounds.memory, 0), self._events)
        self._inotify = inotify.open_queue()

    def start(self, alarmed: Callable[[int], None]) -> None:
        self._alarmed = alarmed
        asyncio.get_running_loop().add_reader(self._inotify, self._rang)

    def _rang(self) -> None:
        for slot in {self._watches.get(each.watch, -1) for each in inotify.read(self._inotify)}:
            if slot >= 0:
                self._alarmed(slot)

    def router_pids(self) -> list[int]:
        return self._router.pids()

    def router_counters(self) -> Counters:
        return self._router.counters

    def members(self, slot: int) -> list[int]:
        return cgroup.pids(self.base / f"{cgroup.WORKER}{slot}")

    def leaf(self, slot: int, bounds: Bounds | None = None) -> LeafV2:
        leaf = self._leaves.get(slot)
        if leaf is None:
            group = self.base / f"{cgroup.WORKER}{slot}"
            leaf = self._leaves[slot] = LeafV2(group, slot, bounds or self._bounds, self._events)
            watch = inotify.add(self._inotify, group / "memory.events.local", inotify.MODIFY)
            self._watches[watch] = slot
        return leaf

    def drop(self, slot: int) -> bool:
        if not cgroup.remove(self.base / f"{cgroup.WORKER}{slot}"):
            return False
        leaf = self._leaves.pop(slot, None)
        if leaf:
            leaf.close()
        self._watches = {watch: each for watch, each in self._watches.items() if each != slot}
        return True

    def slots(self) -> list[int]:
        return cgroup.slots(self.base)

    def make_room(self, processes: int) -> None:
        if self._bounds.memory:
            limit = self._router.usage + max(1, processes) * self._bounds.memory
            cgroup.write(self.base / cgroup.ROUTER / "memory.max", str(limit))

    def enter_router(self) -> None:
        (self.base / cgroup.ROUTER / "cgroup.procs").write_text("0", "ascii")

    def started(self, pid: int) -> None:
        """It is in its group: nothing else is needed."""

    def enter(self, slot: int) -> None:
        (self.base / f"{cgroup.WORKER}{slot}" / "cgroup.procs").write_text("0", "ascii")

    def give_back(self, pid: int) -> None:
        self._router.add(pid)

    def total(self) -> int:
        return self._current.number()

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop runs any more
            asyncio.get_running_loop().remove_reader(self._inotify)
        inotify.close(self._inotify)
        for leaf in self._leaves.values():
            leaf.close()
        self._leaves.clear()
        self._router.close()
        self._events.close()
        self._current.close()
