"""Processes with pids that are chosen, and that do what they are told: take a message, let go of it, end."""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_CLONE3: Final = 435
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.PyDLL(None, use_errno=True)


class _CloneArguments(ctypes.Structure):
    """struct clone_args of the kernel's include/uapi/linux/sched.h."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls", "set_tid",
            "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def _fork(pid: int) -> int:
    """As fork(2), with that very pid, or any for 0. Raises FileExistsError where somebody has it."""
    wanted = ctypes.c_int32(pid)
    arguments = _CloneArguments(exit_signal=signal.SIGCHLD)
    if pid:
        arguments.set_tid, arguments.set_tid_size = ctypes.addressof(wanted), 1
    found = int(_libc.syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments)))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


@dataclass(frozen=True, slots=True)
class Taker:
    """A process that has one message open and locked, or none."""

    pid: int
    _orders: int
    _answers: int

    @classmethod
    def begin(cls, pid: int = 0) -> Taker:
        """A new one, with that pid. Raises FileExistsError where somebody has it."""
        theirs, orders = os.pipe()
        answers, mine = os.pipe()
        try:
            found = _fork(pid)
            if not found:
                _serve(theirs, mine)
            assert os.read(answers, 1) == b"."
        except OSError:
            os.close(orders)
            os.close(answers)
            raise
        finally:
            os.close(theirs)
            os.close(mine)
        return cls(found, orders, answers)

    def take(self, path: Path) -> None:
        """Open a message and lock it, after what it had was closed."""
        self._order(os.fsencode(path))

    def drop(self) -> None:
        """Close what it has."""
        self._order(b"-")

    def end(self, how: signal.Signals | int, *, reap: bool) -> None:
        """Make it end by a signal, or with an exit status; wait until it has, and `reap` it too."""
        if isinstance(how, signal.Signals):
            os.kill(self.pid, how)
        else:
            os.write(self._orders, b"x%d\n" % how)
        os.waitid(os.P_PID, self.pid, os.WEXITED | (0 if reap else os.WNOWAIT))
        os.close(self._orders)
        os.close(self._answers)

    def _order(self, what: bytes) -> None:
        os.write(self._orders, what + b"\n")
        assert os.read(self._answers, 1) == b"."


def _serve(orders: int, answers: int) -> None:
    """What the process does, until it ends."""
    faulthandler.disable()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    held = -1
    os.write(answers, b".")
    while order := os.read(orders, 4096):
        if order[:1] == b"x":
            os._exit(int(order[1:]))
        if held >= 0:
            os.close(held)
        held = -1
        if order[:1] == b"/":
            held = os.open(order[:-1], os.O_RDWR)
            fcntl.lockf(held, fcntl.LOCK_EX)
        os.write(answers, b".")
    os._exit(0)
