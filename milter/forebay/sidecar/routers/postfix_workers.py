"""Which processes of a Postfix are workers, of which service, and which file of maildrop a cleanup works on.

The last is not to be seen from cleanup, which has only its own new file open, in incoming/. It serves whoever connects
to it: smtpd, and also pickup, which has the file of maildrop open, one at a time. So the order tells in which the two
open their files; and where smtpd has the same service, which socket is connected to which.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from forebay.api.router import Confidence, is_alive, opened, process
from forebay.sidecar.routers import postfix_peers

if TYPE_CHECKING:
    from forebay.api.router import Process

GUARDED: Final = frozenset({
    "cleanup", "trivial-rewrite", "pickup", "local", "virtual", "pipe", "smtp", "lmtp", "error", "discard", "bounce",
})  # fmt: skip
"""The programs whose processes are workers. What master calls retry is error, what it calls defer and trace is bounce."""
_STARTERS: Final = frozenset({"pipe", "local"})
_REMEMBERED: Final = 4096
_CLEANUP_OF: Final = b"cleanup_service_name"
_TRIES: Final = 4
_MOMENT: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a worker is: `program` is empty for what pipe or local has started; `names` are for its limits.

    `cleanup` is the service that pickup hands its messages to.
    """

    started: int
    program: str
    names: tuple[str, ...]
    cleanup: str = ""


@dataclass(slots=True)
class _Taken:
    """A file of maildrop that a pickup has opened, and the cleanups that began a new file before it opened another.

    One that began two is there twice: a file that a cleanup has put off stays in maildrop, and what it began next is
    somebody else's.
    """

    path: str = ""
    pickup: int = 0
    cleanups: list[int] = field(default_factory=list)


class Workers:
    """Remembers what each process was when it was seen alive: a dead one has no command line.

    `maildrop` and `incoming` are these queues, each with a slash at its end.
    """

    def __init__(self, maildrop: str, incoming: str) -> None:
        self._maildrop = maildrop
        self._incoming = incoming
        self._kinds: OrderedDict[int, _Kind] = OrderedDict()
        self._in_hand: dict[int, _Taken] = {}
        self._serves: OrderedDict[int, _Taken] = OrderedDict()

    def is_worker(self, found: Process, parent: Process | None) -> bool:
        """Whether a process is guarded: a child of master that runs one of GUARDED, or what such a one has started."""
        if parent is None or found.command == parent.command:  # it was forked, and has executed nothing yet
            return False
        return self._kind(found, parent) is not None

    def starts_workers(self, worker: Process) -> bool:
        """Whether it is a pipe or a local."""
        kind = self._kind(worker)
        return kind is not None and kind.program in _STARTERS

    def is_program(self, worker: Process) -> bool:
        """Whether it is a program that pipe or local has started."""
        kind = self._kind(worker)
        return kind is not None and not kind.program

    def is_cleanup(self, worker: Process) -> bool:
        """Whether it is a cleanup."""
        kind = self._kind(worker)
        return kind is not None and kind.program == "cleanup"

    def services(self, worker: Process) -> tuple[str, ...]:
        """The name of its service in master.cf, then that of Postfix's program."""
        kind = self._kind(worker)
        return kind.names if kind else ()

    def has_opened(self, pid: int, path: str) -> None:
        """A worker has opened this file, after all those that were told before."""
        kind = self._kinds.get(pid)
        if kind and kind.program == "pickup" and path.startswith(self._maildrop):
            self._in_hand = {each: taken for each, taken in self._in_hand.items() if each in self._alive("pickup")}
            self._in_hand[pid] = _Taken(path, pid)
        elif (kind is None or kind.program == "cleanup") and path.startswith(self._incoming) and _is_new(path):
            self._begins(pid, kind)

    def serves(self, worker: Process) -> bool:
        """Whether it has begun a new file, as only a cleanup does."""
        return worker.pid in self._serves

    def _begins(self, pid: int, kind: _Kind | None) -> None:
        """A cleanup has opened a new file: for what its pickup has in hand, or for somebody else."""
        given = [each for each in self._in_hand.values() if not kind or self._cleanup_of(each.pickup) == kind.names[0]]
        taken = given[0] if len(given) == 1 else _Taken()
        taken.cleanups.append(pid)
        self._serves[pid] = taken
        self._serves.move_to_end(pid)
        while len(self._serves) > _REMEMBERED:
            self._serves.popitem(last=False)

    def file_of(self, cleanup: Process) -> tuple[str, Confidence]:
        """The file of maildrop that a cleanup works on, or did when it ended; empty for none, or where nobody knows.

        The kernel may merge what is told of a file that is opened again and again: an order that is lost points to a
        file that was done well and is gone, or that pickup has open. What a cleanup died of was given up, and is there.
        """
        taken = self._serves.get(cleanup.pid)
        if is_alive(cleanup.pid, cleanup.started):
            return self._by_socket(cleanup, taken), Confidence.CERTAIN
        is_shared = self.services(cleanup)[:1] in {(), ("cleanup",)}
        if not taken or not taken.path or (is_shared and taken.cleanups != [cleanup.pid]):
            return "", Confidence.UNKNOWN
        known = taken.path if self._was_given_up(taken) else ""
        return known, Confidence.SAMPLED if is_shared else Confidence.OBSERVED

    def _by_socket(self, cleanup: Process, taken: _Taken | None) -> str:
        """Whom a live cleanup serves; where that is not a pickup, that is remembered."""
        pickups = self._alive("pickup")
        if not pickups or not opened(cleanup.pid, (self._incoming,)):
            return ""
        with suppress(OSError):
            connected = postfix_peers.peers(postfix_peers.sockets(cleanup.pid))
            for pid in pickups:
                if postfix_peers.sockets(pid) & connected:
                    files = opened(pid, (self._maildrop,))
                    return files[0].path if len(files) == 1 else ""
            if taken and taken.path:
                with suppress(ValueError):
                    taken.cleanups.remove(cleanup.pid)
                self._serves[cleanup.pid] = _Taken()
        return ""

    def _was_given_up(self, taken: _Taken) -> bool:
        """Whether the pickup has closed a file that is still there, as it does at once when its cleanup dies."""
        for _ in range(_TRIES):
            if all(each.path != taken.path for each in opened(taken.pickup, (self._maildrop,))):
                return os.path.lexists(taken.path)
            time.sleep(_MOMENT)
        return False

    def _cleanup_of(self, pickup: int) -> str:
        kind = self._kinds.get(pickup)
        return kind.cleanup if kind else ""

    def _alive(self, program: str) -> list[int]:
        return [
            pid for pid, kind in self._kinds.items() if kind.program == program and is_alive(pid, kind.started)
        ]  # fmt: skip

    def _kind(self, found: Process, parent: Process | None = None) -> _Kind | None:
        known = self._kinds.get(found.pid)
        if known and known.started == found.started:
            return known
        made = _made(found, parent or process(found.parent), self._kinds)
        if made:
            self._kinds[found.pid] = made
            self._kinds.move_to_end(found.pid)
            if known:
                self._serves.pop(found.pid, None)
            while len(self._kinds) > _REMEMBERED:
                self._kinds.popitem(last=False)
        return made


def _made(found: Process, parent: Process | None, kinds: OrderedDict[int, _Kind]) -> _Kind | None:
    if parent is None:
        return None
    program = _program(found)
    if _program(parent) == "master":
        if program not in GUARDED:
            return None
        names = tuple(dict.fromkeys((_option(found, b"-n") or program, program)))
        return _Kind(found.started, program, names, _cleanup_of(found))
    starter = kinds.get(parent.pid)
    if starter and starter.started == parent.started and starter.program in _STARTERS:
        return _Kind(found.started, "", starter.names)
    return None


def _is_new(path: str) -> bool:
    """Postfix gives a new file its queue id a moment after it has made it."""
    return "." in path.rpartition("/")[2]


def _program(found: Process) -> str:
    name = found.command[0] if found.command else b""
    return name.rpartition(b"/")[2].decode("ascii", "replace")


def _option(found: Process, name: bytes) -> str:
    with suppress(ValueError, IndexError):
        return found.command[found.command.index(name) + 1].decode("ascii", "replace")
    return ""


def _cleanup_of(found: Process) -> str:
    """What a pickup has for cleanup_service_name, if master.cf says so on its line."""
    for before, word in zip(found.command, found.command[1:], strict=False):
        name, _, value = word.partition(b"=")
        if before == b"-o" and name.strip() == _CLEANUP_OF:
            return value.strip().decode("ascii", "replace")
    return "cleanup"
