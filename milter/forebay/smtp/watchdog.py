"""Ends a worker that hangs in a validator, even in one that holds the interpreter's lock, and leaves a trace.

The worker's main thread beats. Each beat does three things:

- it ends the process if a message has been judged for longer than `hang_time` of *running* time. The running clock
  counts at most two beats for the gap between two of them: a longer gap is a pause of the machine, or of this process.
- it sets a timer of CPU time (ITIMER_PROF). A validator that holds the lock stops the beat but burns CPU, and the timer's
  signal is handled in C: it writes the stack of every thread and ends the process. Pauses and load burn no CPU of ours,
  so an innocent worker is never ended.
- it re-arms `faulthandler.dump_traceback_later(exit=True)`, which needs no lock either and goes by the clock, for what
  neither burns CPU nor gives the lock back. Its limit is longer, because it cannot tell a pause from a hang.

What was being judged stands in the worker's slot of the shared page; the stacks go to a file that the supervisor holds.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.judge.guard import BenchedError
from forebay.smtp.page import ENTRIES, Record, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.smtp.page import Slot
    from forebay.smtp.remembered import Pair

HUNG: Final = 3
"""The exit status of a worker that ends itself because a message is judged for too long."""
CLOCK_FACTOR: Final = 6
"""A hang that burns no CPU and holds the lock is ended after so many times `hang_time`."""

_NO_DIGEST: Final = bytes(16)
_NANO: Final = 1_000_000_000
_TICK: Final = _NANO // os.sysconf("SC_CLK_TCK")


class Work:
    """One message that is being judged."""

    __slots__ = ("cpu", "digest", "fields", "index", "since", "started", "thread", "validator")

    def __init__(self, index: int, fields: Sequence[tuple[bytes, bytes]], since: float) -> None:
        self.index = index
        self.fields = fields
        self.since = since
        self.started = time.monotonic_ns()
        self.thread = threading.get_native_id()
        self.cpu = time.thread_time_ns()
        self.digest = _NO_DIGEST
        self.validator = ""

    def record(self, cpu: int) -> Record:
        """What the supervisor is to know of it."""
        return Record(self.thread, self.digest, self.validator, self.started, cpu)


class Watchdog:
    """Watches the judging of one worker. Also the `Watch` that the judge tells about third-party validators."""

    def __init__(self, slot: Slot, hang_time: float, trace: int) -> None:
        self._slot = slot
        self._hang_time = hang_time
        self._trace = trace
        self._free = deque(range(ENTRIES))
        self._busy: dict[int, Work] = {}  # by thread: none changes between the beginning and the end of judging
        self.remembered: set[Pair] = set()
        self._names: dict[str, bytes] = {}
        self._running = 0.0
        self._last_beat = time.monotonic()
        self.interval = min(0.5, hang_time / 8)
        faulthandler.register(signal.SIGPROF, file=trace, all_threads=True, chain=True)

    def begin(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Judging begins, in this thread."""
        try:
            index = self._free.popleft()
        except IndexError:
            index = -1
        work = Work(index, fields, self._running)
        self._busy[threading.get_ident()] = work
        if index >= 0:
            self._slot.begin_entry(index, work.thread, work.started)

    def end(self) -> None:
        """Judging is over."""
        work = self._busy.pop(threading.get_ident(), None)
        if work is None:
            return
        if work.index >= 0:
            self._slot.clear_entry(work.index)
            self._free.append(work.index)

    def enter(self, validator_id: str) -> None:
        """Third-party code begins: from here on the message and the validator are known by name.

        Raises BenchedError where this header has burnt the CPU in this validator before.
        """
        work = self._busy.get(threading.get_ident())
        if work is None:
            return
        if work.digest is _NO_DIGEST:
            work.digest = header_digest(work.fields)
            if work.index >= 0:
                self._slot.write_digest(work.index, work.digest)
        if self.remembered and (work.digest.hex(), validator_id) in self.remembered:
            raise BenchedError("this header burnt the CPU in it before")
        work.validator = validator_id
        if work.index >= 0:
            self._slot.enter(work.index, self._name(validator_id))

    def leave(self) -> None:
        """It has come back."""
        work = self._busy.get(threading.get_ident())
        if work is not None:
            work.validator = ""
            if work.index >= 0:
                self._slot.leave(work.index)

    def beat(self) -> None:
        """Show that the interpreter's lock can be had; end the process if a message is judged for too long."""
        now = time.monotonic()
        self._running += min(now - self._last_beat, 2 * self.interval)
        self._last_beat = now
        self._slot.write_beat(os.getpid(), time.process_time_ns())
        signal.setitimer(signal.ITIMER_PROF, self._hang_time)
        faulthandler.dump_traceback_later(CLOCK_FACTOR * self._hang_time, file=self._trace, exit=True)
        oldest = 0.0
        for work in list(self._busy.values()):
            age = self._running - work.since
            oldest = max(oldest, age)
            if age > self.interval and work.index >= 0:
                self._slot.write_entry(work.index, work.record(max(0, _thread_cpu(work.thread) - work.cpu)))
        if oldest > self._hang_time:
            faulthandler.dump_traceback(self._trace, all_threads=True)
            os._exit(HUNG)

    def _name(self, validator_id: str) -> bytes:
        name = self._names.get(validator_id)
        if name is None:
            name = self._names[validator_id] = padded(validator_id)
        return name


def header_digest(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What tells one header from another: 16 bytes over all names and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in fields:
        digest.update(b"%d:%d:" % (len(name), len(value)))
        digest.update(name)
        digest.update(value)
    return digest.digest()


def _thread_cpu(thread: int) -> int:
    """The CPU time of a thread of this process in nanoseconds, from proc(5); 0 for one that is gone."""
    try:
        stat = Path(f"/proc/self/task/{thread}/stat").read_bytes()
    except OSError:
        return 0
    numbers = stat.rpartition(b")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) * _TICK
