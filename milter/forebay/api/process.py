"""What /proc says of a process, for adapters and for the sidecar: who it is, which files it has open, what it waits for.

Everything here answers with nothing, and raises nothing, for a process that is gone: processes end at any time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, NamedTuple

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _FLAGS, _UTIME, _STIME, _CUTIME, _CSTIME = 0, 1, 6, 11, 12, 13, 14
_START, _VSIZE, _RSS, _EXIT = 19, 20, 21, 49
_EXITING: Final = 0x4
"""PF_EXITING of the kernel's include/linux/sched.h."""
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one of the same pid by its start (clock ticks since the machine's)."""

    pid: int
    started: int
    parent: int = 0
    command: tuple[bytes, ...] = ()


class State(NamedTuple):
    """What changes: `letter` as in proc(5), sizes in bytes, `status` as waitpid(2) gives it.

    `cpu`: CPU seconds of its own; `waited`: of its children, and theirs, that it has waited for.
    """

    letter: str
    parent: int
    started: int
    cpu: float
    waited: float
    vsize: int
    rss: int
    exiting: bool
    status: int


class Opened(NamedTuple):
    """A file that a process has open; the path is where it was found, and may be out of date."""

    path: str
    device: int
    inode: int


def state(pid: int) -> State | None:
    """The state of a process, or None where there is none; `status` counts for a zombie whose stat may be read."""
    text = _read(f"/proc/{pid}/stat")
    fields = text[text.rfind(b")") + 2 :].split()  # the name in parentheses may hold anything
    if len(fields) <= _EXIT:
        return None
    return State(
        fields[_STATE].decode("ascii"),
        int(fields[_PARENT]),
        int(fields[_START]),
        (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS,
        (int(fields[_CUTIME]) + int(fields[_CSTIME])) / _TICKS,
        int(fields[_VSIZE]),
        int(fields[_RSS]) * PAGE,
        bool(int(fields[_FLAGS]) & _EXITING),
        int(fields[_EXIT]),
    )


def process(pid: int) -> Process | None:
    """Who this is, or None where there is none."""
    found = state(pid)
    return Process(pid, found.started, found.parent, command(pid)) if found else None


def is_alive(pid: int, started: int) -> bool:
    """Whether that process lives, and not merely one of the same pid."""
    found = state(pid)
    return found is not None and found.started == started and found.letter not in "ZX"


def command(pid: int) -> tuple[bytes, ...]:
    """The command line; empty for a zombie and a kernel thread."""
    return tuple(_read(f"/proc/{pid}/cmdline").removesuffix(b"\0").split(b"\0"))


def opened(pid: int, below: tuple[str, ...], *, locked: bool = False) -> list[Opened]:
    """The files below these directories (ending with a slash) that it has open, each once.

    `locked`: only those on which it has a lock, its own or one that it has inherited.
    """
    found: dict[tuple[int, int], Opened] = {}
    where = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(where)
    except OSError:
        return []
    for number in numbers:
        try:
            path = os.readlink(f"{where}/{number}")
            if path.startswith(below) and (not locked or b"\nlock:" in _read(f"/proc/{pid}/fdinfo/{number}")):
                status = os.stat(f"{where}/{number}")
                found[status.st_dev, status.st_ino] = Opened(path, status.st_dev, status.st_ino)
        except OSError:
            continue
    return list(found.values())


def waits_for_lock(pid: int, inode: int) -> bool:
    """Whether a process is blocked by another's lock on a file: a waiter is never the culprit (proc_locks(5))."""
    for line in _locks():
        words = line.split()
        if len(words) >= 7 and words[1] == b"->" and words[5] == b"%d" % pid and words[6].endswith(b":%d" % inode):
            return True
    return False


def has_lock(pid: int, inode: int) -> bool:
    """Whether a process holds a lock on a file."""
    for line in _locks():
        words = line.split()
        if len(words) >= 6 and words[1] != b"->" and words[4] == b"%d" % pid and words[5].endswith(b":%d" % inode):
            return True
    return False


def _locks() -> list[bytes]:
    """The kernel gives a page of this file at a time, however much is asked for; that takes it ten milliseconds."""
    try:
        with open("/proc/locks", "rb") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(1 << 20)
    except OSError:
        return b""
