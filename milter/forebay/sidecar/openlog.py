"""A log of which process opened which message, by fanotify(7): right even for a worker that dies at once.

It needs CAP_SYS_ADMIN. An open is a claim until the file is closed by a live process. Files are closed at an exit as
well, in the same way: a close counts for nothing when the process is ending, unless it opens another file after it.
The kernel merges records of one process and file that were not read yet, and their order is lost then: the process is
asked itself. When the kernel has dropped records, all that was noted is forgotten.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

from forebay.api.process import opened, state
from forebay.api.router import Confidence, Holding, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from forebay.api.router import Adapter

_OPEN, _CLOSE, _OVERFLOW = 0x20, 0x18, 0x4000
_CLOEXEC, _NONBLOCK, _UNLIMITED = 0x1, 0x2, 0x10
_ADD, _ON_CHILD = 0x1, 0x08000000
_AT_FDCWD: Final = -100
_AGAIN: Final = "fanotify, several opens"
_HEAD: Final = struct.Struct("=IBBHQii")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class OpenLog:
    """What each process has opened. `took` is called with the pid when it opens a message, `left` when it closes one."""

    def __init__(self, adapter: Adapter) -> None:
        """Begin to record. Raises OSError where that right is missing, or the kernel cannot."""
        self._adapter = adapter
        self._queue = _checked(
            _LIBC.fanotify_init(_CLOEXEC | _NONBLOCK | _UNLIMITED, os.O_RDONLY | os.O_CLOEXEC | os.O_LARGEFILE)
        )
        self._open: dict[int, dict[bytes, Holding]] = {}
        self._closing: dict[int, dict[bytes, Holding]] = {}
        self._own = os.getpid()
        self.took: Callable[[int], None] = _ignore
        self.left: Callable[[int], None] = _ignore
        self.overflowed: Callable[[], None] = lambda: None
        for folder in adapter.directories():
            mask = ctypes.c_uint64(_OPEN | _CLOSE | _ON_CHILD)
            _checked(_LIBC.fanotify_mark(self._queue, _ADD, mask, _AT_FDCWD, os.fsencode(folder)))

    def fileno(self) -> int:
        """For the loop."""
        return self._queue

    def read(self) -> None:
        """Take in what was recorded since the last call."""
        while True:
            try:
                data = os.read(self._queue, 1 << 16)
            except (BlockingIOError, InterruptedError):
                return
            offset = 0
            while offset < len(data):
                length, _, _, _, mask, descriptor, pid = _HEAD.unpack_from(data, offset)
                offset += length
                self._note(mask, descriptor, pid)

    def holdings(self, pid: int) -> list[Holding]:
        """What a process has opened and not closed; or had, when it ended."""
        found = self._open.get(pid, {}) | self._closing.get(pid, {})
        return [Holding(each.message, Confidence.CERTAIN, "fanotify") for each in found.values()]

    def forget(self, pid: int) -> None:
        """A process has ended, and was dealt with."""
        self._open.pop(pid, None)
        self._closing.pop(pid, None)

    def close(self) -> None:
        """Record no more."""
        os.close(self._queue)

    def _note(self, mask: int, descriptor: int, pid: int) -> None:
        if mask & _OVERFLOW or descriptor < 0:
            self._open.clear()
            self._closing.clear()
            self.overflowed()
            return
        try:
            if pid == self._own:
                return
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            status = os.fstat(descriptor)
        except OSError:
            return
        finally:
            os.close(descriptor)
        path = path.removesuffix(" (deleted)")
        if not self._adapter.is_message(path):
            return
        message = Message(path, self._adapter.identity(path, status), status.st_size, status.st_mtime)
        known = self._open.get(pid, {}).get(message.identity)
        if mask & _OPEN:
            self._opened(pid, message)
        if mask & _CLOSE:
            self._closed(pid, message, doubtful=bool(mask & _OPEN) or (known is not None and known.source == _AGAIN))
        elif known:
            self._open[pid][message.identity] = Holding(message, Confidence.CERTAIN, _AGAIN)

    def _opened(self, pid: int, message: Message) -> None:
        if pid in self._closing and not _ends(pid):
            del self._closing[pid]
        self._open.setdefault(pid, {})[message.identity] = Holding(message, Confidence.CERTAIN, "fanotify")
        self.took(pid)

    def _closed(self, pid: int, message: Message, *, doubtful: bool) -> None:
        held = self._open.get(pid, {}).get(message.identity)
        if held is None:
            return
        ends = _ends(pid)
        if not ends and doubtful and any(each[1:] == _file(message) for each in opened(pid, self._adapter.below)):
            return
        self._open[pid].pop(message.identity)
        if not self._open[pid]:
            del self._open[pid]
        if ends:
            self._closing.setdefault(pid, {})[message.identity] = held
        else:
            self.left(pid)

    def prune(self, live: Collection[int]) -> None:
        """Forget processes that are gone, and were no workers."""
        for noted in (self._open, self._closing):
            for pid in [each for each in noted if each not in live and not state(each)]:
                del noted[pid]


def _ends(pid: int) -> bool:
    found = state(pid)
    return found is None or found.exiting or found.letter in "ZX"


def _file(message: Message) -> tuple[int, int]:
    """Device and inode, as the adapters' base packs them."""
    return int.from_bytes(message.identity[:8], "big"), int.from_bytes(message.identity[8:16], "big")


def _ignore(_: int) -> None:
    """Nobody wants to know."""


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
