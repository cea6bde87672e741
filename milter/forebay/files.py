"""Files in directories where others may write as well: nobody there can make us write, or read, somewhere else."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file as a whole. Raises OSError, and then the old one stays."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    try:
        with os.fdopen(make(new), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def make(path: Path | str, flags: int = os.O_WRONLY) -> int:
    """A file that was not there, for us alone, open. Raises FileExistsError, or another OSError."""
    return os.open(path, flags | _MAKE, 0o600)


def open_regular(path: Path | str) -> int:
    """A regular file, open for reading; a link or a pipe is refused, and never waited for. Raises OSError."""
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


def open_own(path: Path) -> int:
    """A file of ours, made if it is missing, open for reading and writing. Raises OSError, also for another's."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "not a file of this user", os.fspath(path))
    return descriptor


def sync_directory(path: Path | str) -> None:
    """Make what was made, renamed or removed in a directory durable. Raises OSError."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_own_directory(path: Path | str) -> None:
    """Raise OSError unless this is a directory of ours in which nobody else may write."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", os.fspath(path))
    if found.st_uid != os.geteuid():
        text = f"belongs to uid {found.st_uid}: act as that user, or chown it to uid {os.geteuid()}"
        raise PermissionError(errno.EPERM, text, os.fspath(path))
    if found.st_mode & _OTHERS_WRITE:
        raise PermissionError(errno.EPERM, "others may write there: chmod go-w", os.fspath(path))
