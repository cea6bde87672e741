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
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.api.router import Adapter, Confidence, Envelope, Holding, Message, Process, Reading, Site
from forebay.api.router_sendmail import (
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

_IDENTITY: Final = struct.Struct(">QQ")
_TITLE: Final = b"sendmail: "
_WATCHES: Final = (b"accepting ", b"rejecting ", b"server ", b"startup ", b"Queue ")
"""What the titles of processes begin with that have no message in hand: the daemon, its queue control, its sessions."""
_DAEMON: Final = (b"accepting ", b"rejecting ", b"Queue ")
_MOST_READ: Final = 1 << 20
_MOST_CONTROL: Final = 16 << 20


class Sendmail(Adapter):
    """The Sendmail of this host, its main configuration, and its queue directories."""

    def __init__(self, site: Site) -> None:
        self._queue = SendmailQueue(places_below([Path(each) for each in site.spool]))
        self._bodies = {str(control): str(body) for control, body in self._queue.places}
        super().__init__(site)

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
        identity = _IDENTITY.pack(status.st_dev, status.st_ino) + name[2:].encode("ascii", "replace")
        return Message(path, identity, status.st_size, control.st_mtime)

    def find(self, message: Message) -> Message | None:
        return self._lies(message, WAITING)

    def holdings(self, worker: Process, at_rest: bool) -> list[Holding]:
        confidence = Confidence.OBSERVED if at_rest else Confidence.SAMPLED
        held = (self.message(path) for pid in self.holders(worker) for path in self._locked_by(pid))
        return [Holding(each, confidence, "lock") for each in held if each]

    def is_worker(self, found: Process, parent: Process | None) -> bool | None:
        title, above = _title(found), _title(parent) if parent else b""
        if title is None:  # a program: a mailer, where a process of Sendmail has started it
            return bool(above)
        if title.startswith(_WATCHES) or title == above:
            return False  # or it is about to become a program
        return title.startswith(b"running queue") or not (above or b"").startswith(_DAEMON)

    def starts_workers(self, worker: Process) -> bool:
        return _title(worker) is not None

    def holders(self, worker: Process) -> tuple[int, ...]:
        return (worker.pid if _title(worker) is not None else worker.parent,)

    def answers(self, worker: Process, code: int) -> bool:
        """Sendmail takes every exit status of a mailer for an answer, and its own tell what became of the message."""
        return True

    def read(self, path: str) -> Reading:
        folder, _, name = path.rpartition("/")
        with open(path, "rb") as file:
            told = parse(file.read(_MOST_CONTROL), name[2:].encode("ascii", "replace"))
        if told is None:
            return Reading(Envelope(), b"")
        with open(f"{self._bodies.get(folder, folder)}/df{name[2:]}", "rb") as file:
            body = file.read(_MOST_READ)
        header = b"".join(b"%b:%b\n" % each for each in told.fields)
        return Reading(Envelope(sender=told.sender, recipients=told.recipients), header + b"\n" + body, told.fields)

    def set_aside(self, message: Message, target: str, move: Callable[[str, str], None]) -> str:
        there = self._lies(message, WAITING)
        if there:
            queue_id = message.identity[_IDENTITY.size :].decode()
            self._queue.quarantine(queue_id, f"forebay: it has killed a process ({os.path.basename(target)})")
        return self.kept(message, target)

    def kept(self, message: Message, target: str) -> str:
        there = self._lies(message, QUARANTINED)
        return there.path if there else ""

    def put_back(self, message: Message, original: str, target: str, move: Callable[[str, str], None]) -> None:
        if self.kept(message, target):
            self._queue.release(message.identity[_IDENTITY.size :].decode())

    def discard(self, message: Message, target: str, remove: Callable[[str], None]) -> None:
        found = self._found(message, QUARANTINED)
        if found:
            self._queue.remove(found)

    def stuck(self) -> list[str]:
        """Control files that Sendmail could not read, and has put away under another name."""
        return [str(each) for folder in self._bodies for each in sorted(Path(folder).glob("Qf*"))]

    def _lies(self, message: Message, kind: str) -> Message | None:
        """Where a message lies, if its control file is of this kind."""
        name = message.identity[_IDENTITY.size :].decode("ascii", "replace")
        for folder in self._bodies:
            here = self.message(f"{folder}/{kind}{name}")
            if here and here.identity == message.identity:
                return here
        return None

    def _found(self, message: Message, kind: str) -> Found | None:
        found = self._queue.find(message.identity[_IDENTITY.size :].decode("ascii", "replace"), kind)
        same = found and _IDENTITY.pack(found.device, found.inode) == message.identity[: _IDENTITY.size]
        return found if same else None

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


def _title(found: Process) -> bytes | None:
    """What a process of Sendmail says that it does; None for any other program."""
    words = found.command[0] if found.command else b""
    return words[len(_TITLE) :] if words.startswith(_TITLE) else None


def _start(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(4096)
