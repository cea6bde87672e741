"""What is done to the system: each fault is a function that begins it, waits at `yield`, and takes it back.

The chronicle has what the checker needs to tell a delivery that a kill explains from one that nothing explains.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Generator, Iterator

    from faults.whole_kit import Whole

    Fault = Callable[["Whole", "Chronicle", random.Random], Generator[float, None, None]]

KILL, STOP, GO_ON, TERM = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM
SHORT: Final = 0.2
OUTAGE: Final = 2.0
_LITTLE: Final = 1 << 20


class Chronicle:
    """When Postfix was hurt, which processes of the router were killed, what an operator released."""

    def __init__(self) -> None:
        self.killed: set[int] = set()
        self.released: list[str] = []
        self.done: list[str] = []
        self._hurt: list[tuple[float, float]] = []

    def hurt_postfix(self, begin: float, end: float) -> bool:
        """Whether something was done to it in this time (seconds since 1970)."""
        return any(since <= end and until >= begin for since, until in self._hurt)

    @contextmanager
    def hurting_postfix(self) -> Iterator[None]:
        """Something is done to it in this block."""
        since = time.time()
        try:
            yield
        finally:
            self._hurt.append((since, time.time()))


def send(number: signal.Signals, pids: list[int]) -> None:
    """A signal to each of them that is still there; 0 is one that has ended before, and to kill(2) it is ourselves."""
    for pid in filter(None, pids):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


# -- the milter --


def of_milter(name: str, *, stop: bool = False) -> Fault:
    """One of its processes is killed, or stands still for a while."""

    def fault(system: Whole, _: Chronicle, chance: random.Random) -> Generator[float, None, None]:
        pids = system.milter.children(f"forebay-{name}") if name else [system.milter.pid]
        yield from pause_or_kill([chance.choice(pids)] if pids else [], stop=stop)

    return fault


def pause_or_kill(pids: list[int], *, stop: bool) -> Generator[float, None, None]:
    """SIGKILL, or SIGSTOP and SIGCONT."""
    send(STOP if stop else KILL, pids)
    yield OUTAGE if stop else SHORT
    if stop:
        send(GO_ON, pids)


def milter_reloads(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """Its configuration is read again; nothing has changed."""
    send(signal.SIGHUP, [system.milter.pid])
    yield SHORT


def milter_reloads_nonsense(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """A configuration that is wrong is read, by both services, and the right one again."""
    good = system.config.read_text()
    system.config.write_text(good + '[policy]\npreset = "no such"\n')
    send(signal.SIGHUP, [system.milter.pid, system.sidecar.pid])
    yield OUTAGE
    system.config.write_text(good)
    send(signal.SIGHUP, [system.milter.pid, system.sidecar.pid])


def milter_ends(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """It is stopped, and started again a moment later."""
    send(TERM, [system.milter.pid])
    yield SHORT


# -- the sidecar --


def of_sidecar(name: str, *, stop: bool = False) -> Fault:
    """The guard or the clerk is killed, or stands still for a while."""

    def fault(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
        yield from pause_or_kill(system.sidecar.children(name) if name else [system.sidecar.pid], stop=stop)

    return fault


def sidecar_ends(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """It is stopped, and started again a moment later."""
    send(TERM, [system.sidecar.pid])
    yield SHORT


# -- the router --


def router_worker(number: signal.Signals) -> Fault:
    """One of its workers is killed, by somebody."""

    def fault(system: Whole, chronicle: Chronicle, chance: random.Random) -> Generator[float, None, None]:
        pids = [pid for pid in system.router.children("standin_router") if pid != system.router.pid]
        chosen = [chance.choice(pids)] if pids else []
        chronicle.killed.update(chosen)
        send(number, chosen)
        yield SHORT

    return fault


def router_worker_stops(system: Whole, _: Chronicle, chance: random.Random) -> Generator[float, None, None]:
    """One of its workers stands still for a while."""
    pids = system.router.children("standin_router")
    yield from pause_or_kill([chance.choice(pids)] if pids else [], stop=True)


def router_dies(system: Whole, chronicle: Chronicle, _: random.Random) -> Generator[float, None, None]:
    """All of it at once, as in a reboot."""
    pids = [*system.router.children("standin_router"), system.router.pid]
    chronicle.killed.update(pids)
    send(KILL, pids)
    yield SHORT


# -- Postfix --


def of_postfix(name: str, *, stop: bool = False) -> Fault:
    """Its processes of one kind are killed, or stand still for a while."""

    def fault(system: Whole, chronicle: Chronicle, _: random.Random) -> Generator[float, None, None]:
        with chronicle.hurting_postfix():
            yield from pause_or_kill(system.postfix_children(name), stop=stop)

    return fault


def postfix_dies(system: Whole, chronicle: Chronicle, _: random.Random) -> Generator[float, None, None]:
    """Its master, and with it all others."""
    with chronicle.hurting_postfix():
        send(KILL, system.postfix_children("master"))
        yield SHORT
        system.stop_postfix()


def postfix_ends(system: Whole, chronicle: Chronicle, _: random.Random) -> Generator[float, None, None]:
    """It is stopped, and started again a while later."""
    with chronicle.hurting_postfix():
        system.stop_postfix()
        yield OUTAGE


# -- PostgreSQL --


def database_dies(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """It is killed, and started again."""
    system.server.stop(signal.SIGQUIT)
    yield SHORT


def database_is_away(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """It is stopped for a while."""
    system.is_server_wanted = False
    system.server.stop()
    yield 2 * OUTAGE
    system.is_server_wanted = True


def database_stands_still(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """Its connections are open, and nobody answers."""
    yield from pause_or_kill(system.server.pids(), stop=True)


def connections_are_cut(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """All of those to the database."""
    system.server.cut()
    yield SHORT


# -- the machine --


def disk_is_full(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
    """Spool and state have no byte left."""
    filling = system.disk / "filling"
    fill(filling)
    yield OUTAGE
    filling.unlink()


def fill(path: Path) -> None:
    """Take all that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def clock_jumps(seconds: int) -> Fault:
    """The wall clock of milter and sidecar, there and back."""

    def fault(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
        set_jump(system.jump, seconds)
        yield OUTAGE
        set_jump(system.jump, 0)

    return fault


def set_jump(file: Path, seconds: int) -> None:
    """Let the clock be so many seconds off; the file stays the same, since it is mapped."""
    with file.open("r+b") as opened:
        opened.write(struct.pack("=q", seconds))


def no_descriptors(which: Callable[[Whole], list[int]]) -> Fault:
    """Processes may open no file and no socket for a while."""

    def fault(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
        pids = which(system)
        before = [bounded(pid, resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir()))) for pid in pids]
        yield OUTAGE
        unbound(pids, resource.RLIMIT_NOFILE, before)

    return fault


def no_memory(which: Callable[[Whole], list[int]]) -> Fault:
    """Processes get no more memory for a while."""

    def fault(system: Whole, _: Chronicle, __: random.Random) -> Generator[float, None, None]:
        pids = which(system)
        before = [bounded(pid, resource.RLIMIT_AS, size_of(pid) + _LITTLE) for pid in pids]
        yield OUTAGE
        unbound(pids, resource.RLIMIT_AS, before)

    return fault


def bounded(pid: int, what: int, most: int) -> tuple[int, int]:
    """Set a soft limit of a process; what its limits were before."""
    try:
        before = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (most, before[1]))
    except ProcessLookupError:
        return (0, 0)
    return before


def unbound(pids: list[int], what: int, before: list[tuple[int, int]]) -> None:
    """Give processes back what they had."""
    for pid, limits in zip(pids, before, strict=True):
        with suppress(ProcessLookupError):
            resource.prlimit(pid, what, limits)


def size_of(pid: int) -> int:
    """Bytes of address space of a process."""
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[0]) * resource.getpagesize()


# -- a person --


def operator_releases(system: Whole, chronicle: Chronicle, chance: random.Random) -> Generator[float, None, None]:
    """One of the messages that wait is let go on, as far as that is possible now."""
    done = system.desk.run("quarantine", "list", "--kind", "mta-hold")
    ids = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    if ids:
        chosen = chance.choice(ids)
        chronicle.released += [each["place"] for each in system.desk.entries("--all") if each["id"].startswith(chosen)]
        system.desk.run("quarantine", "release", chosen)
    yield SHORT


def workers(system: Whole) -> list[int]:
    """The milter's."""
    return system.milter.children("forebay-worker")


def keeper(system: Whole) -> list[int]:
    """The milter's."""
    return system.milter.children("forebay-keeper")


def guard(system: Whole) -> list[int]:
    """The sidecar's first process."""
    return [system.sidecar.pid] if system.sidecar.pid else []


FAULTS: Final[dict[str, Fault]] = {
    "milter worker killed": of_milter("worker"),
    "milter worker stopped": of_milter("worker", stop=True),
    "milter worker without descriptors": no_descriptors(workers),
    "milter worker without memory": no_memory(workers),
    "template killed": of_milter("template"),
    "keeper killed": of_milter("keeper"),
    "keeper stopped": of_milter("keeper", stop=True),
    "keeper without descriptors": no_descriptors(keeper),
    "keeper without memory": no_memory(keeper),
    "supervisor killed": of_milter(""),
    "supervisor stopped": of_milter("", stop=True),
    "milter reloads": milter_reloads,
    "milter and sidecar reload nonsense": milter_reloads_nonsense,
    "milter ends": milter_ends,
    "sidecar killed": of_sidecar(""),
    "sidecar stopped": of_sidecar("", stop=True),
    "sidecar without descriptors": no_descriptors(guard),
    "sidecar without memory": no_memory(guard),
    "sidecar ends": sidecar_ends,
    "clerk killed": of_sidecar("forebay.sidecar.clerk"),
    "clerk stopped": of_sidecar("forebay.sidecar.clerk", stop=True),
    "router worker killed": router_worker(KILL),
    "router worker asked to end": router_worker(TERM),
    "router worker stopped": router_worker_stops,
    "router dies": router_dies,
    "smtpd killed": of_postfix("smtpd"),
    "cleanup killed": of_postfix("cleanup"),
    "cleanup stopped": of_postfix("cleanup", stop=True),
    "qmgr killed": of_postfix("qmgr"),
    "pipe killed": of_postfix("pipe"),
    "Postfix dies": postfix_dies,
    "Postfix ends": postfix_ends,
    "database dies": database_dies,
    "database is away": database_is_away,
    "database stands still": database_stands_still,
    "connections are cut": connections_are_cut,
    "disk is full": disk_is_full,
    "clock jumps ahead": clock_jumps(7200),
    "clock jumps back": clock_jumps(-7200),
    "operator releases": operator_releases,
}
