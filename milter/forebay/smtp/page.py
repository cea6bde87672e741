"""The shared page: what each worker is doing, readable by the supervisor after the worker's death.

An anonymous shared mapping, made before the first fork. Each worker writes to its own slot only: a head, then one
entry for each message that is being judged at the moment. Nothing is locked: a slot is written by one process, and
what matters is read when that process is dead.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import Final

SLOTS: Final = 512
"""Workers that can exist at once, draining ones included."""
ENTRIES: Final = 32
"""Messages of one worker whose judging is recorded at once; more are judged unrecorded."""

_HEAD: Final = struct.Struct("=IIQ")  # pid, sessions, process CPU at the last beat
_ENTRY: Final = struct.Struct("=B3xI16s64sQQ")  # state, thread, header digest, validator, start, CPU used
_OWN, _INSIDE = 1, 2  # states: forebay's own code runs, or the validator
_DIGEST, _NAME, _NAME_SIZE = 8, 24, 64  # where an entry has them
_PID: Final = struct.Struct("=I")
_SESSIONS: Final = struct.Struct("=I")
_CPU: Final = struct.Struct("=Q")
_HEAD_SIZE: Final = 64
_ENTRY_SIZE: Final = 128
_SLOT_SIZE: Final = _HEAD_SIZE + ENTRIES * _ENTRY_SIZE
_STEP: Final = _SLOT_SIZE // _SESSIONS.size
_USED: Final = SLOTS * _STEP  # behind the slots: up to which of them any was ever used


def padded(validator: str) -> bytes:
    """A validator's id as an entry holds it."""
    return validator.encode()[:_NAME_SIZE].ljust(_NAME_SIZE, b"\0")


@dataclass(frozen=True, slots=True)
class Record:
    """A message that was being judged: `validator` is empty while forebay's own code ran; times in nanoseconds."""

    thread: int
    digest: bytes
    validator: str
    started: int
    cpu: int


class Page:
    """All slots."""

    def __init__(self) -> None:
        self._bytes = mmap.mmap(-1, SLOTS * _SLOT_SIZE + _SESSIONS.size)
        self._numbers = memoryview(self._bytes).cast("I")

    def slot(self, number: int) -> Slot:
        """The slot of that number. The supervisor asks for each before its worker does, and takes the lowest free."""
        if number >= self._numbers[_USED]:
            self._numbers[_USED] = number + 1
        return Slot(self._bytes, number * _SLOT_SIZE)

    def sessions(self) -> int:
        """The sessions of all workers together."""
        return sum(self._numbers[1 : self._numbers[_USED] * _STEP : _STEP])  # the second number of each slot's head


class Slot:
    """What one worker says of itself."""

    def __init__(self, data: mmap.mmap, offset: int) -> None:
        self._bytes = data
        self._offset = offset

    def clear(self) -> None:
        """Make it ready for the next worker."""
        self._bytes[self._offset : self._offset + _SLOT_SIZE] = bytes(_SLOT_SIZE)

    def write_beat(self, pid: int, cpu: int) -> None:
        """Note the process and the CPU time that it has used; its sessions are another thread's to note."""
        _PID.pack_into(self._bytes, self._offset, pid)
        _CPU.pack_into(self._bytes, self._offset + 8, cpu)

    def write_sessions(self, sessions: int) -> None:
        """Note how many sessions there are, as soon as it changes."""
        _SESSIONS.pack_into(self._bytes, self._offset + 4, sessions)

    def head(self) -> tuple[int, int, int]:
        """Pid, sessions, and the CPU time at the last beat."""
        pid, sessions, cpu = _HEAD.unpack_from(self._bytes, self._offset)
        return pid, sessions, cpu

    def write_entry(self, index: int, record: Record) -> None:
        """Note a message that is being judged."""
        where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE
        name = record.validator.encode()[:_NAME_SIZE]
        state = _INSIDE if name else _OWN
        _ENTRY.pack_into(self._bytes, where, state, record.thread, record.digest, name, record.started, record.cpu)

    def begin_entry(self, index: int, thread: int, started: int) -> None:
        """Note that a message begins to be judged."""
        where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE
        _ENTRY.pack_into(self._bytes, where, _OWN, thread, b"", b"", started, 0)

    def write_digest(self, index: int, digest: bytes) -> None:
        """Note the header that is being judged."""
        where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE + _DIGEST
        self._bytes[where : where + len(digest)] = digest

    def enter(self, index: int, name: bytes) -> None:
        """Note the validator that begins, by its id as `padded` makes it."""
        where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE
        self._bytes[where + _NAME : where + _NAME + _NAME_SIZE] = name
        self._bytes[where] = _INSIDE

    def leave(self, index: int) -> None:
        """Note that it has come back."""
        self._bytes[self._offset + _HEAD_SIZE + index * _ENTRY_SIZE] = _OWN

    def clear_entry(self, index: int) -> None:
        """It has been judged."""
        where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE
        self._bytes[where : where + 4] = b"\0\0\0\0"

    def records(self) -> list[Record]:
        """The messages that are being judged, or were when the worker died."""
        found = []
        for index in range(ENTRIES):
            where = self._offset + _HEAD_SIZE + index * _ENTRY_SIZE
            state, thread, digest, name, started, cpu = _ENTRY.unpack_from(self._bytes, where)
            if state:
                validator = name.rstrip(b"\0").decode("ascii", "replace") if state == _INSIDE else ""
                found.append(Record(thread, digest, validator, started, cpu))
        return found
