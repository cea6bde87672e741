"""Forks and exits as the kernel tells them at once: the process connector (linux/cn_proc.h).

It needs CAP_NET_ADMIN in the machine's own namespaces, and a kernel with CONFIG_PROC_EVENTS. The kernel tells of every
process of the machine; a socket filter lets only those pass whose parents are asked about, so that a busy machine
wakes nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONNECTOR: Final = 11
"""NETLINK_CONNECTOR."""
_GROUP: Final = 1
"""CN_IDX_PROC, and CN_VAL_PROC as well."""
_LISTEN, _IGNORE = 1, 2
_DONE: Final = 3
"""NLMSG_DONE: the one type of netlink message that the connector takes."""
_HEAD: Final = struct.Struct("=IHHII")
_MESSAGE: Final = struct.Struct("=IIIIHH")
_EVENT: Final = struct.Struct("=IIQ")
_IDS: Final = struct.Struct("=6I")
_WHAT: Final = _HEAD.size + _MESSAGE.size
_DATA: Final = _WHAT + _EVENT.size
_FORK, _EXIT = 0x1, 0x80000000
_ROOM: Final = 1 << 20
_BUFFER: Final = 1 << 12
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_MOST_PARENTS: Final = 60
"""A jump of a filter goes at most 255 instructions far; with more parents all of the machine's forks are told."""
_LOAD, _COPY, _EQUAL, _EQUAL_X, _RETURN = 0x20, 0x07, 0x15, 0x1D, 0x06
"""Instructions of the classic packet filter: load a word, copy it to X, jump where equal, return (linux/filter.h)."""


_Instruction = tuple[int, int, int, int]
"""Its code, how far to jump where it holds and where not, and its operand."""


class Fork(NamedTuple):
    """A process was made. It has not run yet when this is told."""

    parent: int
    child: int


class Exit(NamedTuple):
    """A process has ended; `status` is as waitpid(2) gives it."""

    pid: int
    status: int


class Connector:
    """The events of processes whose parents were named by `follow`."""

    def __init__(self) -> None:
        """Begin to listen. Raises OSError where that right is missing, or the kernel tells nothing."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _CONNECTOR)
        try:
            self._socket.bind((0, _GROUP))
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
            self.follow({os.getpid()})
            self._ask(_LISTEN)
            self._try()
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For the loop."""
        return self._socket.fileno()

    def follow(self, parents: Iterable[int]) -> None:
        """Tell of the forks of these processes, and of the exits of their children, also of those that they left."""
        _attach(self._socket, sorted(parents))

    def read(self) -> tuple[list[Fork | Exit], bool]:
        """What was told since the last call, in its order, and whether all of it is here."""
        found: list[Fork | Exit] = []
        while True:
            try:
                data, (sender, _) = self._socket.recvfrom(_BUFFER)
            except (BlockingIOError, InterruptedError):
                return found, True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return found, False
            if sender or len(data) < _DATA + _IDS.size:
                continue  # not the kernel's
            what, _, _ = _EVENT.unpack_from(data, _WHAT)
            first, second, third, fourth, _, _ = _IDS.unpack_from(data, _DATA)
            if what == _FORK and third == fourth:
                found.append(Fork(second, third))
            elif what == _EXIT and first == second:
                found.append(Exit(first, third))

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            self._ask(_IGNORE)
        self._socket.close()

    def _ask(self, what: int) -> None:
        asked = _MESSAGE.pack(_GROUP, _GROUP, 0, 0, 4, 0) + struct.pack("=I", what)
        self._socket.send(_HEAD.pack(_HEAD.size + len(asked), _DONE, 0, 0, 0) + asked)

    def _try(self) -> None:
        """In a namespace of its own the kernel accepts everything, and tells nothing."""
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        if Fork(os.getpid(), pid) not in self.read()[0]:
            raise OSError(errno.ENOTSUP, "the kernel tells of no forks here")


def _attach(listener: socket.socket, parents: list[int]) -> None:
    """Let pass: forks of processes by these parents, and exits of processes whose parents they, we or pid 1 are."""
    exits = sorted({*parents, os.getpid(), 1})
    is_any = len(exits) > _MOST_PARENTS
    code: list[_Instruction] = [(_LOAD, 0, 0, _WHAT)]
    fork = _section(_DATA + 8, _DATA + 12, _DATA + 4, [] if is_any else parents, is_any=is_any)
    code += [(_EQUAL, 0, len(fork), _network(_FORK)), *fork]
    end = _section(_DATA, _DATA + 4, _DATA + 20, [] if is_any else exits, is_any=is_any)
    code += [(_EQUAL, 0, len(end), _network(_EXIT)), *end, (_RETURN, 0, 0, 0)]
    program = b"".join(struct.pack("=HBBI", *each) for each in code)
    kept = ctypes.create_string_buffer(program)
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(code), ctypes.addressof(kept)))


def _section(thread: int, group: int, parent: int, parents: list[int], *, is_any: bool) -> list[_Instruction]:
    """Pass where thread and group are one, for threads are no processes, and the parent is one of these; else drop."""
    wanted = [(_EQUAL, len(parents) - at, 0, _network(each)) for at, each in enumerate(parents)]
    code = [(_LOAD, 0, 0, thread), (_COPY, 0, 0, 0), (_LOAD, 0, 0, group), (_EQUAL_X, 1, 0, 0), (_RETURN, 0, 0, 0)]
    if is_any:
        return [*code, (_RETURN, 0, 0, 0xFFFFFFFF)]
    return [*code, (_LOAD, 0, 0, parent), *wanted, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, 0xFFFFFFFF)]


def _network(number: int) -> int:
    """A filter loads words in network order."""
    return socket.htonl(number)
