"""What the Postfix adapter does with queue files: Postfix's own commands, and a rename that nobody is in the way of."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import time
from contextlib import suppress
from stat import S_IMODE, S_IXUSR
from typing import TYPE_CHECKING, Final

from forebay.api.router_program import Programs

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{6,40}")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DEFAULT_LIFETIME: Final = 432_000.0
_TRIES: Final = 20
_MOMENT: Final = 0.002
_NO_LEASES: Final = frozenset({errno.EINVAL, errno.ENOLCK, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP})


class Commands:
    """The commands of the Postfix whose configuration is in a directory, or of the default one. All raise OSError."""

    def __init__(self, directory: str) -> None:
        self._at = ("-c", directory) if directory else ()
        self.programs = Programs()

    def hold(self, queue_id: str) -> None:
        """Put a message on hold, in whichever queue it is."""
        self._super("-h", queue_id, "incoming", "active", "deferred")

    def release(self, queue_id: str, arrived: float) -> None:
        """Let a message go on that was held. One that was held for long begins anew: it would be given up as too old."""
        if time.time() - arrived > self._lifetime() / 4:
            self._super("-r", queue_id, "hold")
            return
        self._super("-H", queue_id, "hold")
        with suppress(OSError):  # without its service flush there are queue runs only
            self._run("postqueue", "-i", queue_id)

    def delete(self, queue_id: str) -> None:
        """Remove a message for good that is on hold."""
        self._super("-d", queue_id, "hold")

    def _lifetime(self) -> float:
        said = self._run("postconf", "-h", "maximal_queue_lifetime").decode("ascii", "replace").strip()
        found = re.fullmatch(r"(\d{1,9})([smhdw]?)", said)
        return float(found[1]) * _UNITS[found[2] or "d"] if found else _DEFAULT_LIFETIME

    def _super(self, option: str, queue_id: str, *queues: str) -> None:
        if not QUEUE_ID.fullmatch(queue_id):
            raise OSError(errno.EINVAL, "this is no queue id")
        self._run("postsuper", option, queue_id, *queues)

    def _run(self, program: str, *arguments: str) -> bytes:
        done = self.programs.run((program, *self._at, *arguments), {**os.environ, "LANG": "C"})
        if done.status:
            raise OSError(errno.EIO, f"{program}: {done.last_words}")
        return done.output


def make_ready(path: str, inode: int, *, ready: bool = True) -> None:
    """Let pickup take a file up, or not: it takes only what is executable, as a file is that is written to its end.

    Nobody is in the way of this who has the file open, and nobody of whom it is in the way: he will remove it as ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_ino == inode:
            mode = S_IMODE(status.st_mode)
            os.fchmod(descriptor, mode | S_IXUSR if ready else mode & ~S_IXUSR)
    finally:
        os.close(descriptor)


def move_alone(source: str, inode: int, target: str, move: Callable[[str, str], None]) -> None:
    """Move a file while no process has it open. Raises BlockingIOError while one has, or another OSError.

    A lease keeps whoever opens it meanwhile waiting (fcntl(2), F_SETLEASE); if one does, the file is moved back
    before he gets it. Where the file system has no leases, the processes that may have it open are asked.
    """
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_ino != inode:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
        if not _lease(descriptor):
            if _is_open_elsewhere(inode, os.fstat(descriptor).st_dev):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), source)
            move(source, target)
            return
        move(source, target)
        if fcntl.fcntl(descriptor, fcntl.F_GETLEASE) != fcntl.F_WRLCK:
            move(target, source)
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), source)
    finally:
        os.close(descriptor)


def _lease(descriptor: int) -> bool:
    """Whether we are alone with this file, and stay so; False where nobody can tell. Raises BlockingIOError if not."""
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # which is ignored: the default would end us
    for left in reversed(range(_TRIES)):  # pickup lets go of what its cleanup has died of in a moment
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except BlockingIOError:
            if not left:
                raise
            time.sleep(_MOMENT)
        except OSError as error:
            if error.errno in _NO_LEASES:
                return False
            raise
        else:
            return True
    return False


def _is_open_elsewhere(inode: int, device: int) -> bool:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    status = os.stat(f"/proc/{pid}/fd/{number}")
                    if (status.st_ino, status.st_dev) == (inode, device):
                        return True
    return False
