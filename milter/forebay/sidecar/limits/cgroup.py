"""What both versions of cgroups have in common: files that hold numbers, and directories that are groups."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import signal

ROOT: Final = Path("/sys/fs/cgroup")
WORKER: Final = "worker-"
ROUTER: Final = "router"


class NumberFile:
    """A file of the kernel's that is read again and again: opened once, read at offset 0."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def text(self) -> bytes:
        """Its text, empty when the group is gone."""
        try:
            return os.pread(self._descriptor, 8192, 0)
        except OSError:
            return b""

    def number(self) -> int:
        """Its one number, 0 when the group is gone."""
        text = self.text().strip()
        return int(text) if text.isdigit() else 0

    def numbers(self) -> dict[bytes, int]:
        """Its lines of a name and a number."""
        words = self.text().split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=False))

    def close(self) -> None:
        """Close it; it is not read any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def own_group(controller: str) -> str:
    """The path of this process's group: of a v1 controller, or of v2 with an empty name (cgroups(7))."""
    for line in Path("/proc/self/cgroup").read_text("ascii").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") if controller else not names:
            return path
    return ""


def write(path: Path, value: str) -> bool:
    """Write a setting; False where the kernel refuses it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, value.encode("ascii"))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def pids(group: Path) -> list[int]:
    """The processes of a group. Opened anew each time: v1 answers an old descriptor from a list up to a second old."""
    try:
        with open(group / "cgroup.procs", "rb", buffering=0) as file:
            text = b""
            while chunk := file.read(1 << 16):
                text += chunk
    except OSError:
        return []
    return [int(each) for each in text.split()]


def gather(base: Path) -> None:
    """Move what runs in a group itself into its group `router`.

    That is a router whose launcher has not come to it yet, when router and sidecar are started at once, or one that
    was started there without the launcher.
    """
    make(base / ROUTER)
    for pid in set(pids(base)) - {os.getpid()}:
        write(base / ROUTER / "cgroup.procs", str(pid))


def slots(base: Path) -> list[int]:
    """The slots whose leaves exist."""
    names = [each.name.removeprefix(WORKER) for each in base.glob(f"{WORKER}*")]
    return sorted(int(each) for each in names if each.isdigit())


def make(group: Path) -> None:
    """Make a group, or take the one that is there."""
    group.mkdir(exist_ok=True)


def remove(group: Path) -> bool:
    """Remove a group; False where it still has processes."""
    try:
        group.rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True


def signal_all(group: Path, number: signal.Signals) -> None:
    """Send a signal to each process of a group, those included that are forked meanwhile."""
    done: set[int] = set()
    for _ in range(20):
        new = set(pids(group)) - done
        if not new:
            return
        for pid in new:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        done |= new
