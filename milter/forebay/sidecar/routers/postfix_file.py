"""Queue files of Postfix: when a message arrived, its envelope, and its bytes.

A file is a sequence of records: a letter, a length in groups of seven bits with the lowest first, and that many bytes
(Postfix's src/global/record.c and rec_type.h). Nothing here trusts a file: what is read is bounded, and a pointer is
followed only so often.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from forebay.api.router import Envelope, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_TIME: Final = re.compile(rb" *(\d{1,12})(?:[ .](\d{1,6}))?\b")
_START: Final = 4096
_MOST_RECORD: Final = 1 << 20
_MOST_READ: Final = 1 << 20
_MOST_POINTERS: Final = 10_000
_MOST_DIGITS: Final = 18
"""Digits of a place in a file: Postfix writes 15, and no file has a place that takes more."""
_MOST_RECORDS: Final = 200_000
_RECIPIENTS: Final = 1000
_CLIENT: Final = b"client_address="


def arrival(file: BinaryIO) -> int:
    """When a message came in, in microseconds since 1970; 0 where its file does not tell that yet. Raises OSError."""
    for kind, value in _records(file, _START):
        if kind == b"T":
            found = _TIME.match(value)
            return int(found[1]) * 1_000_000 + int(found[2] or 0) if found else 0
        if kind == b"M":
            break
    return 0


def read(file: BinaryIO) -> Reading:
    """The envelope and the first mebibyte of the message. Raises OSError."""
    sender, client, size = b"", b"", 0
    recipients: list[bytes] = []
    lines: list[bytes] = []
    is_content = False
    for kind, value in _records(file, _MOST_READ):
        if kind == b"M":
            is_content = True
        elif kind == b"X":
            is_content = False
        elif is_content and kind in b"NL":
            lines.append(value + b"\n" if kind == b"N" else value)
            size += len(lines[-1])
            if size > _MOST_READ:
                break
        elif kind == b"S":
            sender = value
        elif kind in b"RD" and len(recipients) < _RECIPIENTS:
            recipients.append(b"<%b>" % value)
        elif kind == b"A" and value.startswith(_CLIENT):
            client = value[len(_CLIENT) :]
    raw = b"".join(lines)[:_MOST_READ]
    return Reading(Envelope(b"<%b>" % sender, tuple(recipients), client.decode("ascii", "replace")), raw)


def _records(file: BinaryIO, most: int) -> Iterator[tuple[bytes, bytes]]:
    """The records in the order in which they count, until the last, or one that cannot be."""
    pointers = taken = 0
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    # A record takes two bytes at least: whoever has met more than fit into the file goes round in it.
    for _ in range(min(_MOST_RECORDS, size // 2)):
        kind, value = _record(file)
        taken += len(value)
        if not kind or kind == b"E" or taken > most + _MOST_RECORD:
            return
        if kind == b"p":
            target = value.strip()
            pointers += 1
            if not target.isdigit() or len(target) > _MOST_DIGITS or pointers > _MOST_POINTERS:
                return
            if int(target):
                file.seek(int(target))
            continue
        yield kind, value


def _record(file: BinaryIO) -> tuple[bytes, bytes]:
    kind = file.read(1)
    length = shift = 0
    while shift <= 21:
        byte = file.read(1)
        if not byte:
            return b"", b""
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if not byte[0] & 0x80:
            break
    else:
        return b"", b""
    if length > _MOST_RECORD:
        return b"", b""
    value = file.read(length)
    return (kind, value) if len(value) == length else (b"", b"")
