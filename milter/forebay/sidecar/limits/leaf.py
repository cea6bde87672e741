"""What the guard asks of a leaf, whichever way its limits are enforced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of a leaf; the names are those of cgroup v2's memory.events.local.

    `high`: times it was throttled; `max`: times it was at its limit; `oom`: times the limit could not be held;
    `kill`: processes the kernel killed in it, for whatever limit; `above`: times that a limit above it was reached.
    """

    high: int = 0
    max: int = 0
    oom: int = 0
    kill: int = 0
    above: int = 0

    def since(self, before: Counters) -> Counters:
        """What has been added."""
        return Counters(
            self.high - before.high,
            self.max - before.max,
            self.oom - before.oom,
            self.kill - before.kill,
            self.above - before.above,
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one worker, in bytes and processes; 0 means none."""

    memory: int
    brake: int
    file_size: int = 0
    pids: int = 0


class Leaf(Protocol):
    """The group of one worker and its helpers. Nothing here raises for a process or a group that is gone."""

    slot: int

    @property
    def usage(self) -> int:
        """Bytes in use, page cache included."""

    @property
    def anonymous(self) -> int:
        """Bytes of anonymous memory: what a suspect is suspected for."""

    @property
    def peak(self) -> int:
        """The most bytes that were in use."""

    @property
    def counters(self) -> Counters:
        """The counters now."""

    def add(self, pid: int) -> bool:
        """Take a running process in; False where that is refused or it is gone."""

    def pids(self) -> list[int]:
        """Its processes."""

    def stop(self) -> None:
        """Let its processes stand still."""

    def go_on(self) -> None:
        """Let them run again."""

    def kill(self) -> None:
        """End all of its processes."""


class Enforcement(Protocol):
    """One way to enforce limits."""

    kind: str
    throttles: bool
    """Whether the kernel itself slows a worker down at the brake; else the guard stops it."""

    def start(self, alarmed: Callable[[int], None]) -> None:
        """Begin. `alarmed` is called with a slot whose memory, or counters, want a look."""

    def router_pids(self) -> list[int]:
        """The router's processes that are in no leaf."""

    def leaf(self, slot: int, bounds: Bounds | None = None) -> Leaf:
        """The leaf of a slot, made where it is not there yet, with these limits, else those of any worker."""

    def members(self, slot: int) -> list[int]:
        """The processes in the leaf of a slot, whose limits are left alone."""

    def drop(self, slot: int) -> bool:
        """Remove the leaf of a slot; False where it is not empty yet."""

    def slots(self) -> list[int]:
        """The slots whose leaves exist, from an earlier life of the sidecar too."""

    def router_counters(self) -> Counters:
        """The counters of the group of those that are in no leaf."""

    def make_room(self, processes: int) -> None:
        """Let so many processes that are in no leaf have, beyond what is in use there, the memory of a worker each.

        What a worker has used before it came to its leaf stays with the group that it came from.
        """

    def enter_router(self) -> None:
        """Called in a forked child before it executes the router."""

    def started(self, pid: int) -> None:
        """The router's first process was started by us."""

    def enter(self, slot: int) -> None:
        """Called in a forked child before it executes a worker in the leaf of this slot."""

    def give_back(self, pid: int) -> None:
        """Take a process out of its leaf and back to the router's."""

    def total(self) -> int:
        """Bytes in use by the router and all workers."""

    def close(self) -> None:
        """Let go of what is open; processes and their groups stay."""
