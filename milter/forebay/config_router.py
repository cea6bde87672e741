"""The settings of the sidecar: the router that it guards, its limits, and the sidecar's own."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Strict
from pydantic.dataclasses import dataclass

from forebay.config_types import AbsolutePath, Count, Flag, HostPort, Size, Text
from forebay.errors import Mistake

_SECTION: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)
_MEMORY: Final = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
_LEAST_ROOM: Final = 10 << 20

Duration = Annotated[float, Strict(), Ge(0)]
Files = tuple[AbsolutePath, ...]


@dataclass(frozen=True, slots=True, config=_SECTION)
class RouterLimits:
    """What one worker of the router may use, and all together. 0 means any."""

    memory: Size = 512 << 20
    """Memory of one worker, helpers included, at which the kernel ends it."""
    memory_brake: Size = 0
    """Memory of one worker at which it is stopped and looked at; 0 for 10 MiB or an eighth below its limit."""
    total_memory: Size = 0
    """Memory of the router and all workers; 0 for the machine's without `reserve`."""
    reserve: Size = 256 << 20
    """Memory of the machine that the router never gets."""
    message_time: Duration = 600.0
    """Seconds that one message may take by the clock; waiting is no strike."""
    message_cpu: Duration = 60.0
    """Seconds of CPU time that one message may take."""
    file_size: Size = 0
    """The largest file that a worker may write; 0 for the adapter's default (256M for zmailer, else any)."""
    pids: Count = 64
    """Processes of one worker, itself included."""
    strikes: Annotated[int, Strict(), Gt(0)] = 2
    """Ends of workers laid to one message, or to its fingerprint, at which it is set aside."""

    @property
    def brake(self) -> int:
        """The brake in bytes, 0 for none."""
        return self.memory_brake or max(self.memory - max(_LEAST_ROOM, self.memory // 8), self.memory // 2)

    @property
    def total(self) -> int:
        """The total in bytes."""
        return self.total_memory or max(_MEMORY - self.reserve, _MEMORY // 2)


@dataclass(frozen=True, slots=True, config=_SECTION)
class Service:
    """Limits of one service of the router's, where it has services (postfix: the names in master.cf, or of programs).

    What is not written is as the adapter has it for that service, else as in [router.limits]. 0 means any.
    """

    guard: Flag | None = None
    """Whether its processes are looked after at all."""
    memory: Size | None = None
    """As in [router.limits]."""
    memory_brake: Size | None = None
    """As in [router.limits]."""
    message_time: Duration | None = None
    """As in [router.limits]."""
    message_cpu: Duration | None = None
    """As in [router.limits]."""
    pids: Count | None = None
    """As in [router.limits]."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Router:
    """The router that the sidecar guards."""

    adapter: Text = "none"
    """What kind of router it is: zmailer, postfix, sendmail, spool, command, none, or an installed one."""
    spool: Files = ()
    """The directories where its messages wait; its POSTOFFICE (zmailer), queue_directory (postfix), QueueDirectory."""
    aside: AbsolutePath = ""
    """Where messages are set aside; empty for forebay-aside in the (first) spool directory."""
    claim: Text = "open"
    """How a worker of `spool` claims a message: "open", or how it renames it, such as "{name}-{pid}"."""
    command: tuple[Text, ...] = ()
    """The program to start, with its arguments; for the adapter command with {} where the message's path goes."""
    processes: Annotated[Count, Gt(0)] = 4
    """Processes that the adapter command runs at once."""
    workers: Text = ""
    """A regular expression that the command lines of workers match, where the router has other processes as well."""
    cgroup: AbsolutePath = ""
    """The delegated cgroup of the router's unit, such as /system.slice/router.service; empty for one of our own."""
    config: AbsolutePath = ""
    """The directory or file of the router's own configuration, where it has one; empty for its default."""
    input: Files = ()
    """Directories where writers leave mail for the gate; it goes on into the spool directory at the same place."""
    limits: RouterLimits = field(default_factory=RouterLimits)
    services: Mapping[str, Service] = field(default_factory=dict)
    """Limits of single services, each in a table [router.services.NAME]."""

    @property
    def aside_directory(self) -> str:
        """Where messages are set aside."""
        return self.aside or (f"{self.spool[0].rstrip('/')}/forebay-aside" if self.spool else "")


@dataclass(frozen=True, slots=True, config=_SECTION)
class Sidecar:
    """The service that guards the router."""

    state: AbsolutePath = ""
    """The directory of its journal, its own user's alone; empty for milter.state with -sidecar behind it."""
    mode: Literal["act", "observe"] = "act"
    """observe counts and logs what it would do about messages, and moves none."""
    metrics: HostPort = "127.0.0.1:9892"
    """Where /metrics and /healthz are served; empty for nowhere."""
    set_aside_max: Count = 10
    """Different killers set aside within an hour at which the router itself is taken to be broken; 0 for any."""
    limits: Literal["auto", "cgroup-v2", "cgroup-v1", "rlimit"] = "auto"
    """How limits are enforced; auto takes the best that works."""
    fanotify: Flag = True
    """Whether to record which worker opens which message, where the rights allow it."""


def _service_mistakes(router: Router, name: str, service: Service) -> Iterator[Mistake]:
    memory = router.limits.memory if service.memory is None else service.memory
    if memory and service.memory_brake and service.memory_brake >= memory:
        yield Mistake(f"router.services.{name}.memory_brake", f"must be less than memory ({memory})")
    if memory and router.limits.total < memory:
        yield Mistake(f"router.services.{name}.memory", f"must be at most total_memory ({router.limits.total})")


def mistakes(router: Router) -> list[Mistake]:
    """What settings of the section [router] say together that cannot be."""
    limits, found = router.limits, []
    if limits.memory and limits.memory_brake >= limits.memory:
        found.append(Mistake("router.limits.memory_brake", f"must be less than memory ({limits.memory})"))
    found += [each for name, service in router.services.items() for each in _service_mistakes(router, name, service)]
    if limits.memory and limits.total < limits.memory:
        found.append(Mistake("router.limits.total_memory", f"must be at least memory ({limits.memory})"))
    if limits.reserve >= _MEMORY:
        found.append(Mistake("router.limits.reserve", f"must be less than the machine's memory ({_MEMORY})"))
    if limits.message_time and limits.message_cpu >= limits.message_time:
        text = f"must be less than message_time ({limits.message_time:g}), or nothing ever comes to it"
        found.append(Mistake("router.limits.message_cpu", text))
    if len(router.spool) > 1 and len(router.input) not in {0, 1, len(router.spool)}:
        found.append(Mistake("router.input", "write one directory, or one for each directory in router.spool"))
    elif set(router.input) & set(router.spool):
        found.append(Mistake("router.input", "must not be a directory that the router itself reads"))
    try:
        re.compile(router.workers)
    except re.error as error:
        found.append(Mistake("router.workers", f"no regular expression: {error}"))
    return found
