"""What the supervisor holds as long as it lives: its directories, the lock, the sockets, and the shared page."""

from __future__ import annotations

import os
import pwd
import select
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forebay import metrics, records
from forebay.errors import FileError, RightsError
from forebay.smtp import keeper, listener, statusfile
from forebay.smtp.listener import Address
from forebay.smtp.page import Page
from forebay.smtp.succession import Legacy

if TYPE_CHECKING:
    from forebay.config import Milter


@dataclass(slots=True)
class Premises:
    """Taken at the start, given back at the end. `scraped` is the socket of the metrics, if there are any."""

    page: Page
    listening: socket.socket
    scraped: socket.socket | None
    metrics: str
    _lock: int
    _address: Address
    _inode: int

    @classmethod
    def take(cls, settings: Milter, legacy: Legacy | None = None) -> Premises:
        """Make and bind everything; what a supervisor of before has left is taken over where it is the same.

        Raises a ForebayError that says what cannot be had; then nothing is left behind.
        """
        user = _account(settings.user)
        runtime = Path(settings.runtime)
        _make("runtime", runtime, 0o755, user)
        state = Path(settings.state)
        for path in (state, state / records.DIRECTORY, *(state / records.DIRECTORY / each for each in records.FOLDERS)):
            _make("state", path, 0o700, user)
        lock = _inherited_lock(runtime, legacy)
        if lock < 0:
            lock = statusfile.lock(runtime)
        counted = runtime / "metrics"
        _make("runtime", counted, 0o755, user)
        metrics.clear(str(counted))
        address = Address.parse(settings.listen)
        scraped = _inherited_metrics(settings.metrics, legacy)
        if not scraped and settings.metrics:
            scraped = keeper.bind(settings.metrics)
        try:
            listening, inode = _inherited_socket(str(address), legacy)
            if not listening:
                listening = listener.listen(address, settings.socket_mode, settings.socket_group)
                inode = listener.inode_of(address)
        except BaseException:
            if scraped:
                scraped.close()
            os.close(lock)
            raise
        return cls(Page(), listening, scraped, str(counted), lock, address, inode)

    def legacy(self, settings: Milter, workers: tuple[tuple[int, int], ...]) -> Legacy:
        """What passes over to the next version of the program. `workers` are pids, each with our end of its line."""
        return Legacy(
            os.getpid(), str(self._address), self.listening.fileno(), self._inode, settings.metrics,
            self.scraped.fileno() if self.scraped else -1, settings.runtime, self._lock, workers,
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Where MTAs connect, as the configuration writes it; with the port that the kernel chose for port 0."""
        if self._address.port or self._address.path:
            return str(self._address)
        return f"{self._address.kind}:{self.listening.getsockname()[1]}@{self._address.host}"

    def withdraw(self) -> None:
        """Take the path away, so that nobody new connects; connections that wait in the kernel stay."""
        listener.forget_path(self._address, self._inode)

    def has_waiting(self) -> bool:
        """Whether a connection waits in the kernel for a worker."""
        return self.listening.fileno() >= 0 and bool(select.select([self.listening], [], [], 0)[0])

    def leave(self) -> None:
        """Give everything back."""
        self.withdraw()
        self.listening.close()
        if self.scraped:
            self.scraped.close()
        os.close(self._lock)


def _inherited_lock(runtime: Path, legacy: Legacy | None) -> int:
    if legacy and Path(legacy.runtime) == runtime:
        return legacy.lock
    if legacy:
        os.close(legacy.lock)
    return -1


def _inherited_metrics(address: str, legacy: Legacy | None) -> socket.socket | None:
    if legacy is None or legacy.scraped < 0:
        return None
    found = socket.socket(fileno=legacy.scraped)
    if legacy.metrics == address:
        return found
    found.close()
    return None


def _inherited_socket(address: str, legacy: Legacy | None) -> tuple[socket.socket | None, int]:
    """The socket, and the inode of its path; none where another address is to be listened on."""
    if legacy is None:
        return None, 0
    found = socket.socket(fileno=legacy.listening)
    if legacy.listen == address:
        return found, legacy.inode
    found.close()
    listener.forget_path(Address.parse(legacy.listen), legacy.inode)
    return None, 0


def _account(user: str) -> pwd.struct_passwd | None:
    """Whom the service's directories belong to; None for the user who starts it."""
    if not user or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise RightsError(f"milter.user: there is no user {user!r}; make it, or name another one") from None


def _make(setting: str, path: Path, mode: int, user: pwd.struct_passwd | None) -> None:
    """Make a directory that is missing; one that is there is left as it is, and has to be writable for us."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=mode)
        if user:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    except FileExistsError:
        _check(setting, path, user)
    except PermissionError:
        raise RightsError(f"milter.{setting}: {path}: this user may not make it") from None
    except OSError as error:
        raise FileError(f"milter.{setting}: {path}: {error.strerror}") from None


def _check(setting: str, path: Path, user: pwd.struct_passwd | None) -> None:
    if not path.is_dir():
        raise FileError(f"milter.{setting}: {path} exists and is no directory; remove it, or choose another path")
    found = path.stat()
    if user is None:
        allowed, name = os.access(path, os.W_OK), "this user"
    else:
        groups = os.getgrouplist(user.pw_name, user.pw_gid)
        mine = (
            (found.st_uid == user.pw_uid and stat.S_IWUSR) or (found.st_gid in groups and stat.S_IWGRP) or stat.S_IWOTH
        )
        allowed, name = user.pw_uid == 0 or bool(found.st_mode & mine), f"user {user.pw_name!r}"
    if not allowed:
        raise RightsError(f"milter.{setting}: {path}: {name} may not write there; chown it, or choose another path")
