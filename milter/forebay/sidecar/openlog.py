"""A log of which process opened which message, by fanotify(7): right even for a worker that dies at once.

It needs CAP_SYS_ADMIN. An open is a claim until the file is closed. Files are closed at an exit as well, in the same
way, and the kernel merges records of one process and file that were not read yet, so that their order is lost. So
what a worker has closed counts as its claim for a moment longer: until it surely opened another file after it, or
lived on. What is done is gone from the spool, and drops out when somebody asks.

There may be many records, and taking one in costs two microseconds and no system call: what it is about is looked up
when somebody asks, and what is done is counted when the log is settled.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

from forebay.api.process import opened
from forebay.api.router import Confidence, Holding, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Container

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


class _Closed:
    """What a process has closed, and after which sweep: `last` after everything that it has opened.

    Of `merged` nobody knows whether that was after or before: opened and closed, in the records that one `read` took in.
    """

    __slots__ = ("last", "merged", "read")

    def __init__(self) -> None:
        self.last: dict[bytes, int] = {}
        self.merged: dict[bytes, int] = {}
        self.read = 0


class OpenLog:
    """What each process has opened.

    `known` are the pids of workers; `took` is called with any other, once between two calls of `sweep`. What it has
    opened counts if it is known after that, or one of the `fresh`, which may become workers. `finished` is called with how many messages were closed and are gone from the queue.

    `_open` counts how often each process has opened what it has not closed. `_ended` is what was closed by anybody,
    and after which sweep; `_done` what of it, or of what is open, was counted. `_paths` is where the file of a record
    was, nothing where that is no message.
    """

    def __init__(self, adapter: Adapter) -> None:
        """Begin to record. Raises OSError where that right is missing, or the kernel or file system cannot."""
        self._adapter = adapter
        self._follows = adapter.follows
        flags = _CLOEXEC | _NONBLOCK | _UNLIMITED | _FID | _DIRECTORY_NAME
        self._queue = _checked(_LIBC.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        self._folders: dict[bytes, str] = {}
        self._paths: dict[bytes, str] = {}
        self._open: dict[int, dict[bytes, int]] = {}
        self._closed: dict[int, _Closed] = {}
        self._ended: dict[bytes, int] = {}
        self._done: set[bytes] = set()
        self._strangers = {os.getpid()}
        self._sweep = self._reads = 0
        self._is_reading = False
        self.known: Container[int] = ()
        self.fresh: Container[int] = ()
        self.took: Callable[[int], None] = _ignore
        self.finished: Callable[[int], None] = _ignore
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
        offset, end, known = 0, len(data), self.known
        while offset < end:
            length, _, _, head, mask, _, pid = _RECORD.unpack_from(data, offset)
            if pid in known or self._is_wanted(mask, pid):
                self._note(mask, pid, data[offset + head : offset + length])
            offset += length

    def _is_wanted(self, mask: int, pid: int) -> bool:
        """Whether what a process did counts that is not known as a worker."""
        if mask & _OVERFLOW:
            self._open.clear()
            self._closed.clear()
            self.overflowed()
            return False
        if pid not in self.fresh:
            if pid in self._strangers:
                return False
            self._strangers.add(pid)
            self.took(pid)
            if pid not in self.known and pid not in self.fresh:
                return False
            self._strangers.discard(pid)
        return True

    def _note(self, mask: int, pid: int, record: bytes) -> None:
        noted = self._open.get(pid)
        if noted is None:
            noted = self._open[pid] = {}
        if mask & _OPEN:
            noted[record] = noted.get(record, 0) + 1
            if self._follows:
                self._adapter.has_opened(pid, self._place(record))
            closed = self._closed.get(pid)
            if closed:  # what was closed before this was not closed by an end
                closed.last.clear()
                if closed.read != self._reads:
                    closed.merged.clear()
        if mask & _CLOSE:
            count = noted.get(record, 1)
            if count > 1 and not mask & _OPEN:
                noted[record] = count - 1
                return
            noted.pop(record, None)
            self._ended[record] = self._sweep
            closed = self._closed.get(pid)
            if closed is None:
                closed = self._closed[pid] = _Closed()
            if mask & _OPEN:
                closed.read = self._reads
                closed.merged[record] = self._sweep
            else:
                closed.last[record] = self._sweep

    def knows(self, pid: int) -> bool:
        """Whether a process has opened anything."""
        return pid in self._open

    def holdings(self, pid: int, *, anywhere: bool = False, is_alive: bool = False) -> list[Holding]:
        """The messages that a process has open, or had when it ended: in the queue, or wherever they are now.

        Of one that lives what was seen to be done is not looked at again: it has many, and each costs system calls.
        """
        records: set[bytes] = {*self._open.get(pid, ())}
        if closed := self._closed.get(pid):
            records.update(closed.last, closed.merged)
        if is_alive:
            records -= self._done
        messages = (self._message(record, anywhere=anywhere) for record in records)
        return [Holding(each, Confidence.CERTAIN, "fanotify") for each in messages if each]

    def holders(self, message: Message) -> list[int]:
        """The workers that have this message open, as far as was recorded: the last of them may have ended since."""
        return [pid for pid in self._having(message) if pid in self.known]

    def taken_up(self, message: Message) -> list[int]:
        """The same, and the processes that may become workers."""
        return [pid for pid in self._having(message) if pid in self.known or pid in self.fresh]

    def _having(self, message: Message) -> list[int]:
        try:
            handle = _handle(message.path)
        except OSError:
            return []
        return [
            pid for pid, noted in self._open.items() if any(handle == _part(record, _IS_FID)[0] for record in noted)
        ]

    def settle(self) -> None:
        """Count what is gone from the queue: it was closed, or is open still and was moved out."""
        gone = 0
        for record in {*self._ended, *(record for noted in self._open.values() for record in noted)} - self._done:
            path = self._path(record)
            if path and _is_gone(path, record):
                self._done.add(record)
                gone += 1
        for pid, noted in self._open.items():
            if pid not in self.fresh:
                for record in self._done & noted.keys():
                    del noted[record]
        if gone:
            self.finished(gone)

    def sweep(self) -> None:
        """Forget what was closed before the last call, by processes that live on, and those that are gone."""
        self._sweep += 1
        self.settle()
        self._strangers = {os.getpid()}
        for pid, closed in list(self._closed.items()):
            for records in (closed.last, closed.merged):
                old = [record for record, at in records.items() if at < self._sweep - 1]
                self._check(pid, [record for record in old if record not in self._done])
                for record in old:
                    del records[record]
            if not closed.last and not closed.merged:
                del self._closed[pid]
        for pid, noted in list(self._open.items()):
            if not noted or (pid not in self.known and not os.path.exists(f"/proc/{pid}")):
                del self._open[pid]
        self._ended = {record: at for record, at in self._ended.items() if at >= self._sweep - 1}
        closings = [records for each in self._closed.values() for records in (each.last, each.merged)]
        used = {*self._ended}.union(*self._open.values(), *closings)
        self._paths = {record: path for record, path in self._paths.items() if record in used}
        self._done &= used

    def forget(self, pid: int) -> None:
        """A process has ended, and was dealt with: what it did not finish is not counted, whoever moves it."""
        closed = self._closed.pop(pid, None) or _Closed()
        for record in (*self._open.pop(pid, ()), *closed.last, *closed.merged):
            if record not in self._done:
                self._ended.pop(record, None)

    def close(self) -> None:
        """Record no more."""
        os.close(self._queue)

    def _path(self, record: bytes) -> str:
        path = self._paths.get(record)
        if path is None:
            path = self._place(record)
            self._paths[record] = path = path if self._adapter.is_message(path) else ""
        return path

    def _place(self, record: bytes) -> str:
        folder, name = _part(record, _IS_NAME)
        return f"{self._folders.get(folder, '')}/{os.fsdecode(name)}"

    def _message(self, record: bytes, *, anywhere: bool) -> Message | None:
        """The message that a record is about, if it is in the queue still, whatever its name has become."""
        path = self._path(record)
        if not path:
            return None
        handle = _part(record, _IS_FID)[0]
        path = path if _is_that(path, handle) else _path_of(handle, os.path.dirname(path))
        return self._adapter.message(path) if path and (anywhere or self._adapter.is_message(path)) else None

    def _check(self, pid: int, records: list[bytes]) -> None:
        """A file that was opened twice and closed once is open still."""
        if not records or pid not in self.known:
            return
        still = {each.path for each in opened(pid, self._adapter.below)}
        for record in records if still else ():
            if self._path(record) in still:
                self._open.setdefault(pid, {})[record] = 1


def _part(record: bytes, wanted: int) -> tuple[bytes, bytes]:
    """A part of a record (fanotify(7)): the handle of a directory and a name in it, or that of the file itself."""
    offset = 0
    while offset < len(record):
        kind, _, length, _ = _INFO.unpack_from(record, offset)
        start = offset + _INFO.size
        name = start + _HANDLE.size + _HANDLE.unpack_from(record, start)[0]
        if kind == wanted:
            return record[start:name], record[name : offset + length].partition(b"\0")[0]
        offset += length
    return b"", b""


def _is_gone(path: str, record: bytes) -> bool:
    """Whether a file is not where it was; without an exception, for most are."""
    if not os.access(path, os.F_OK, follow_symlinks=False):
        return True
    return not _is_that(path, _part(record, _IS_FID)[0])  # another one may have its name by now


def _is_that(path: str, handle: bytes) -> bool:
    try:
        return _handle(path) == handle
    except OSError:
        return False


def _path_of(handle: bytes, folder_path: str) -> str:
    """Where a file is now that was in this directory; nothing without CAP_DAC_READ_SEARCH, or for one that is gone."""
    try:
        folder = os.open(folder_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        found = _checked(_LIBC.open_by_handle_at(folder, handle, os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return ""
    finally:
        os.close(folder)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


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
