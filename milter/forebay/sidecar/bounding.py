"""The limits of each worker: those of its service, where the router has services, else those of [router.limits]."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from forebay.sidecar.limits.leaf import Bounds

if TYPE_CHECKING:
    from forebay.api.router import Adapter, Process
    from forebay.config_router import Router


class Times(NamedTuple):
    """How long one message may take: seconds by the clock, seconds of CPU; 0 means any."""

    message_time: float
    message_cpu: float


class Bounding:
    """Reads [router.services.NAME], then what the adapter has for a service of that name, then [router.limits]."""

    def __init__(self, router: Router, adapter: Adapter, file_size: int) -> None:
        self._router = router
        self._adapter = adapter
        self._file_size = file_size
        self._known: dict[tuple[str, ...], tuple[Bounds, Times]] = {}

    def guards(self, worker: Process) -> bool:
        """Whether a worker of its service is looked after at all."""
        return bool(self._first("guard", self._adapter.services(worker), default=True))

    def of(self, worker: Process | None) -> tuple[Bounds, Times]:
        """The limits of a worker; of one that nothing is known of, without one."""
        names = self._adapter.services(worker) if worker else ()
        if names not in self._known:
            self._known[names] = self._of(names)
        return self._known[names]

    def _of(self, names: tuple[str, ...]) -> tuple[Bounds, Times]:
        limits = self._router.limits
        memory = int(self._first("memory", names, limits.memory))
        own = limits.brake if limits.memory else limits.memory_brake
        brake = int(self._first("memory_brake", names, own if memory == limits.memory else 0))
        pids = int(self._first("pids", names, limits.pids))
        time = self._first("message_time", names, limits.message_time)
        cpu = self._first("message_cpu", names, limits.message_cpu)
        return Bounds(memory, brake or brake_of(memory), self._file_size, pids), Times(time, cpu)

    def _first(self, setting: str, names: tuple[str, ...], default: float) -> float:
        for table in (self._router.services, self._adapter.limits):
            for name in names:
                value = getattr(table[name], setting) if name in table else None
                if value is not None:
                    return float(value)
        return default


def brake_of(memory: int) -> int:
    """Where the brake is when nothing else is said: 10 MiB or an eighth below the limit."""
    return max(memory - max(10 << 20, memory // 8), memory // 2)
