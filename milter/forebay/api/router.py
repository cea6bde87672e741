"""What the author of a router adapter imports, and all that he may import.

An adapter answers for one kind of router: where its messages lie, what a file name means, which message a process
holds and how sure that is, and how a message gets back into its queue. It knows nothing of limits, strikes or
quarantine. It is found by the entry point group `forebay.routers`; the name of the entry point is what
`[router] adapter` says:

    class Acme(Adapter):
        # Acme's router, whose messages have names of digits.
        def is_message(self, path: str) -> bool: ...
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Final

from forebay import files
from forebay.api.process import Process, has_lock, is_alive, opened, process, state, waits_for_lock
from forebay.message.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "API",
    "ASIDE",
    "Adapter",
    "Confidence",
    "Envelope",
    "Holding",
    "Limits",
    "Message",
    "Process",
    "Reading",
    "Site",
    "has_lock",
    "is_alive",
    "opened",
    "plain_file",
    "process",
    "start_of",
    "state",
    "waits_for_lock",
]

API: Final = 1
"""The number of this interface."""
ASIDE: Final = "forebay-aside"
"""The directory of what was set aside, in the spool; no adapter takes what lies there for a message."""
_IDENTITY: Final = struct.Struct(">QQqQ")
_MOST_READ: Final = 1 << 20


def start_of(path: str, most: int = _MOST_READ) -> bytes:
    """The start of a message, at most so many bytes: a mebibyte. Raises OSError, also for what is no regular file."""
    with plain_file(path) as file:
        return file.read(most)


def plain_file(path: str) -> BinaryIO:
    """A regular file, open for reading: in a spool where others write, no link is followed and no pipe waited for.

    Raises OSError.
    """
    return os.fdopen(files.open_regular(path), "rb")


class Confidence(IntEnum):
    """How sure it is that a process holds a message. With `UNKNOWN` nothing is ever moved."""

    UNKNOWN = 0
    SAMPLED = 1
    OBSERVED = 2
    CERTAIN = 3

    @property
    def word(self) -> str:
        """As written in evidence, logs and metrics."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the spool. `identity` stays the same when it is renamed, and differs when it is another one."""

    path: str
    identity: bytes
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Holding:
    """A process holds a message; `source` is a word for how that is known: name, lock, open, launched, fanotify."""

    message: Message
    confidence: Confidence
    source: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The start of a message, at most a mebibyte of it: its envelope, and the bytes that begin with its header.

    `fields` are the header as the router's own MTA shows it to a milter; without, `raw` is cut as Postfix cuts it.
    """

    envelope: Envelope
    raw: bytes
    fields: tuple[tuple[bytes, bytes], ...] | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What the configuration says of the router at this site, in the words of the section [router].

    `input` are the directories of the gate: the router does not read them.
    """

    spool: tuple[str, ...] = ()
    claim: str = ""
    workers: str = ""
    command: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    aside: str = ""
    config: str = ""
    services: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Limits:
    """What an adapter has for one service of its router, in the words of [router.services.NAME]; None: as for all."""

    guard: bool | None = None
    memory: int | None = None
    memory_brake: int | None = None
    message_time: float | None = None
    message_cpu: float | None = None
    pids: int | None = None


class Adapter:
    """The base of all adapters: a router that takes files from directories, and whose claim is the file it has open.

    `site.spool` names the directories. `file_size` is the default of the limit on what a worker may write, in bytes,
    0 for none. `launches`: whether the sidecar starts one process a message.
    `follows`: whether it is told of each message that is opened. `locks`: whether who works on a message has a lock on
    it; None where that is to be seen. `limits`: what the services of the router are limited
    to where the configuration does not say otherwise.
    """

    file_size: ClassVar[int] = 0
    launches: ClassVar[bool] = False
    needs_spool: ClassVar[bool] = True
    follows: ClassVar[bool] = False
    locks: ClassVar[bool | None] = None
    limits: ClassVar[Mapping[str, Limits]] = MappingProxyType({})

    def __init__(self, site: Site) -> None:
        self.site = site
        self.below = tuple(each.rstrip("/") + "/" for each in self.directories())

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with the section [router] for this kind of router: (setting, what to write instead)."""
        if self.needs_spool and not self.site.spool:
            return [("spool", "name the directories where this router's messages wait")]
        return []

    def directories(self) -> tuple[str, ...]:
        """The directories where messages wait and are worked upon."""
        return self.site.spool

    def takes(self, name: str) -> bool:
        """Whether the router takes a file of this name for a message."""
        return not name.startswith(".") and name != ASIDE

    def is_message(self, path: str) -> bool:
        """Whether a path is that of a message, by its name alone."""
        folder, _, name = path.rpartition("/")
        return f"{folder}/" in self.below and self.takes(name)

    def claimant(self, path: str) -> int:
        """The pid that the name of a claimed message tells, or 0."""
        return 0

    def identity(self, path: str, status: os.stat_result) -> bytes:
        """What a message is known by: device, inode, mtime and size; never a name, and never ctime."""
        return _IDENTITY.pack(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def message(self, path: str) -> Message | None:
        """The message at this path, or None where there is none."""
        try:
            status = os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return Message(path, self.identity(path, status), status.st_size, status.st_mtime)

    def paths(self) -> Iterator[str]:
        """The path of every message in the spool, claimed or not."""
        for folder in self.directories():
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            yield from (path for name in names if self.is_message(path := f"{folder}/{name}"))

    def find(self, message: Message) -> Message | None:
        """Where a message lies now, whatever its name has become; None where it is in the spool no more."""
        here = self.message(message.path)
        if here and here.identity == message.identity:
            return here
        for path in self.paths():
            there = self.message(path)
            if there and there.identity == message.identity:
                return there
        return None

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        """The messages that a live worker holds. `at_rest`: it is stopped or throttled, so that the answer stays true.

        A worker that waits for another's lock holds nothing.
        """
        confidence = Confidence.OBSERVED if at_rest else Confidence.SAMPLED
        found = []
        locked = opened(worker.pid, self.below, locked=True)
        for each in opened(worker.pid, self.below):
            here = self.message(each.path) if self.is_message(each.path) else None
            if here and (each in locked or not waits_for_lock(worker.pid, each.inode)):
                found.append(Holding(here, confidence, "open"))
        return found

    def left_by(self, worker: Process, paths: Iterable[str]) -> list[Holding]:
        """The messages whose names still say that a dead worker holds them; `paths` are those in the spool."""
        left = (self.message(path) for path in paths if self.claimant(path) == worker.pid)
        return [Holding(each, Confidence.CERTAIN, "name") for each in left if each]

    def names_claims(self) -> bool:
        """Whether names tell who holds a message."""
        return False

    def read(self, path: str) -> Reading:
        """The envelope, where the file has one, and the start of the message. Raises OSError."""
        return Reading(Envelope(), start_of(path))

    def place(self, original: str, status: os.stat_result) -> str:
        """The path under which a message, with this status, is put back into the queue for the router to take."""
        return original

    def hurry(self, patience: float) -> None:
        """Who asks cannot wait longer than this for a command of the router's: it goes on, and BlockingIOError is raised."""

    # Setting aside. A router that has a place of its own for what is to wait (a hold queue) is told to use that: these
    # four are overridden together. `message.path` may be out of date; its identity is not. Each may be called again
    # after any interruption, and answers as if it had been called once.

    def set_aside(self, message: Message, target: str, move: Callable[[str, str], None]) -> str:
        """Take a message out of the router's reach; the path where it lies then, empty where it is in no queue any more.

        `move(source, target)` is a durable rename. Raises OSError where that is to be tried again later:
        BlockingIOError while somebody has the file open who must not lose it.
        """
        here = self.find(message)
        if here is None:
            return self.kept(message, target)
        move(here.path, target)
        return target

    def bar(self, message: Message) -> None:
        """Keep a convicted message, that cannot be moved yet, from being taken up again. Nothing is raised."""

    def kept(self, message: Message, target: str) -> str:
        """Where a message lies that was set aside, with this target; empty where it does not any more, or not yet."""
        return target if os.path.lexists(target) else ""

    def put_back(self, message: Message, original: str, target: str, move: Callable[[str, str], None]) -> None:
        """Give back to the router what was set aside with this target; nothing is done where it is not there any more.

        `original` is where it was. Raises OSError: FileExistsError where its place is taken.
        """
        try:
            status = os.lstat(target)
        except FileNotFoundError:
            return
        move(target, self.place(original, status))

    def remade(self, message: Message, original: str) -> bool:
        """Whether this may be what the router has made of a message that was put back at `original`, by its place alone."""
        return False

    def discard(self, message: Message, target: str, remove: Callable[[str], None]) -> None:
        """Remove for good what was set aside with this target; `remove(path)` is a durable unlink. Raises OSError."""
        remove(target)

    # Workers, where a router has more kinds of processes than one.

    def is_worker(self, found: Process, parent: Process | None) -> bool | None:
        """Whether a process is a worker; None where only its place in the tree of processes tells.

        What is none is asked about again a moment later: it may not be yet what it is to be.
        """
        return None

    def starts_workers(self, worker: Process) -> bool:
        """Whether a worker starts processes that are workers by themselves, so that they get a leaf of their own."""
        return False

    def only_answers(self, worker: Process) -> bool:
        """Whether a worker has never a message, and answers questions of others: it is at rest between two of them."""
        return False

    def claim(self, worker: Process) -> list[Holding] | None:
        """What a worker holds, or did when it ended, where the adapter knows; None: what it has opened itself tells.

        Of one that has ended before anybody looked only the pids are known, its own and its parent's.
        """
        return None

    def has_opened(self, pid: int, path: str) -> None:
        """A worker has opened this message, after all that were told before. Told only to who `follows`."""

    def services(self, worker: Process) -> tuple[str, ...]:
        """The names by which [router.services] may give a worker limits of its own, the most particular one first."""
        return ()

    def answers(self, worker: Process, code: int) -> bool:
        """Whether a worker that ends with this exit status has answered, and not failed; what it started goes on."""
        return False

    def leftovers(self, worker: Process, held: Iterable[Message]) -> list[str]:
        """Half-written files that a dead worker left, which nobody but it would have finished."""
        return []

    def stuck(self) -> list[str]:
        """Files that the router will never look at again, for a person to see."""
        return []
