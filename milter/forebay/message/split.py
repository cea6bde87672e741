"""A message as it lies in a file, cut into fields and body as an MTA cuts it (for `forebay check` and the gate).

Postfix's rules are imitated, since its cleanup is what stands before a milter: a line that is no field ends the
header and starts the body, a NUL cuts a value, a stray CR becomes a blank, some fields are dropped, an mbox line
becomes X-Mailbox-Line. What is repaired on the way is noted, with the index of the field that it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis

LONGEST_FIELD: Final = 60_000
"""Postfix cuts a field at a line end below this size when a milter is set."""

_DROPPED: Final = frozenset({b"bcc", b"resent-bcc", b"return-path", b"content-length"})
"""Postfix's message_drop_headers: no milter sees them."""

_FIELD: Final = pattern.compile(rb"([!-9;-~]++)([ \t]*+):")
"""RFC 5322 section 2.2, with the blanks of section 4.5."""

_EMPTY_LINE: Final = pattern.compile(rb"\n\r?+\n")

_PLAIN_FIELD: Final = pattern.compile(rb"([!-9;-~]++):([^\n]*+(?:\n[ \t][^\n]*+)*+)\n")
"""A whole field with its folds: RFC 5322 section 2.2.3."""

_ENVELOPE_FROM: Final = pattern.compile(rb">?From (\S++)")


@dataclass(frozen=True, slots=True)
class Split:
    """What a milter behind Postfix would see: (name, value) pairs and the body; and what it would not see, noted.

    `sender` is the envelope sender of an mbox line or a Return-Path, in angle brackets, or None.
    """

    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    sender: bytes | None
    diagnosis: Diagnosis


class _Cutter:
    """The fields so far, and the one that is being read."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.diagnosis = Diagnosis()
        self.fields: list[tuple[bytes, bytes]] = []
        self.sender: bytes | None = None
        self.name = b""
        self.parts: list[bytes] = []

    def take(self, line: bytes, *, first: bool) -> bool:
        """Take one line of the header; False where it is none, so that the body begins with it."""
        if self.name and line[:1] in {b" ", b"\t"}:
            self.parts.append(line)
            return True
        self.finish()
        field = _FIELD.match(line)
        if field:
            self.name, self.parts = field[1], [line[field.end() :]]
            if field[2]:
                self.note("name-blank-before-colon", "blank before the colon")
            if self.name.lower() == b"return-path":
                self.sender = self.parts[0].strip()
            return True
        mbox = _ENVELOPE_FROM.match(line) if first else None
        if mbox:
            self.sender = b"<" + (b"" if mbox[1] == b"MAILER-DAEMON" else mbox[1].strip(b"<>")) + b">"
            self.name, self.parts = b"X-Mailbox-Line", [b" " + line]
        return mbox is not None

    def note(self, kind: str, text: str) -> None:
        self.diagnosis.note(kind, 0, 0, text, len(self.fields))

    def finish(self) -> None:
        """The field that was being read is complete."""
        if self.name and self.name.lower() not in _DROPPED:
            self.fields.append((self.name, _value(self.parts, self.longest, self.diagnosis, len(self.fields))))
        self.name, self.parts = b"", []


def split(raw: bytes, *, longest_field: int = LONGEST_FIELD) -> Split:
    """Cut a message; `longest_field` 0 leaves long fields whole."""
    return _split_plain(raw, longest_field) or _split_closely(raw, longest_field)


def _split_plain(raw: bytes, longest: int) -> Split | None:
    """The same at the speed of C for a header in which nothing is to be repaired, else None."""
    found = _EMPTY_LINE.search(raw)
    if not found:
        return None
    head = raw[: found.end()]
    if b"\r" in head:
        if head.count(b"\r\n") != head.count(b"\n"):
            return None
        head = head.replace(b"\r\n", b"\n")
    head = head[:-1]
    if b"\r" in head or b"\0" in head or (longest and len(head) > longest):
        return None
    fields: list[tuple[bytes, bytes]] = _PLAIN_FIELD.findall(head)
    if sum([len(name) + len(value) for name, value in fields]) + 2 * len(fields) != len(head):
        return None  # something between them is no field
    sender = None
    names = {name.lower() for name, _ in fields}
    if not names.isdisjoint(_DROPPED):
        for name, value in fields:
            if name.lower() == b"return-path":
                sender = value.partition(b"\n")[0].strip()
        fields = [field for field in fields if field[0].lower() not in _DROPPED]
    return Split(tuple(fields), raw[found.end() :], sender, Diagnosis())


def _split_closely(raw: bytes, longest_field: int) -> Split:
    cutter = _Cutter(longest_field)
    crlf = _is_crlf(raw)
    start, end = 0, len(raw)
    while start < end:
        stop = raw.find(b"\n", start)
        stop = end if stop < 0 else stop
        line = raw[start:stop]
        bare = crlf and stop < end and not line.endswith(b"\r")
        line = line.removesuffix(b"\r")
        taken = bool(line) and cutter.take(line, first=not start)
        if bare:
            cutter.note("bare-lf", "line that ends with LF alone")
        if not taken:
            cutter.finish()
            return Split(tuple(cutter.fields), raw[start if line else stop + 1 :], cutter.sender, cutter.diagnosis)
        start = stop + 1
    cutter.finish()
    cutter.note("separator-missing", "message ends inside its header")
    return Split(tuple(cutter.fields), b"", cutter.sender, cutter.diagnosis)


def _is_crlf(raw: bytes) -> bool:
    """Whether the lines of this message end with CRLF: at least half of its header's do."""
    end = _EMPTY_LINE.search(raw)
    stop = end.start() + 1 if end else len(raw)
    return 0 < raw.count(b"\n", 0, stop) <= 2 * raw.count(b"\r\n", 0, stop)


def _value(parts: list[bytes], longest: int, diagnosis: Diagnosis, index: int) -> bytes:
    if longest and sum(map(len, parts)) + len(parts) > longest:
        parts = _cut(parts, longest)
    value, nul, _ = b"\n".join(parts).partition(b"\0")  # what stands behind it has no place in the value
    if b"\r" in value:
        diagnosis.note("bare-cr", value.index(b"\r"), value.index(b"\r") + 1, "CR inside a line", index)
        value = value.replace(b"\r", b" ")
    if nul:
        diagnosis.note("nul", len(value), len(value) + 1, "NUL byte", index)
    return value


def _cut(parts: list[bytes], longest: int) -> list[bytes]:
    """Whole lines below the limit; a first line that is longer is cut inside."""
    size, kept = 0, 0
    for part in parts:
        size += len(part) + 1
        if size > longest:
            break
        kept += 1
    return parts[:kept] if kept else [parts[0][:longest]]
