"""Moving a message so that no instant at which we may be killed loses it, or leaves it in two places for the router.

Within a file system a move is one rename that never overwrites; owner, mode and time stay with the file. Across file
systems it is a copy under a temporary name, made durable, renamed, and only then is the original unlinked.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

from forebay import files

if TYPE_CHECKING:
    from collections.abc import Callable

Point = "Callable[[str], None]"
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD: Final = -100
_NOREPLACE: Final = 1
_PIECE: Final = 1 << 20


def nothing(_: str) -> None:
    """The step that is about to be made is of no interest to anybody."""


def move(source: str, target: str, step: Callable[[str], None] = nothing) -> None:
    """Move a file, durably. Raises FileNotFoundError, FileExistsError, or another OSError."""
    try:
        step("rename")
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target, step)
    step("sync")
    files.sync_directory(os.path.dirname(target))
    files.sync_directory(os.path.dirname(source))


def make_directory(path: str) -> None:
    """A directory for us alone, made durable. Raises OSError, also for one in which others may write."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        files.sync_directory(os.path.dirname(path))
    files.check_own_directory(path)


def remove(path: str) -> None:
    """Remove a file, durably; one that is gone is no error. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        files.sync_directory(os.path.dirname(path))


def rename(source: str, target: str) -> None:
    """Rename, and never overwrite: renameat2(2) where the file system has it. Raises OSError."""
    from_, to = os.fsencode(source), os.fsencode(target)
    if _LIBC.renameat2(_AT_FDCWD, from_, _AT_FDCWD, to, _NOREPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number not in {errno.EINVAL, errno.ENOSYS}:
        raise OSError(number, os.strerror(number), source, None, target)
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target)


def _copy(source: str, target: str, step: Callable[[str], None]) -> None:
    """All by descriptors: a name in the spool may be made to mean another file meanwhile."""
    folder, _, name = target.rpartition("/")
    temporary = f"{folder}/.{name}.copy"
    step("copy")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # of an earlier life
    with os.fdopen(files.open_regular(source), "rb") as old, os.fdopen(files.make(temporary), "wb") as new:
        shutil.copyfileobj(old, new, _PIECE)
        new.flush()
        status = os.fstat(old.fileno())
        os.fchown(new.fileno(), status.st_uid, status.st_gid)
        os.fchmod(new.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(new.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(new.fileno())
    step("copied")
    rename(temporary, target)
    files.sync_directory(folder)
    step("unlink")
    os.unlink(source)
