"""Finding the messages that a command line names: files, directories, mailboxes (mbox, Maildir), standard input.

Of a message only the header and the start of its body are kept.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from forebay.errors import DataError, FileError, ForebayError, InputError, RightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY_BYTES = 65_535
"""What a milter sees of a body in its first chunk."""
CHUNK = 1 << 20

_HEADER_END = re.compile(rb"\n\r?\n")
_SEPARATOR = re.compile(rb"From (\S++)[^\n]*+\d\d:\d\d")
"""The line that begins a message in an mbox: with a time, so that prose is not taken for it."""
_FIELD = re.compile(rb"^[!-9;-~]++[ \t]*+:", re.MULTILINE)
_LOOKED_AT = 16_384


@dataclass(frozen=True, slots=True)
class Message:
    """The head of one message: where it was, its number there, the sender that an mbox line names."""

    path: str
    index: int
    raw: bytes
    sender: bytes | None = None


def files(paths: tuple[str, ...]) -> Iterator[str]:
    """The files below these paths, each directory in alphabetical order; of a Maildir only what is delivered.

    Raises InputError for a path that does not exist.
    """
    for path in paths:
        if path == "-" or os.path.isfile(path):
            yield path
        elif os.path.isdir(path):
            yield from _below(path)
        elif os.path.lexists(path):
            raise InputError(f"{path}: neither a file nor a directory")
        else:
            raise InputError(f"{path}: no such file or directory")


def read(path: str) -> Iterator[Message]:
    """The messages of one file. Raises a ForebayError for one that cannot be read or is no message."""
    try:
        if path == "-":
            yield from _messages("-", sys.stdin.buffer)
        else:
            with open(path, "rb", buffering=CHUNK) as file:  # noqa: PTH123 - ten thousand of them: no Path each
                yield from _messages(path, file)
    except OSError as error:
        raise _explained(path, error) from None


def _below(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        if "cur" in folders and "new" in folders:
            folders[:] = [each for each in folders if each != "tmp"]
            continue  # the files beside them are the mail server's own
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield path


def _messages(path: str, file: IO[bytes]) -> Iterator[Message]:
    start = file.read(CHUNK)
    if _SEPARATOR.match(start):
        yield from _mbox(path, start, file)
        return
    raw = _head(start, file)
    if not _FIELD.search(raw, 0, _LOOKED_AT):
        raise DataError(f"{path}: not a message: no header field at its beginning")
    yield Message(path, 0, raw)


def _head(start: bytes, file: IO[bytes]) -> bytes:
    """The message up to where its body has begun, in whole chunks."""
    chunks = [start]
    ended = _HEADER_END.search(start)
    while not ended:
        chunk = file.read(CHUNK)
        if not chunk:
            return b"".join(chunks)
        ended = _HEADER_END.search(chunks[-1][-2:] + chunk)
        chunks.append(chunk)
    chunks.append(file.read(BODY_BYTES))
    return b"".join(chunks)


def _mbox(path: str, start: bytes, file: IO[bytes]) -> Iterator[Message]:
    index, sender = -1, b""
    kept: list[bytes] = []
    room = BODY_BYTES
    in_header, after_blank = False, True
    for line in _lines(start, file):
        found = _SEPARATOR.match(line) if after_blank else None
        blank = line in {b"\n", b"\r\n"}
        after_blank = blank
        if found:
            if index >= 0:
                yield Message(path, index, b"".join(kept), sender)
            index, kept, room, in_header = index + 1, [], BODY_BYTES, True
            sender = b"<>" if found[1] == b"MAILER-DAEMON" else b"<" + found[1].strip(b"<>") + b">"
        elif in_header or room > 0:
            kept.append(line)
            room -= 0 if in_header else len(line)
            in_header = in_header and not blank
    yield Message(path, index, b"".join(kept), sender)


def _lines(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """The lines of what was read already and of what comes after it; a CR alone ends none, a line is cut at a chunk."""
    pieces = [start]
    while pieces:
        block = b"".join(pieces)
        whole, newline, rest = block.rpartition(b"\n")
        if newline:
            yield from (line + b"\n" for line in whole.split(b"\n"))
        elif block:
            yield block
            rest = b""
        more = file.read(CHUNK)
        if not more:
            if rest:
                yield rest
            return
        pieces = [rest, more]


def _explained(path: str, error: OSError) -> ForebayError:
    kind = InputError if isinstance(error, FileNotFoundError) else FileError
    return (RightsError if isinstance(error, PermissionError) else kind)(f"{path}: {error.strerror}")
