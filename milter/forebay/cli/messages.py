"""Finding the messages that a command line names: files, directories, mailboxes (mbox, Maildir), standard input.

Of a message only the header and the start of its body are kept, and of a file no more than that at a time.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from forebay.errors import DataError, FileError, ForebayError, InputError, RightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY_BYTES = 65_535
"""What a milter sees of a body in its first chunk."""
HEADER_BYTES = 32 << 20
"""A header that is longer is cut: no MTA takes one, and no budget that makes sense allows it."""
FIRST_READ = 64 << 10
CHUNK = 1 << 20

_HEADER_END = re.compile(rb"\n\r?\n")
_SEPARATOR = re.compile(rb"From (\S*+) [^\n:]{0,64}(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[^\n:]{1,20}\d\d:\d\d")
"""The line that begins a message in an mbox (RFC 4155 appendix A): with day and time, so that it is no prose."""
_FIELD = re.compile(rb"^[!-9;-~]++[ \t]*+:", re.MULTILINE)
_LOOKED_AT = 16_384


@dataclass(frozen=True, slots=True)
class Message:
    """The head of one message: where it was, its number there, the sender that an mbox line names.

    `is_boxed` tells that it lay in an mbox with others, `end` how far that has been read.
    """

    path: str
    index: int
    raw: bytes
    sender: bytes | None = None
    is_boxed: bool = False
    end: int = 0


def files(path: str, failed: Callable[[ForebayError], None]) -> Iterator[str]:
    """The files at or below a path, those of each directory in alphabetical order; of a Maildir what is delivered.

    A directory that cannot be read is told to `failed`.
    """
    if not Path(path).is_dir():
        yield path  # whatever else it is, opening it tells
        return
    for folder, folders, names in os.walk(path, onerror=lambda error: failed(explained(error.filename, error))):
        folders.sort()
        if "cur" in folders and "new" in folders:
            folders[:] = [each for each in folders if each != "tmp"]
            continue  # the files beside them are the mail server's own
        for name in sorted(names):
            file = f"{folder}/{name}" if folder != "/" else f"/{name}"
            if os.path.isfile(file):  # noqa: PTH113 - ten thousand of them: no Path each
                yield file


def read(path: str) -> Iterator[Message]:
    """The messages of one file. Raises a ForebayError for one that cannot be read or is no message."""
    try:
        if path == "-":
            yield from _messages("-", sys.stdin.buffer)
        else:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - ten thousand of them: no Path each
                yield from _messages(path, file)
    except OSError as error:
        raise explained(path, error) from None


def explained(path: str, error: OSError) -> ForebayError:
    """What the system says of a file, as an error for the operator."""
    kind = InputError if isinstance(error, FileNotFoundError) else FileError
    return (RightsError if isinstance(error, PermissionError) else kind)(f"{path}: {error.strerror}")


class _Head:
    """The start of one message: all of its header, and of its body what a milter sees first."""

    __slots__ = ("_is_ended", "_most", "_parts", "_tail", "size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._tail = b""
        self._most = HEADER_BYTES
        self._is_ended = False
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Whether more bytes would not be kept."""
        return self.size >= self._most

    @property
    def raw(self) -> bytes:
        """What is kept."""
        return b"".join(self._parts)

    def add(self, data: bytes) -> None:
        """Take the next bytes of the message."""
        if not self._is_ended:
            # Two bytes of what was there before: the empty line may lie across.
            found = _HEADER_END.search(self._tail + data if self._tail else data)
            if found:
                self._is_ended = True
                self._most = min(self.size - len(self._tail) + found.end() + BODY_BYTES, HEADER_BYTES)
            self._tail = (self._tail + data[-2:])[-2:]
        part = data[: max(self._most - self.size, 0)]
        self._parts.append(part)
        self.size += len(part)


def _messages(path: str, file: IO[bytes]) -> Iterator[Message]:
    start = _fill(file, FIRST_READ)
    if _SEPARATOR.match(start):
        yield from _mbox(path, start, file)
        return
    head = _Head()
    head.add(start)
    while len(start) >= FIRST_READ and not head.is_full and (more := file.read(CHUNK)):
        head.add(more)
    raw = head.raw
    if not raw:
        raise DataError(f"{path}: not a message: nothing in it")
    ended = _HEADER_END.search(raw, 0, _LOOKED_AT)
    if not _FIELD.search(raw, 0, ended.start() if ended else _LOOKED_AT):
        raise DataError(f"{path}: not a message: no header field at its beginning")
    yield Message(path, 0, raw)


def _fill(file: IO[bytes], size: int) -> bytes:
    """The next `size` bytes, fewer only at the end: a pipe gives what it has."""
    data = file.read(size)
    while data and len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _mbox(path: str, start: bytes, file: IO[bytes]) -> Iterator[Message]:
    index, end = -1, 0
    head, sender = _Head(), None
    for data, separator in _pieces(start, file):
        if separator:
            if index >= 0:
                yield Message(path, index, head.raw, sender, True, end)
            index, head, sender = index + 1, _Head(), _sender(separator)
        elif not head.is_full:
            head.add(data)
        end += len(data)
    yield Message(path, index, head.raw, sender, index > 0, end)


def _sender(name: bytes) -> bytes | None:
    """The envelope sender that a separator names; Mozilla's names none."""
    if name == b"MAILER-DAEMON":
        return b"<>"
    return None if name == b"-" else b"<" + name.strip(b"<>") + b">"


def _pieces(start: bytes, file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """An mbox as separator lines, each with the sender that it names, and what stands between them.

    A separator follows an empty line.
    """
    before = b"\n\n"
    for block in _blocks(start, file):
        done = 0
        for at in _candidates(block):
            found = _SEPARATOR.match(block, at)
            if found and _follows_empty_line(before + block[max(at - 3, 0) : at]):
                if at > done:
                    yield block[done:at], b""
                done = block.find(b"\n", at) + 1 or len(block)
                yield block[at:done], found[1] or b"-"
        if done < len(block):
            yield block[done:], b""
        before = (before + block[-3:])[-3:]


def _candidates(block: bytes) -> Iterator[int]:
    """Where a line begins as a separator does."""
    if block.startswith(b"From "):
        yield 0
    at = block.find(b"\nFrom ")
    while at >= 0:
        yield at + 1
        at = block.find(b"\nFrom ", at + 1)


def _follows_empty_line(before: bytes) -> bool:
    return before.endswith((b"\n\n", b"\n\r\n"))


def _blocks(start: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """What was read already and what comes after it, in blocks that end with a line; a line is cut at a chunk."""
    rest = start
    while True:
        more = _fill(file, CHUNK)
        whole, newline, tail = (rest + more).rpartition(b"\n")
        if not more or not newline:
            if rest or more:
                yield rest + more
            if not more:
                return
            rest = b""
        else:
            yield whole + newline
            rest = tail
