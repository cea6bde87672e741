"""A message for a test, built byte by byte."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forebay.api import Diagnosis, Envelope, Example, Header
from forebay.message.split import split

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.api import Finding


@dataclass(frozen=True, slots=True)
class Message:
    r"""What a milter is told of a message. Nothing in it is changed, repaired or cut, however wrong it is.

    `fields` are (name, value) pairs as an MTA passes them on: the value is what stands after the colon, its leading
    blank included, with folds as LF. Sender and recipients have their angle brackets. Each method returns a new message:

        Message().field(b"Subject", b" hi\n there").field(b"X-Evil", b" \xff" * 900).sent_by(b"<>")
    """

    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    sender: bytes = b"<someone@example.org>"
    recipients: tuple[bytes, ...] = (b"<someone.else@example.com>",)
    client: str = "192.0.2.1"
    authenticated: bool = False
    smtputf8: bool = False
    noted: Diagnosis | None = None

    @classmethod
    def of(cls, given: Message | Example | bytes) -> Message:
        """A message of an example, or of the bytes of a header (see `parse`)."""
        if isinstance(given, Message):
            return given
        if isinstance(given, bytes):
            return cls.parse(given)
        return _with_rest(cls.parse(given.header), given)

    @classmethod
    def parse(cls, header: bytes) -> Message:
        """A message with these fields: lines end with LF or CRLF, and one that begins with a blank is folded.

        Nothing is dropped or repaired. Raises ValueError for a line without a colon, which no MTA takes for a field:
        it reaches a milter as the first bytes of the body.
        """
        fields: list[tuple[bytes, bytes]] = []
        for line in header.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n") if header else ():
            if line[:1] in {b" ", b"\t"} and fields:
                name, value = fields[-1]
                fields[-1] = (name, value + b"\n" + line)
                continue
            name, colon, value = line.partition(b":")
            if not colon:
                raise ValueError(f"{line[:60]!r} is no field, it has no colon: an MTA would pass it on as body")
            fields.append((name, value))
        return cls(tuple(fields))

    @classmethod
    def cut(cls, example: Example) -> Message:
        """An example as Postfix cuts it: a NUL ends a value, a CR becomes a blank, Bcc is dropped, and so on.

        What was repaired on the way is `noted`, as `forebay check` does with a file.
        """
        cut = split(example.header.removesuffix(b"\n") + b"\n\n", longest_field=0)
        fields = cls(cut.fields, cut.body.removesuffix(b"\n"), noted=cut.diagnosis)
        return _with_rest(fields, example)

    def field(self, name: bytes, value: bytes) -> Message:
        """Add a field at the end."""
        return replace(self, fields=(*self.fields, (name, value)))

    def without(self, name: bytes) -> Message:
        """Take away every field of that name, whatever its case."""
        key = name.lower()
        return replace(self, fields=tuple(each for each in self.fields if each[0].lower() != key))

    def sent_by(self, sender: bytes) -> Message:
        """Set the envelope sender: `<someone@example.org>`, or `<>` for a bounce."""
        return replace(self, sender=sender)

    def sent_to(self, *recipients: bytes) -> Message:
        """Set the envelope recipients."""
        return replace(self, recipients=recipients)

    def with_body(self, body: bytes) -> Message:
        """Set the body; lines end with CRLF, as an MTA passes them on."""
        return replace(self, body=body)

    @property
    def envelope(self) -> Envelope:
        """The envelope, as a validator gets it."""
        return Envelope(self.sender, self.recipients, self.client, self.authenticated, self.smtputf8)

    @property
    def header(self) -> Header:
        """The header, as a validator gets it."""
        return Header.of(self.fields, self.envelope)

    @property
    def size(self) -> int:
        """Bytes of fields, envelope and body."""
        return sum(len(name) + len(value) for name, value in self.fields) + len(self.body) + _size(self._paths)

    @property
    def data(self) -> bytes:
        """The message as SMTP's DATA carries it, without the final dot: header, empty line, body; lines end with CRLF."""
        lines = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in self.fields)
        return lines + b"\r\n" + self.body

    def at(self, finding: Finding) -> bytes:
        """The bytes that a finding points to; raises IndexError for a field that is not there."""
        return self.source(finding)[finding.start : finding.end]

    def source(self, finding: Finding) -> bytes:
        """The value, path or body that the offsets of a finding count in; empty where it points nowhere."""
        if finding.field_index >= 0:
            return self.fields[finding.field_index][1]
        if finding.field == b"MAIL FROM":
            return self.sender
        if finding.field == b"body":
            return self.body
        if finding.field == b"RCPT TO" and len(self.recipients) == 1:
            return self.recipients[0]
        return b""

    @property
    def _paths(self) -> tuple[bytes, ...]:
        return (self.sender, *self.recipients)


def _with_rest(message: Message, example: Example) -> Message:
    return replace(
        message,
        body=message.body + example.body,
        sender=example.sender,
        recipients=example.recipients,
        smtputf8=example.smtputf8,
    )


def _size(parts: Iterable[bytes]) -> int:
    return sum(map(len, parts))
