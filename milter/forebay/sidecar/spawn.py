"""Starting a program in its group, with its limits, and with nothing of ours."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PRIORITY: Final = -10
"""Who ends workers that burn all processors must not wait behind them."""
_RESET = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Heritage:
    """What a program gets: at most so many bytes in a file, 0 for any; so many open files, this priority.

    None: as we have.
    """

    file_size: int
    open_files: tuple[int, int] | None = None
    priority: int | None = None


def raise_own(file_size: int) -> Heritage:
    """Let this process have as many open files as it may: eight a worker. What we start is to have what we had."""
    had = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (had[1], had[1]))
    return Heritage(file_size, had, os.getpriority(os.PRIO_PROCESS, 0))


@contextmanager
def ahead() -> Iterator[None]:
    """Let this thread come first as long as the block lasts, unless a person has given it another turn."""
    had = os.getpriority(os.PRIO_PROCESS, 0)
    if not had:
        with suppress(PermissionError):  # without CAP_SYS_NICE it waits like all others
            os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, had)


def spawn(command: Sequence[str], enter: Callable[[], None], heritage: Heritage) -> int:
    """Start a program; its pid. `enter` is called in the child, before.

    Raises OSError with the name of what could not be had: a group's file, or the program.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            become(command, enter, heritage)
        except OSError as error:
            os.write(writer, b"%d %s" % (error.errno or 0, os.fsencode(error.filename or command[0])))
        finally:
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        failed = answer.read()
    if failed:
        os.waitpid(pid, 0)
        number, _, name = failed.partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(name))
    return pid


def become(command: Sequence[str], enter: Callable[[], None], heritage: Heritage) -> None:
    """Enter the group, set the limits and execute. Raises OSError; else it does not come back."""
    signal.set_wakeup_fd(-1)
    for each in _RESET:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    enter()
    if heritage.file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (heritage.file_size, heritage.file_size))
    if heritage.open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, heritage.open_files)
    if heritage.priority is not None:
        os.setpriority(os.PRIO_PROCESS, 0, heritage.priority)
    with suppress(PermissionError):  # whom a service manager started leads a session already
        os.setsid()
    os.execvp(command[0], list(command))  # noqa: S606 - the operator's own command, without a shell
