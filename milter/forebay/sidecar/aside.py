"""Setting aside, releasing and deleting: each an intent in the journal, a rename, and the outcome in the journal.

Every function here can be called again after any interruption, with the same result: `settle` does so at each start,
and as long as something could not be done.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import files
from forebay.api.router import Message
from forebay.logs import LOGGER, printable
from forebay.sidecar import moves, story

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter
    from forebay.sidecar.journal import Entry, Journal

_log = logging.getLogger(LOGGER)
_SUFFIX: Final = ".msg"
_EVIDENCE: Final = ".json"
_MOST_TRIES: Final = 10


class Aside:
    """The quarantine in the spool. `moved` is called with where a message lies now; `step` is told each step.

    A convicted message is moved although a worker may just have taken it up: it would only die of it.
    """

    def __init__(
        self,
        journal: Journal,
        adapter: Adapter,
        directory: str,
        moved: Callable[[str], None],
        step: Callable[[str], None] = moves.nothing,
    ) -> None:
        self._journal = journal
        self._adapter = adapter
        self._directory = directory
        self._moved = moved
        self._step = step
        self.unwanted: Callable[[Message], None] = _nobody
        """Called with a convicted message that a worker may have in hand, and whose place that does not tell."""

    def path(self, entry_id: str) -> str:
        """Where the message of an entry lies."""
        return f"{self._directory}/{entry_id}{_SUFFIX}"

    def prepare(self) -> None:
        """Make the directory as long as nothing is urgent, and the disk is not full yet."""
        with suppress(OSError):
            moves.make_directory(self._directory)

    def settle(self) -> int:
        """Do what is open; how much of it could not be done."""
        entries = self._journal.entries("intended", "releasing", "deleting")
        todo = {"intended": self.set_aside, "releasing": self.release, "deleting": self.delete}
        return sum(not todo[entry.state](entry) for entry in entries)

    def set_aside(self, entry: Entry) -> bool:
        """Move an entry's message out of the spool. False: later again."""
        try:
            place = self._chase(entry)
        except BlockingIOError:  # somebody has it open who must not lose it
            self._adapter.bar(_message(entry))
            self.unwanted(_message(entry))
            return False
        except OSError as error:
            _log.error("cannot set aside %s: %s", printable(entry.original), error)
            return False
        self._step("outcome")
        self._outcome(entry, "aside" if place else "vanished", place)
        if place == entry.aside:
            self._moved(place)
        elif place:
            self.unwanted(_message(entry))
        if place:
            story.set_aside(entry)
        else:
            self._forget_evidence(entry)
            _log.warning("nothing to set aside: %s: %s is gone", entry.id, printable(entry.original))
        return True

    def look(self) -> None:
        """Take note of what somebody else has taken out of the place where the router's own means keep it."""
        for entry in self._journal.entries("aside"):
            if entry.aside != self.path(entry.id) and not self._adapter.kept(_message(entry), entry.aside):
                _log.warning("released or deleted by somebody else: %s: %s", entry.id, printable(entry.original))
                self._outcome(entry, "vanished")
                self._forget_evidence(entry)

    def _chase(self, entry: Entry) -> str:
        """A router may rename the message, again and again, while we reach for it."""
        for _ in range(_MOST_TRIES):
            try:
                return self._move_out(entry)
            except FileNotFoundError:
                continue
        return self._move_out(entry)

    def _move_out(self, entry: Entry) -> str:
        message = _message(entry)
        here = self._adapter.find(message)
        arrived = _status(entry.aside)
        if here and arrived and _same(arrived, _status(here.path)):  # a copy to another file system, not yet unlinked
            moves.remove(here.path)
            return entry.aside
        if here:
            self._step("evidence")
            moves.make_directory(self._directory)
            with suppress(OSError):  # a full disk keeps nobody from a rename
                _write(f"{self._directory}/{entry.id}{_EVIDENCE}", entry.evidence.encode() + b"\n")
        return self._adapter.set_aside(message, entry.aside, self._move)

    def _move(self, source: str, target: str) -> None:
        moves.move(source, target, self._step)

    def release(self, entry: Entry) -> bool:
        """Put an entry's message back where the router takes it up. False: later again."""
        status = _status(entry.aside)
        try:
            self._step("put back")
            self._adapter.put_back(_message(entry), entry.original, entry.aside, self._move)
        except FileExistsError:
            _log.error("cannot release %s: the place of %s is taken", entry.id, printable(entry.original))
            return False
        except OSError as error:
            _log.error("cannot release %s: %s", entry.id, error)
            return False
        self._step("outcome")
        if status:
            self._follow(entry, status)
        self._outcome(entry, "released")
        story.released(entry)
        return self._forget_evidence(entry)

    def _follow(self, entry: Entry, status: os.stat_result) -> None:
        """What came from another file system is a copy, with another identity: the pass is for that one."""
        there = self._adapter.message(self._adapter.place(entry.original, status))
        if there and there.identity != entry.identity:
            with self._journal.change() as db:
                db.execute("UPDATE OR REPLACE pass SET identity = ? WHERE entry = ?", (there.identity, entry.id))

    def delete(self, entry: Entry) -> bool:
        """Remove an entry's message for good."""
        try:
            self._step("unlink")
            self._adapter.discard(_message(entry), entry.aside, moves.remove)
        except OSError as error:
            _log.error("cannot delete %s: %s", entry.id, error)
            return False
        self._step("outcome")
        self._outcome(entry, "deleted")
        story.deleted(entry)
        return self._forget_evidence(entry)

    def _forget_evidence(self, entry: Entry) -> bool:
        with suppress(OSError):
            moves.remove(f"{self._directory}/{entry.id}{_EVIDENCE}")
        return True

    def _outcome(self, entry: Entry, state: str, place: str = "") -> None:
        with self._journal.change() as db:
            db.execute("UPDATE entry SET state = ?, aside = ? WHERE id = ?", (state, place or entry.aside, entry.id))
            db.execute("UPDATE message SET state = ?, at = ? WHERE identity = ?", (state, time.time(), entry.identity))


def _message(entry: Entry) -> Message:
    return Message(entry.source, entry.identity, entry.size, 0)


def _nobody(_: Message) -> None:
    """Whoever has it will let go of it."""


def _write(path: str, text: bytes) -> None:
    """Write the evidence beside the message; without an fsync, since the journal has it as well."""
    files.replace(Path(path), text)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
