"""The milter protocol as an MTA speaks it: packets, and the numbers of libmilter's mfdef.h under their names there.

A packet is four bytes of length (big endian), one byte that says what it is, and its data; strings end with NUL.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

VERSION: Final = 6
LONGEST_CHUNK: Final = 65_535
"""Bytes of the body in one packet (MILTER_CHUNK_SIZE)."""

# What a milter may ask to be allowed to do (SMFIF_).
ADDHDRS, CHGHDRS, QUARANTINE, SETSYMLIST = 0x01, 0x10, 0x20, 0x100
ALL_ACTIONS: Final = 0x1FF

# What an MTA need not send, or wait for (SMFIP_).
NOCONNECT, NOHELO, NOMAIL, NORCPT, NOBODY, NOHDRS, NOEOH, NODATA = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x200
NR_HDR, NR_CONN, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_EOH, NR_BODY = (
    *(0x80, 0x1000, 0x2000, 0x4000, 0x8000, 0x1_0000, 0x4_0000, 0x8_0000),
)
HDR_LEADSPC: Final = 0x10_0000
ALL_STEPS: Final = 0x1F_FFFF

# Commands (SMFIC_) and replies (SMFIR_).
OPTNEG, MACRO, CONNECT, HELO, MAIL, RCPT, DATA, HEADER, EOH, BODY, EOM, ABORT, QUIT, NEXT = (
    bytes((b,)) for b in b"ODCHMRTLNBEAQK"
)
ACCEPT, CONTINUE, REJECT, TEMPFAIL, REPLYCODE, DISCARD, SKIP, PROGRESS = (bytes((each,)) for each in b"acrtydsp")
HOLD, ADD_HEADER, INSERT_HEADER, CHANGE_HEADER = (bytes((each,)) for each in b"qhim")


def send(connection: socket.socket, command: bytes, data: bytes = b"") -> None:
    """Send one packet."""
    connection.sendall(struct.pack("!L", len(data) + 1) + command + data)


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """The next packet: what it is, and its data. Raises EOFError where the milter has closed the connection."""
    (length,) = struct.unpack("!L", _exactly(connection, 4))
    packet = _exactly(connection, length)
    return packet[:1], packet[1:]


def strings(*given: bytes) -> bytes:
    """Strings with their ends."""
    return b"".join(each + b"\0" for each in given)


def macros(command: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The data of the packet that says what the macros are at a command."""
    return command + b"".join(strings(*pair) for pair in pairs)


def _exactly(connection: socket.socket, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = connection.recv(min(missing, 1 << 16))
        if not part:
            raise EOFError("the milter closed the connection")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
