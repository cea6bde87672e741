"""Which unix socket is connected to which, as the kernel tells it (sock_diag(7), include/uapi/linux/unix_diag.h)."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import Final

_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_SHOW_PEER: Final = 0x4
_PEER: Final = 2
_ANY_STATE: Final = 0xFFFFFFFF
_ANY_COOKIE: Final = 0xFFFFFFFF
_HEAD: Final = struct.Struct("=IHHII")
_ASK: Final = struct.Struct("=BBHIIIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_ANSWER: Final = 16
_SECONDS: Final = 0.2


def sockets(pid: int) -> set[int]:
    """The inodes of the sockets that a process has open."""
    found: set[int] = set()
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                kind, _, inode = os.readlink(f"/proc/{pid}/fd/{number}").partition(":[")
                if kind == "socket":
                    found.add(int(inode.rstrip("]")))
    return found


def peers(inodes: set[int]) -> set[int]:
    """The inodes of what these sockets are connected to. Raises OSError where the kernel does not tell."""
    found: set[int] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
        kernel.settimeout(_SECONDS)
        for inode in inodes:
            ask = _ASK.pack(socket.AF_UNIX, 0, 0, _ANY_STATE, inode, _SHOW_PEER, _ANY_COOKIE, _ANY_COOKIE)
            kernel.send(_HEAD.pack(_HEAD.size + len(ask), _BY_FAMILY, _REQUEST, inode & 0xFFFFFFFF, 0) + ask)
            found |= _peer(kernel.recv(4096))
    return found


def _peer(answer: bytes) -> set[int]:
    """What is told of one socket; nothing where it is none of this family, or connected to nothing."""
    length, kind, *_ = _HEAD.unpack_from(answer)
    offset = _HEAD.size + _ANSWER
    while kind == _BY_FAMILY and offset + _ATTRIBUTE.size <= length:
        size, name = _ATTRIBUTE.unpack_from(answer, offset)
        if name == _PEER:
            return {int.from_bytes(answer[offset + 4 : offset + 8], "little")} - {0}
        offset += max(4, (size + 3) & ~3)
    return set()
