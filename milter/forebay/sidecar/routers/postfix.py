"""Postfix: its `cleanup`, `trivial-rewrite`, `pickup` and delivery agents, and the programs that `pipe` and `local` start.

`spool` is queue_directory. A message is a queue file of maildrop, incoming, active or deferred that is written to its
end. It is known by device, inode, time of arrival and queue id: the queue manager changes its mtime, and short queue
ids are used again. `master` is the parent of all and never a worker; neither are qmgr, smtpd and what else no single
message can be laid to.
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from contextlib import suppress
from stat import S_ISREG, S_IXUSR
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from forebay.api.router import Adapter, Confidence, Holding, Limits, Message, Site, opened, plain_file, process
from forebay.sidecar.routers import postfix_file
from forebay.sidecar.routers.postfix_settings import mistakes
from forebay.sidecar.routers.postfix_tools import QUEUE_ID, Commands, make_ready, move_alone
from forebay.sidecar.routers.postfix_workers import GUARDED, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from forebay.api.router import Process, Reading

_IDENTITY: Final = struct.Struct(">QQq")
_QUEUES: Final = ("active", "deferred", "incoming")
_WORKED_IN: Final = ("maildrop", "incoming", "active")
_MILLION: Final = 1_000_000
_DEPTH: Final = 3
_REMEMBERED: Final = 4096
_SMALL: Final = Limits(memory=128 << 20, message_time=0.0)
_OWN_TIMES: Final = Limits(message_time=0.0)


class Postfix(Adapter):
    """One instance: its queue, the commands that act on it, and which of its processes work on what."""

    follows: ClassVar[bool] = True
    locks: ClassVar[bool | None] = False  # not all of its programs do
    # Delivery agents have time limits of their own, and a remote host may be slow.
    limits: ClassVar[Mapping[str, Limits]] = MappingProxyType({
        "cleanup": Limits(memory=256 << 20),
        "trivial-rewrite": Limits(memory=128 << 20),
        **dict.fromkeys(("pickup", "bounce", "error", "discard"), _SMALL),
        **dict.fromkeys(GUARDED - {"cleanup", "trivial-rewrite", "pickup", "bounce", "error", "discard"}, _OWN_TIMES),
    })  # fmt: skip

    def __init__(self, site: Site) -> None:
        self._root = os.path.realpath(site.spool[0]) if site.spool else ""
        self._commands = Commands(site.config)
        self._workers = Workers(f"{self._root}/maildrop/", f"{self._root}/incoming/")
        self._delivered_from = (f"{self._root}/active/", f"{self._root}/hold/")
        self._started_for: OrderedDict[tuple[int, int], Message] = OrderedDict()
        super().__init__(site)

    def mistakes(self) -> list[tuple[str, str]]:
        return super().mistakes() or mistakes(self.site)

    def hurry(self, patience: float) -> None:
        self._commands.programs.patience = patience

    # Messages.

    def directories(self) -> tuple[str, ...]:
        """Where processes work on messages, with what hash_queue_names has made of it."""
        return tuple(folder for name in _WORKED_IN for folder in _folders(f"{self._root}/{name}"))

    def takes(self, name: str) -> bool:
        return bool(QUEUE_ID.fullmatch(name))

    def message(self, path: str) -> Message | None:
        """None too for a file that is still being written: Postfix makes it executable at its end."""
        return self._message(path, S_IXUSR)

    def _message(self, path: str, ready: int = 0) -> Message | None:
        folder, _, name = path.rpartition("/")
        try:
            status = os.lstat(path)
            if not S_ISREG(status.st_mode) or status.st_mode & ready != ready:
                return None
            with plain_file(path) as file:
                arrived = postfix_file.arrival(file)
                status = os.fstat(file.fileno())
        except OSError:
            return None
        if not arrived:
            return None
        queue_id = _known_id(name) if folder.startswith(f"{self.site.aside}/") else os.fsencode(name)
        identity = _IDENTITY.pack(status.st_dev, status.st_ino, arrived) + queue_id
        return Message(path, identity, status.st_size, status.st_mtime)

    def paths(self) -> Iterator[str]:
        for queue in (*_WORKED_IN, "deferred"):
            for folder in _folders(f"{self._root}/{queue}"):
                with suppress(OSError):
                    yield from (f"{folder}/{name}" for name in os.listdir(folder) if QUEUE_ID.fullmatch(name))

    def find(self, message: Message) -> Message | None:
        """Postfix moves a file from queue to queue, and never changes its name."""
        here = self._message(message.path)  # it was ready once, and it may be barred
        if here and here.identity == message.identity and not self._is_held(message.path):
            return here
        return None if self._is_ours(message.path) else self._in(_QUEUES, message)

    def read(self, path: str) -> Reading:
        with plain_file(path) as file:
            return postfix_file.read(file)

    # Who holds a message.

    def is_worker(self, found: Process, parent: Process | None) -> bool | None:
        return self._workers.is_worker(found, parent)

    def starts_workers(self, worker: Process) -> bool:
        return self._workers.starts_workers(worker)

    def only_answers(self, worker: Process) -> bool:
        """Addresses are all that trivial-rewrite gets: whoever asks has the message."""
        return self._workers.services(worker)[-1:] == ("trivial-rewrite",)

    def has_opened(self, pid: int, path: str) -> None:
        self._workers.has_opened(pid, path)

    def claim(self, worker: Process) -> list[Holding] | None:
        """A program's is the message that its pipe has open; a cleanup's, when it serves pickup, is pickup's."""
        if self._workers.is_program(worker):
            message = self._message_of_program(worker)
            return [Holding(message, Confidence.CERTAIN, "pipe")] if message else []
        if not self._workers.is_cleanup(worker) and not self._workers.serves(worker):
            return None
        path, confidence = self._workers.file_of(worker)
        here = self._message(path) if path else None  # it may have been barred meanwhile
        return [Holding(here, confidence, "pickup")] if here else []

    def _message_of_program(self, worker: Process) -> Message | None:
        """It is started for one message, and what starts it waits for its end before it takes another.

        That may have been put on hold meanwhile.
        """
        me = (worker.pid, worker.started)
        if me not in self._started_for:
            found = [self.message(each.path) for each in opened(worker.parent, self._delivered_from)]
            waited_for = process(worker.pid)  # by what has started it, until that has its exit status
            if len(found) != 1 or not found[0] or not waited_for or waited_for.started != worker.started:
                return None
            self._started_for[me] = found[0]
            while len(self._started_for) > _REMEMBERED:
                self._started_for.popitem(last=False)
        return self._started_for[me]

    def services(self, worker: Process) -> tuple[str, ...]:
        return self._workers.services(worker)

    def answers(self, worker: Process, code: int) -> bool:
        """Whatever a program that pipe or local has started ends with is an answer, as sysexits.h or otherwise."""
        return code == 0 or self._workers.is_program(worker)

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        confidence = Confidence.OBSERVED if at_rest else Confidence.SAMPLED
        files = [each.path for each in opened(worker.pid, self.below) if self.is_message(each.path)]
        found = [self.message(path) for path in files]
        return [Holding(each, confidence, "open") for each in found if each]

    # Setting aside: on hold, by Postfix itself; what lies in maildrop it does not hold, so that is moved.

    def set_aside(self, message: Message, target: str, move: Callable[[str, str], None]) -> str:
        if place := self.kept(message, target):
            return place
        here = self.find(message)
        if here is None:
            return ""
        if self._is_ours(here.path):
            move_alone(here.path, _inode(message), target, move)
            return target
        queue_id = _queue_id(message)
        self._commands.hold(queue_id)
        if place := self.kept(message, target):
            return place
        if any(self._places("hold", queue_id)):  # its queue id was used again in this very moment
            self._commands.release(queue_id, _arrived(message))
        if self.find(message):
            raise OSError(f"{queue_id} could not be put on hold")
        return ""

    def bar(self, message: Message) -> None:
        if self._is_ours(message.path):
            with suppress(OSError):
                make_ready(message.path, _inode(message), ready=False)

    def kept(self, message: Message, target: str) -> str:
        if self._is_ours(message.path):
            return super().kept(message, target)
        held = self._in(("hold",), message)
        return held.path if held else ""

    def put_back(self, message: Message, original: str, target: str, move: Callable[[str, str], None]) -> None:
        if self._is_ours(message.path):
            with suppress(FileNotFoundError):
                make_ready(target, _inode(message))
            super().put_back(message, original, target, move)
        elif self.kept(message, target):
            self._commands.release(_queue_id(message), _arrived(message))

    def remade(self, message: Message, original: str) -> bool:
        """What pickup takes out of maildrop, cleanup writes into a file of its own."""
        maildrop = f"{self._root}/maildrop/"
        return original.startswith(maildrop) and not message.path.startswith(maildrop)

    def discard(self, message: Message, target: str, remove: Callable[[str], None]) -> None:
        if self._is_ours(message.path):
            remove(target)
        elif self.kept(message, target):
            self._commands.delete(_queue_id(message))

    def _is_ours(self, path: str) -> bool:
        """Whether it is we who move this file: one that no cleanup has seen yet, or that we have moved already."""
        return path.startswith((f"{self._root}/maildrop/", f"{self.site.aside}/"))

    def _is_held(self, path: str) -> bool:
        return path.startswith(f"{self._root}/hold/")

    def _in(self, queues: tuple[str, ...], message: Message) -> Message | None:
        for queue in queues:
            for path in self._places(queue, _queue_id(message)):
                found = self.message(path)
                if found and found.identity == message.identity:
                    return found
        return None

    def _places(self, queue: str, queue_id: str) -> Iterator[str]:
        """Where a file of this name lies in a queue."""
        if not QUEUE_ID.fullmatch(queue_id):
            return
        paths = (f"{folder}/{queue_id}" for folder in _folders(f"{self._root}/{queue}"))
        yield from (path for path in paths if os.path.lexists(path))


def _folders(queue: str, depth: int = _DEPTH) -> Iterator[str]:
    """A queue and its subdirectories, whose names have one character (hash_queue_names)."""
    yield queue
    if depth:
        with suppress(OSError):
            names = [each.name for each in os.scandir(queue) if len(each.name) == 1 and each.is_dir()]
            for name in sorted(names):
                yield from _folders(f"{queue}/{name}", depth - 1)


def _known_id(name: str) -> bytes:
    """What a file is called that we have withheld: its identity, in hexadecimal digits."""
    with suppress(ValueError):
        return bytes.fromhex(name)[_IDENTITY.size :]
    return b""


def _queue_id(message: Message) -> str:
    return message.identity[_IDENTITY.size :].decode("ascii", "replace")


def _inode(message: Message) -> int:
    return int(_IDENTITY.unpack_from(message.identity)[1])


def _arrived(message: Message) -> float:
    return float(_IDENTITY.unpack_from(message.identity)[2]) / _MILLION
