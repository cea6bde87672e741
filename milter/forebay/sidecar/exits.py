"""How a process ended: its status as waitpid(2) gives it, from whoever may say so.

In this order: waitid for a child of ours, the pidfd (Linux 6.15), the process connector, the stat of a zombie.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from typing import Final

from forebay.api.process import state

_INFO: Final = struct.Struct("=QQ11Ii")
"""struct pidfd_info of the kernel's include/uapi/linux/pidfd.h, first version, up to exit_code."""
_GET_INFO: Final = (3 << 30) | (_INFO.size << 16) | (0xFF << 8) | 11
_INFO_EXIT: Final = 1 << 3


def of_child(pid: int) -> int | None:
    """The status of a child of ours that has ended, and its end: it is reaped."""
    with contextlib.suppress(ChildProcessError):
        found, status = os.waitpid(pid, os.WNOHANG)
        return status if found else None
    return None


def of_other(pid: int, started: int, pidfd: int, told: int | None) -> tuple[int | None, str]:
    """The status of another's child that has ended, and where it is from; `told` is what the connector says."""
    status = _from_pidfd(pidfd)  # which knows nothing before its parent has taken note
    if status is not None:
        return status, "pidfd"
    if told is not None:
        return told, "connector"
    found = state(pid)
    if found and found.started == started and found.letter in "ZX":
        return found.status, "stat"
    return None, "unknown"


def kernel_tells() -> bool:
    """Whether PIDFD_GET_INFO tells how another's child has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    pidfd = os.pidfd_open(pid)
    try:
        os.waitpid(pid, 0)
        return _from_pidfd(pidfd) == 3 << 8
    finally:
        os.close(pidfd)


def _from_pidfd(pidfd: int) -> int | None:
    asked = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, asked)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(asked)
    return status if mask & _INFO_EXIT else None
