"""inotify(7), as far as it is needed here: watches on files and directories, and what happened to them."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

MODIFY: Final = 0x2
CLOSE_WRITE: Final = 0x8
MOVED_TO: Final = 0x80
_OVERFLOW: Final = 0x4000
_HEAD: Final = struct.Struct("=iIII")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """Something happened to what this watch watches; the watch is -1 where events were lost."""

    watch: int
    name: str


def open_queue() -> int:
    """A descriptor to read events from. Raises OSError."""
    return _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def add(queue: int, path: Path, mask: int) -> int:
    """Watch a path; the number of the watch. Raises OSError."""
    return _checked(_LIBC.inotify_add_watch(queue, os.fsencode(path), mask))


def read(queue: int) -> list[Event]:
    """What happened since the last call."""
    try:
        data = os.read(queue, 1 << 16)
    except BlockingIOError:
        return []
    events, offset = [], 0
    while offset < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        name = data[offset : offset + length].rstrip(b"\0")
        offset += length
        events.append(Event(-1 if mask & _OVERFLOW else watch, os.fsdecode(name)))
    return events


def close(queue: int) -> None:
    """Give up the queue with all its watches."""
    os.close(queue)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
