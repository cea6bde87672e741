"""Sendmail as the router: queue runners, the children that deliver, and the mailers that they start.

A process that works on a message has its control file `qf` open and locked; a mailer holds what its parent holds. The
daemon and its SMTP sessions are no workers: a session hands what it has queued to a child that goes on without it. What
was convicted is quarantined by Sendmail's own command. A message is known by its queue id and the inode of its body:
Sendmail writes a new control file at every try. `spool` are the queue directories.
"""

from __future__ import annotations

import os
import stat
import struct
from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.api.router import (
    Adapter,
    Confidence,
    Envelope,
    Holding,
    Message,
    Process,
    Reading,
    Site,
    is_alive,
    start_of,
)
from forebay.api.router_sendmail import (
    MOST_CONTROL,
    QUARANTINED,
    QUEUE_ID,
    WAITING,
    Found,
    SendmailQueue,
    parse,
    places_below,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IDENTITY: Final = struct.Struct(">QQ16s")
_TITLE: Final = b"sendmail: "
_WATCHES: Final = (b"accepting ", b"rejecting ", b"server ", b"startup ", b"Queue ")
"""What the titles of processes begin with that have no message in hand: the daemon, its queue control, its sessions."""
_DAEMON: Final = (b"accepting ", b"rejecting ", b"Queue ")
_REMEMBERED: Final = 4096


class Sendmail(Adapter):
    """The Sendmail of this host, its main configuration, and its queue directories."""

    def __init__(self, site: Site) -> None:
        self._queue = SendmailQueue(places_below([Path(each) for each in site.spool]))
        self._bodies = {str(control): str(body) for control, body in self._queue.places}
        self._started_for: OrderedDict[tuple[int, int], list[Holding]] = OrderedDict()
        super().__init__(site)

    def hurry(self, patience: float) -> None:
        self._queue.programs.patience = patience

    def directories(self) -> tuple[str, ...]:
        return tuple(self._bodies)

    def takes(self, name: str) -> bool:
        return name.startswith(WAITING) and QUEUE_ID.fullmatch(name, 2) is not None

    def message(self, path: str) -> Message | None:
        folder, _, name = path.rpartition("/")
        try:
            status, control = os.lstat(f"{self._bodies.get(folder, folder)}/df{name[2:]}"), os.lstat(path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or not stat.S_ISREG(control.st_mode):
            return None
        return Message(path, _identity(status.st_dev, status.st_ino, name[2:]), status.st_size, control.st_mtime)

    def find(self, message: Message) -> Message | None:
        return self._lies(message, WAITING)

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        return self._held_by(worker.pid, Confidence.OBSERVED if at_rest else Confidence.SAMPLED)

    def _held_by(self, pid: int, confidence: Confidence) -> list[Holding]:
        held = (self.message(path) for path in self._locked_by(pid))
        return [Holding(each, confidence, "lock") for each in held if each]

    def is_worker(self, found: Process, parent: Process | None) -> bool | None:
        title, above = _title(found), _title(parent) if parent else b""
        if title is None:  # a program: a mailer, where a process of Sendmail has started it
            return bool(above)
        if title.startswith(_WATCHES) or title == above:
            return False  # or it is about to become a program
        return not (above or b"").startswith(_DAEMON) or not _is_session(found.pid)

    def starts_workers(self, worker: Process) -> bool:
        return _title(worker) is not None

    def claim(self, worker: Process) -> list[Holding] | None:
        """A mailer's is what the process has that started it, and waits for its end; one of Sendmail inherits much."""
        me = (worker.pid, worker.started)
        if _title(worker) is not None:
            return self.holdings(worker, at_rest=False) if is_alive(*me) else None
        if me in self._started_for:
            return self._started_for[me]
        found = self._held_by(worker.parent, Confidence.CERTAIN)
        if not is_alive(*me):  # who has started it may have gone on
            return [replace(each, confidence=Confidence.SAMPLED) for each in found]
        self._started_for[me] = found
        while len(self._started_for) > _REMEMBERED:
            self._started_for.popitem(last=False)
        return found

    def answers(self, worker: Process, code: int) -> bool:
        """Sendmail takes every exit status of a mailer for an answer, and its own tell what became of the message."""
        return True

    def read(self, path: str) -> Reading:
        folder, _, name = path.rpartition("/")
        told = parse(start_of(path, MOST_CONTROL), name[2:].encode("ascii", "replace"))
        if told is None:
            return Reading(Envelope(), b"")
        body = start_of(f"{self._bodies.get(folder, folder)}/df{name[2:]}")
        envelope = Envelope(sender=told.sender, recipients=told.recipients)
        return Reading(envelope, told.header + b"\n" + body, told.fields)

    def set_aside(self, message: Message, target: str, move: Callable[[str, str], None]) -> str:
        there = self._lies(message, WAITING)
        if there:
            self._queue.quarantine(_queue_id(message), f"forebay: {os.path.basename(target).partition('.')[0]}")
        return self.kept(message, target)

    def kept(self, message: Message, target: str) -> str:
        there = self._lies(message, QUARANTINED)
        return there.path if there else ""

    def put_back(self, message: Message, original: str, target: str, move: Callable[[str, str], None]) -> None:
        if self.kept(message, target):
            self._queue.release(_queue_id(message))

    def discard(self, message: Message, target: str, remove: Callable[[str], None]) -> None:
        found = self._found(message, QUARANTINED)
        if found:
            self._queue.remove(found)

    def stuck(self) -> list[str]:
        """Control files that Sendmail could not read, and has put away under another name."""
        return [str(each) for folder in self._bodies for each in sorted(Path(folder).glob("Qf*"))]

    def _lies(self, message: Message, kind: str) -> Message | None:
        """Where a message lies, if its control file is of this kind."""
        for folder in self._bodies:
            here = self.message(f"{folder}/{kind}{_queue_id(message)}")
            if here and here.identity == message.identity:
                return here
        return None

    def _found(self, message: Message, kind: str) -> Found | None:
        found = self._queue.find(_queue_id(message), kind)
        return found if found and _identity(found.device, found.inode, found.queue_id) == message.identity else None

    def _locked_by(self, pid: int) -> Iterator[str]:
        """The control files that a process has open, with the lock: reading the queue opens many, and locks none."""
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            return
        for number in numbers:
            try:
                path = os.readlink(f"/proc/{pid}/fd/{number}")
                if self.is_message(path) and b"\nlock:" in _start(f"/proc/{pid}/fdinfo/{number}"):
                    yield path
            except OSError:
                continue


def _queue_id(message: Message) -> str:
    """What never changes in the name of a message's control file."""
    return message.path.rpartition("/")[2][2:]


def _identity(device: int, inode: int, queue_id: str) -> bytes:
    return _IDENTITY.pack(device, inode, blake2b(queue_id.encode("utf-8", "replace"), digest_size=16).digest())


def _title(found: Process) -> bytes | None:
    """What a process of Sendmail says that it does; None for any other program."""
    words = found.command[0] if found.command else b""
    return words[len(_TITLE) :] if words.startswith(_TITLE) else None


def _is_session(pid: int) -> bool:
    """Whether a child of the daemon talks to a client: what it says goes there. A queue runner's goes nowhere."""
    try:
        return os.readlink(f"/proc/{pid}/fd/1").startswith("socket:")
    except OSError:
        return True


def _start(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)
