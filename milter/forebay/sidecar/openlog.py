"""A log of which process opened which message, by fanotify(7): right even for a worker that dies at once.

It needs CAP_SYS_ADMIN. An open is a claim until the file is closed. Files are closed at an exit as well, in the same
way, and the kernel merges records of one process and file that were not read yet, so that their order is lost. So
what a worker has closed counts as its claim for a moment longer: until it surely opened another file after it, or
lived on. What is done is gone from the spool, and drops out when somebody asks.

A record is taken in without a system call, since there may be many; names are looked up only when somebody asks.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from forebay.api.process import opened
from forebay.api.router import Confidence, Holding, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from forebay.api.router import Adapter

_OPEN, _CLOSE, _OVERFLOW = 0x20, 0x18, 0x4000
_CLOEXEC, _NONBLOCK, _UNLIMITED, _FID, _DIRECTORY_NAME = 0x1, 0x2, 0x10, 0x200, 0xC00
_ADD, _ON_CHILD = 0x1, 0x08000000
_AT_FDCWD: Final = -100
_IS_FID, _IS_NAME = 1, 2
_RECORD: Final = struct.Struct("=IBBHQii")
_INFO: Final = struct.Struct("=BBHQ")
_HANDLE: Final = struct.Struct("=Ii")
_MOST_HANDLE: Final = 128
_BUFFER: Final = 1 << 18
_MOST_READS: Final = 40
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _File(NamedTuple):
    """What a record is about: where the file was, and the handle that no other file ever has."""

    path: str
    handle: bytes


class _Closed(NamedTuple):
    """When a close was read, and whether the record of it was merged with one of an open."""

    sweep: int
    read: int
    merged: bool


class OpenLog:
    """What each process has opened.

    `known` are the pids whose records need nobody's attention; `took` is called with any other, once between two
    calls of `sweep`. `finished` is called once for each message that was closed and is gone from the queue.
    """

    def __init__(self, adapter: Adapter) -> None:
        """Begin to record. Raises OSError where that right is missing, or the kernel or file system cannot."""
        self._adapter = adapter
        flags = _CLOEXEC | _NONBLOCK | _UNLIMITED | _FID | _DIRECTORY_NAME
        self._queue = _checked(_LIBC.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        self._folders: dict[bytes, str] = {}
        self._files: dict[bytes, _File | None] = {}
        self._open: dict[int, dict[bytes, int]] = {}
        self._closed: dict[int, dict[bytes, _Closed]] = {}
        self._done: set[bytes] = set()
        self._strangers = {os.getpid()}
        self._sweep = self._reads = 0
        self._is_reading = False
        self.known: Container[int] = ()
        self.took: Callable[[int], None] = _ignore
        self.finished: Callable[[], None] = _nothing
        self.overflowed: Callable[[], None] = _nothing
        try:
            for folder in adapter.directories():
                mask = ctypes.c_uint64(_OPEN | _CLOSE | _ON_CHILD)
                _checked(_LIBC.fanotify_mark(self._queue, _ADD, mask, _AT_FDCWD, os.fsencode(folder)))
                self._folders[_handle(folder)] = folder
        except OSError:
            os.close(self._queue)
            raise

    def fileno(self) -> int:
        """For the loop."""
        return self._queue

    def read(self) -> None:
        """Take in what was recorded since the last call; of a flood, some megabytes.

        Whoever asks while records are taken in, as `took` may, gets what is known so far: what is newer must not be
        taken in before what is older.
        """
        if self._is_reading:
            return
        self._is_reading = True
        self._reads += 1
        try:
            for _ in range(_MOST_READS):
                self._take_in(os.read(self._queue, _BUFFER))
        except (BlockingIOError, InterruptedError):
            pass  # that was all
        finally:
            self._is_reading = False

    def _take_in(self, data: bytes) -> None:
        offset, end = 0, len(data)
        while offset < end:
            length, _, _, head, mask, _, pid = _RECORD.unpack_from(data, offset)
            self._note(mask, pid, data[offset + head : offset + length])
            offset += length

    def holdings(self, pid: int) -> list[Holding]:
        """The messages in the queue that a process has open, or had when it ended."""
        records: set[bytes] = {*self._open.get(pid, {}), *self._closed.get(pid, {})}
        messages = (self._message(record) for record in records)
        return [Holding(each, Confidence.CERTAIN, "fanotify") for each in messages if each]

    def is_held(self, message: Message) -> bool:
        """Whether a live worker has this message open."""
        try:
            handle = _handle(message.path)
        except OSError:
            return False
        files = (self._file(record) for pid, noted in self._open.items() if pid in self.known for record in noted)
        return any(file is not None and file.handle == handle for file in files)

    def settle(self) -> None:
        """Count what is gone from the queue without a close that the kernel tells of: it was moved out while open."""
        for noted in self._open.values():
            for record in self._gone(noted):
                del noted[record]
        for closed in self._closed.values():
            for record in self._gone(closed):
                del closed[record]

    def _gone(self, records: Iterable[bytes]) -> list[bytes]:
        """Those of these whose message is not in the queue any more; each is counted."""
        gone = [record for record in records if not (file := self._file(record)) or not _same(file)]
        for record in gone:
            self._count(record)
        return gone

    def sweep(self) -> None:
        """Forget what was closed before the last call, by processes that live on, and those that are gone."""
        self._sweep += 1
        self.settle()
        self._strangers = {os.getpid()}
        for pid, closed in list(self._closed.items()):
            old = [record for record, at in closed.items() if at.sweep < self._sweep - 1]
            self._check(pid, old)
            for record in old:
                del closed[record]
            if not closed:
                del self._closed[pid]
        for pid, noted in list(self._open.items()):
            if not noted or (pid not in self.known and not os.path.exists(f"/proc/{pid}")):
                del self._open[pid]
        used = {record for noted in self._open.values() for record in noted}
        used |= {record for noted in self._closed.values() for record in noted}
        self._files = {record: file for record, file in self._files.items() if record in used}
        self._done &= used

    def forget(self, pid: int) -> None:
        """A process has ended, and was dealt with."""
        self._open.pop(pid, None)
        self._closed.pop(pid, None)

    def close(self) -> None:
        """Record no more."""
        os.close(self._queue)

    def _note(self, mask: int, pid: int, record: bytes) -> None:
        if mask & _OVERFLOW:
            self._open.clear()
            self._closed.clear()
            self.overflowed()
            return
        if pid not in self.known:
            if pid in self._strangers:
                return
            self._strangers.add(pid)
            self.took(pid)
            if pid not in self.known:
                return
            self._strangers.discard(pid)
        is_opened, is_closed = bool(mask & _OPEN), bool(mask & _CLOSE)
        noted = self._open.setdefault(pid, {})
        if is_opened:
            noted[record] = noted.get(record, 0) + 1
            if pid in self._closed:  # what was closed before this was not closed by an end
                kept = {each: at for each, at in self._closed[pid].items() if at.merged and at.read == self._reads}
                self._closed[pid] = kept
        if is_closed:
            count = noted.get(record, 1)
            if count > 1 and not is_opened:
                noted[record] = count - 1
                return
            noted.pop(record, None)
            self._closed.setdefault(pid, {})[record] = _Closed(self._sweep, self._reads, is_opened)
            self._count(record)

    def _count(self, record: bytes) -> None:
        if record not in self._done:
            file = self._file(record)
            if file and not _same(file):  # another one may have its name by now
                self._done.add(record)
                self.finished()

    def _file(self, record: bytes) -> _File | None:
        if record not in self._files:
            self._files[record] = self._parse(record)
        return self._files[record]

    def _parse(self, record: bytes) -> _File | None:
        """The two parts of a record: directory and name, and the file itself (fanotify(7))."""
        path, handle, offset = "", b"", 0
        while offset < len(record):
            kind, _, length, _ = _INFO.unpack_from(record, offset)
            start = offset + _INFO.size
            size, _ = _HANDLE.unpack_from(record, start)
            found = record[start : start + _HANDLE.size + size]
            if kind == _IS_NAME:
                name = os.fsdecode(record[start + len(found) : offset + length].partition(b"\0")[0])
                path = f"{self._folders.get(found, '')}/{name}"
            elif kind == _IS_FID:
                handle = found
            offset += length
        return _File(path, handle) if self._adapter.is_message(path) else None

    def _message(self, record: bytes) -> Message | None:
        """The message that a record is about, if it still lies there."""
        file = self._file(record)
        if not file:
            return None
        message = self._adapter.message(file.path)
        return message if message and _same(file) else None

    def _check(self, pid: int, records: list[bytes]) -> None:
        """A file that was opened twice and closed once is open still."""
        if not records or pid not in self.known:
            return
        still = {each.path for each in opened(pid, self._adapter.below)}
        for record in records if still else ():
            file = self._file(record)
            if file and file.path in still:
                self._open.setdefault(pid, {})[record] = 1


def _same(file: _File) -> bool:
    try:
        return _handle(file.path) == file.handle
    except OSError:
        return False


def _handle(path: str) -> bytes:
    """What a file system knows a file by for good (name_to_handle_at(2)): its size, its kind, the handle."""
    made = ctypes.create_string_buffer(_HANDLE.pack(_MOST_HANDLE, 0), _HANDLE.size + _MOST_HANDLE)
    mount = ctypes.c_int()
    _checked(_LIBC.name_to_handle_at(_AT_FDCWD, os.fsencode(path), made, ctypes.byref(mount), 0))
    size, _ = _HANDLE.unpack_from(made.raw)
    return made.raw[: _HANDLE.size + size]


def _ignore(_: int) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """Nobody wants to know."""


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
