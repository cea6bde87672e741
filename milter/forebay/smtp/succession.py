"""An upgrade without a stop: the supervisor becomes the new version of the program, and no session is lost.

At a reload the supervisor looks whether the program that it was started as is still the one that is installed. If
another version is, that one has to load everything once, in a process beside the mail (`forebay milter --dry-run`).
Then the supervisor executes it (execve(2)) and stays the same process, so that the service manager sees a reload. The
sockets and the lock pass over to it, and so do the workers of before, which serve until the new ones do.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.smtp.channel import Channel
from forebay.smtp.signals import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVIRONMENT: Final = "FOREBAY_SUCCESSION"
"""What the supervisor of before has left, as JSON. Nobody else sets it."""
TRIAL_TIME: Final = 120.0
"""Seconds that the new program gets to load everything."""
_MOST_SAID: Final = 2000


@dataclass(frozen=True, slots=True)
class Program:
    """The program as it was found at the start: its command line, and what tells one version from another."""

    command: tuple[str, ...]
    place: str
    version: str

    @classmethod
    def of_this_process(cls) -> Program:
        """The script with its arguments; or the interpreter with all that it was given."""
        script = Path(sys.argv[0]).absolute()
        is_script = script.is_file() and os.access(script, os.X_OK)
        command = (str(script), *sys.argv[1:]) if is_script else (sys.executable, *sys.orig_argv[1:])
        return cls(command, os.path.realpath(command[0]), _version())

    def is_replaced(self) -> bool:
        """Whether the path leads elsewhere now (a link was switched), or another version lies in its place."""
        return (os.path.realpath(self.command[0]), _version()) != (self.place, self.version)


def _version() -> str:
    """The version on the disk; empty where none is, as in the middle of an installation."""
    try:
        return installed_version("forebay")
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The new program, loading everything for once. What it says is kept in memory."""

    pid: int
    deadline: float
    _said: int

    @classmethod
    def start(cls, program: Program) -> Trial:
        """Start it. Raises OSError where the program is not there."""
        said = os.memfd_create("forebay-trial")
        try:
            pid = os.posix_spawn(
                program.command[0],
                (*program.command, "--dry-run"),
                {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
                file_actions=((os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)),
                setsigmask=(),
                setsigdef=(*OURS, signal.SIGPIPE),
            )
        except OSError:
            os.close(said)
            raise
        return cls(pid, time.monotonic() + TRIAL_TIME, said)

    def end(self) -> None:
        """End it; it is reaped like every other child."""
        os.kill(self.pid, signal.SIGKILL)

    def conclude(self) -> str:
        """What it said, when it has ended."""
        text = os.pread(self._said, _MOST_SAID, 0).decode("utf-8", "backslashreplace").strip()
        os.close(self._said)
        return text


@dataclass(frozen=True, slots=True)
class Legacy:
    """What passes over: descriptors with what they belong to, and workers by pid with our ends of their lines."""

    pid: int
    listen: str
    listening: int
    inode: int
    metrics: str
    scraped: int
    runtime: str
    lock: int
    workers: tuple[tuple[int, int], ...]

    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        each = (self.listening, self.scraped, self.lock, *(line for _, line in self.workers))
        return tuple(number for number in each if number >= 0)


def become(program: Program, legacy: Legacy) -> None:
    """Become the new program, which finds the legacy with `inherited`. Raises OSError; else it does not come back.

    Signals are held back until the new program can take them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
    try:
        for each in legacy.descriptors():
            os.set_inheritable(each, True)
        environment = {**os.environ, ENVIRONMENT: json.dumps(asdict(legacy))}
        os.execve(program.command[0], program.command, environment)  # noqa: S606 - forebay itself, without a shell
    except OSError:
        for each in legacy.descriptors():
            os.set_inheritable(each, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise


def inherited() -> Legacy | None:
    """What the supervisor of before has left to this process; None where there was none."""
    text = os.environ.pop(ENVIRONMENT, "")
    if not text:
        return None
    given = json.loads(text)
    legacy = Legacy(**{**given, "workers": tuple((pid, line) for pid, line in given["workers"])})
    if legacy.pid != os.getpid():
        return None
    for each in legacy.descriptors():
        os.set_inheritable(each, False)
    return legacy


class Elders:
    """The workers of the version before: they serve until they are told to drain, and end by themselves."""

    def __init__(self, workers: Iterable[tuple[int, int]]) -> None:
        self._lines = {pid: Channel.of(line) for pid, line in workers}
        self._deadline: float | None = None

    def __bool__(self) -> bool:
        return bool(self._lines)

    def drain(self, seconds: float) -> None:
        """Tell them to end when their sessions have ended; they get so many seconds."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds
            for line in self._lines.values():
                line.send("drain")

    def reap(self, pid: int) -> bool:
        """Bury one; False where it was none of them."""
        line = self._lines.pop(pid, None)
        if line:
            line.close()
        return line is not None

    def tend(self, now: float) -> None:
        """End those that are too late."""
        if self._deadline is not None and now > self._deadline:
            self.kill_all()

    def kill_all(self) -> None:
        """End all of them, and their sessions, now."""
        for pid in self._lines:
            os.kill(pid, signal.SIGKILL)
