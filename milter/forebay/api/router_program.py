"""Runs commands of a router's own, for adapters: whoever guards workers cannot wait until one of them is done.

By default a command is waited for. In a hurry it goes on by itself when it takes longer: then BlockingIOError is raised,
and who runs the same command again later waits for that one and gets its outcome.
"""

# ruff: noqa: S603 - what is run is the adapter's to say

from __future__ import annotations

import errno
import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT: Final = 60.0
_PAUSE: Final = 0.05
"""Who has not asked for so long has done something else meanwhile."""
_MOST_SAID: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has ended with, and said."""

    status: int
    output: bytes
    errors: bytes

    @property
    def last_words(self) -> str:
        """Its last line, for a log."""
        said = (self.errors or self.output).strip().splitlines()
        return repr(said[-1][:200])[2:-1] if said else f"status {self.status}"


class _Running:
    """A command on its way. What it says goes into memory, so that it waits for nobody who reads."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._output, self._errors = (os.memfd_create(name, os.MFD_CLOEXEC) for name in ("output", "errors"))
        try:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._errors
            )
        except OSError:
            self._close()
            raise
        self.until = time.monotonic() + TIMEOUT

    def outcome(self) -> Outcome:
        """What came of it, when it has ended."""
        said = [os.pread(each, _MOST_SAID, 0) for each in (self._output, self._errors)]
        self._close()
        return Outcome(self.process.returncode, *said)

    def end(self) -> None:
        """Make an end of it."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        os.close(self._output)
        os.close(self._errors)


class Programs:
    """Runs one command after the other, never two at once."""

    def __init__(self) -> None:
        self.patience = TIMEOUT
        """In seconds: so long a caller can wait, for all that he runs before he does something else."""
        self._running: dict[tuple[str, ...], _Running] = {}
        self._spent = self._last = 0.0

    def run(self, command: tuple[str, ...], environment: Mapping[str, str]) -> Outcome:
        """Run it. Raises BlockingIOError while it, or another one, is on its way; another OSError where it cannot be run."""
        began = time.monotonic()
        if began - self._last > _PAUSE:
            self._spent = 0.0
        try:
            return self._run(command, environment, max(0.0, self.patience - self._spent))
        finally:
            self._last = time.monotonic()
            self._spent += self._last - began

    def _run(self, command: tuple[str, ...], environment: Mapping[str, str], patience: float) -> Outcome:
        running = self._running.get(command)
        if running is None:
            self._forget_the_ended()
            if self._running or not patience:
                raise BlockingIOError(errno.EAGAIN, "commands are on their way, and it is one at a time", command[0])
            running = self._running[command] = _Running(command, environment)
        try:
            running.process.wait(patience)
        except subprocess.TimeoutExpired:
            if time.monotonic() < running.until:
                raise BlockingIOError(errno.EAGAIN, "it takes its time", command[0]) from None
            del self._running[command]
            running.end()
            raise TimeoutError(errno.ETIMEDOUT, f"takes longer than {TIMEOUT:.0f} s", command[0]) from None
        del self._running[command]
        return running.outcome()

    def _forget_the_ended(self) -> None:
        """What nobody has asked for again is seen by what it did; what hangs is ended."""
        for command, each in list(self._running.items()):
            if each.process.poll() is not None:
                del self._running[command]
                each.outcome()
            elif time.monotonic() >= each.until:
                del self._running[command]
                each.end()
