"""Forking: a child that starts clean, and that cannot return into its parent's code."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
from typing import TYPE_CHECKING, Final

from forebay import logs, metrics
from forebay.errors import RightsError
from forebay.logs import LOGGER
from forebay.smtp.signals import OURS, leave_to_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38


def fork(body: Callable[[], object], keep: Iterable[int], name: str) -> int:
    """Run `body` in a child with only the descriptors `keep` and the standard ones; return its pid.

    Signals are held back around the fork: one that comes meanwhile reaches the parent, never the parent's handlers
    in the child.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    status = os.EX_SOFTWARE
    try:
        leave_to_parent()
        logs.close_inherited()
        metrics.close_inherited()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)
        _close_all_but({0, 1, 2, *keep})
        set_name(name)
        body()
        status = os.EX_OK
    except BaseException:
        logging.getLogger(LOGGER).exception("%s: ended by a mistake of forebay's own", name)
    finally:
        os._exit(status)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise RightsError(f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}")


def gain_nothing_more() -> None:
    """Let no program that is executed from now on bring privileges with it (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise RightsError(f"prctl(PR_SET_NO_NEW_PRIVS): {os.strerror(ctypes.get_errno())}")


def set_name(name: str) -> None:
    """The name of this process in ps(1) and top(1), 15 bytes of it."""
    _libc().prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def fill_standard_descriptors() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr, so that no socket of ours gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def open_descriptors() -> list[int]:
    """The numbers of all descriptors of this process."""
    listed = [int(each) for each in os.listdir("/proc/self/fd")]  # noqa: PTH208 - numbers are wanted, not paths
    return [each for each in listed if _is_open(each)]  # the directory's own is gone by now


def _close_all_but(keep: set[int]) -> None:
    for number in set(open_descriptors()) - keep:
        os.close(number)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
