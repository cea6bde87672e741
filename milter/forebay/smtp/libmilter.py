"""libmilter made to fit: our socket in the place of its own, and limits that pymilter does not offer.

libmilter insists on opening a socket itself, and unlinks the path when it stops. So it is given a scratch socket, at a
path that is gone at once, and our listening socket is put in its place with dup2(2). The same trick takes the socket
away again: a draining worker puts one there that nobody can connect to.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import milter

from forebay.errors import UnavailableError
from forebay.smtp.processes import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

LONGEST_COMMAND: Final = 1 << 20
"""Bytes of one command; a longer one closes the connection. MTAs send at most 65,535."""


def require() -> None:
    """Raise UnavailableError where pymilter is missing: a folder called `milter` is then imported in its place."""
    if not hasattr(milter, "set_eoh_callback"):
        raise UnavailableError("pymilter is not installed: pip install pymilter (needs gcc and libmilter-dev)")


class Serving:
    """libmilter with its callbacks set, listening on our socket."""

    def __init__(self, listening: socket.socket, register: Callable[[ModuleType], None], scratch: str) -> None:
        self._family = listening.family
        # Made now: when it is needed there may be no descriptor left to make it with.
        self._dummy = _nobody_connects(self._family)
        allow_long_commands()
        register(milter)
        milter.set_exception_policy(milter.TEMPFAIL)
        self._descriptor = self._open(scratch)
        os.dup2(listening.fileno(), self._descriptor, inheritable=False)
        listening.close()

    def run(self) -> None:
        """Serve. Returns only when libmilter gives up."""
        milter.main()

    def accept_no_more(self) -> None:
        """Leave new connections to others; those that there are go on."""
        os.dup2(self._dummy.fileno(), self._descriptor, inheritable=False)

    def refuse_all(self) -> None:
        """Make every connection to the shared socket fail from now on, for all workers."""
        shared = socket.socket(fileno=self._descriptor)
        with contextlib.suppress(OSError):
            shared.shutdown(socket.SHUT_RDWR)
        shared.detach()
        self.accept_no_more()

    def connections(self, others: set[int]) -> int:
        """How many connections are open, whether they have said anything or not; `others` are sockets of our own.

        Raises OSError where there is no descriptor left to look with.
        """
        mine = others | {self._descriptor, self._dummy.fileno()}
        return sum(each not in mine and _is_socket(each) for each in open_descriptors())

    def _open(self, scratch: str) -> int:
        before = set(open_descriptors())
        if self._family == socket.AF_UNIX:
            directory = tempfile.mkdtemp(prefix=".scratch-", dir=scratch)
            path = str(Path(directory, "s"))
            milter.setconn(f"unix:{path}")
            milter.opensocket(True)
            Path(path).unlink(missing_ok=True)
            Path(directory).rmdir()
        else:
            kind, host = ("inet6", "::1") if self._family == socket.AF_INET6 else ("inet", "127.0.0.1")
            milter.setconn(f"{kind}:0@{host}")
            milter.opensocket(True)
        opened = [each for each in set(open_descriptors()) - before if _is_socket(each)]
        if len(opened) != 1:
            raise UnavailableError("libmilter opened no socket of its own")
        return opened[0]


def allow_long_commands() -> None:
    """Raise libmilter's limit of 65,535 bytes a command, where it lets us."""
    with contextlib.suppress(OSError, AttributeError):
        limit = ctypes.CDLL(milter.__file__).smfi_setmaxdatasize
        limit.argtypes, limit.restype = (ctypes.c_size_t,), ctypes.c_size_t
        limit(LONGEST_COMMAND)


def _nobody_connects(family: int) -> socket.socket:
    """A listening socket without an address that anyone knows."""
    dummy = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_UNIX:
        dummy.bind("")  # an abstract name that the kernel chooses
    else:
        dummy.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    dummy.listen(1)
    dummy.setblocking(False)
    return dummy


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False
