"""Which worker holds which message, in a small file that outlives the sidecar's own death, but not a reboot.

One record a slot, overwritten in place: no fsync, for the pages survive every end but the machine's; and after that
nothing may be concluded from a claim anyway. The boot id in its head tells.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from forebay import files

if TYPE_CHECKING:
    from forebay.sidecar.worker import Worker

_SLOTS: Final = 512
_SIZE: Final = 1024
_HEAD: Final = struct.Struct("=36s")
_RECORD: Final = struct.Struct("=IQQ32sH")
_IDENTITY: Final = 32


class Claim(NamedTuple):
    """A record: the worker (pid and start), and what it held."""

    pid: int
    started: int
    identity: bytes
    size: int
    path: str


class ClaimPage:
    """The file. Raises OSError from the constructor only."""

    def __init__(self, path: Path) -> None:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        descriptor = files.open_own(path)
        try:
            os.ftruncate(descriptor, (_SLOTS + 1) * _SIZE)
            os.posix_fallocate(descriptor, 0, (_SLOTS + 1) * _SIZE)  # a hole on a full disk would be our end: SIGBUS
            self._bytes = mmap.mmap(descriptor, (_SLOTS + 1) * _SIZE)
        finally:
            os.close(descriptor)
        if _HEAD.unpack_from(self._bytes)[0] != boot:
            self._bytes[:] = bytes(len(self._bytes))
            _HEAD.pack_into(self._bytes, 0, boot)

    def left(self) -> list[Claim]:
        """The records of an earlier life."""
        found = []
        for slot in range(_SLOTS):
            where = (slot + 1) * _SIZE
            pid, started, size, identity, length = _RECORD.unpack_from(self._bytes, where)
            if pid and length:
                path = self._bytes[where + _RECORD.size : where + _RECORD.size + length]
                found.append(Claim(pid, started, identity, size, os.fsdecode(path)))
        return found

    def note(self, worker: Worker) -> None:
        """Write down what a worker holds now: one message, or nothing."""
        slot, message = worker.leaf.slot, worker.message
        if not 0 <= slot < _SLOTS:
            return
        where = (slot + 1) * _SIZE
        if message is None or len(message.identity) > _IDENTITY:
            self._bytes[where : where + 4] = bytes(4)
            return
        path = os.fsencode(message.path)[: _SIZE - _RECORD.size]
        self._bytes[where + _RECORD.size : where + _RECORD.size + len(path)] = path
        _RECORD.pack_into(
            self._bytes, where, worker.process.pid, worker.process.started, message.size, message.identity, len(path)
        )

    def clear(self, slot: int) -> None:
        """The worker has ended, and was dealt with."""
        if 0 <= slot < _SLOTS:
            where = (slot + 1) * _SIZE
            self._bytes[where : where + 4] = bytes(4)

    def forget(self) -> None:
        """All records of an earlier life were dealt with."""
        self._bytes[_SIZE:] = bytes(len(self._bytes) - _SIZE)
