"""A queue file of Sendmail, `qf` or `hf` and the queue id: who wrote to whom, and the header as its client wrote it.

The format is told in Sendmail's operations guide (op.me, appendix B, "Summary of support files", and section "The
queue files"), version 8: a line a fact, named by its first letter; a header field is `H?flags?name: value`, and goes on in
lines that begin with a blank. What Sendmail adds itself has flags, but for its Received, which has the queue id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELD: Final = pattern.compile(rb"H\?([^?\n]*+)\?([^:\n]++):")
_MOST_RECIPIENTS: Final = 1000
_MOST_FIELDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What one says. `arrival` is in seconds since 1970; sender and recipients are as the client gave them.

    `fields` are (name, value) pairs in their order, with folds as LF, those that Sendmail has added left out.
    Of more than 1,000 recipients and 100,000 fields the first are kept. `reason` is why a message is quarantined, `status`
    what became of the last try to deliver it; both may be empty.
    """

    arrival: int
    sender: bytes
    recipients: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    reason: bytes
    status: bytes

    @property
    def header(self) -> bytes:
        """The fields as lines that end with LF."""
        return b"".join(b"%b:%b\n" % field for field in self.fields)


def parse(data: bytes, queue_id: bytes) -> ControlFile | None:
    """Read a control file; None for what is not a whole one."""
    facts: dict[bytes, bytes] = {}
    recipients: list[bytes] = []
    fields: list[tuple[bytes, bytes]] = []
    is_whole = False
    for line in _unfolded(data):
        kind = line[:1]
        if kind == b"H":
            field = _own(line, queue_id)
            if field and len(fields) < _MOST_FIELDS:
                fields.append(field)
        elif kind == b"R":
            if len(recipients) < _MOST_RECIPIENTS:
                recipients.append(_plain(line.partition(b":")[2]))
        elif kind == b".":
            is_whole = True
            break
        else:
            facts.setdefault(kind, line[1:])
    arrival = facts.get(b"T", b"")
    if not is_whole or not arrival.isdigit() or len(arrival) > 12 or b"S" not in facts:
        return None
    return ControlFile(
        arrival=int(arrival),
        sender=_plain(facts[b"S"]),
        recipients=tuple(recipients),
        fields=tuple(fields),
        reason=_plain(facts.get(b"q", b"")),
        status=_plain(facts.get(b"M", b"")),
    )


def _unfolded(data: bytes) -> Iterator[bytes]:
    """The lines, each with those that continue it; never more than one of them is kept."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        while end >= 0 and data[end + 1 : end + 2] in {b" ", b"\t"}:
            end = data.find(b"\n", end + 1)
        yield data[start:] if end < 0 else data[start:end]
        start = len(data) if end < 0 else end + 1


def _own(line: bytes, queue_id: bytes) -> tuple[bytes, bytes] | None:
    """A field that the client wrote, or a milter added; None for one that Sendmail did."""
    found = _FIELD.match(line)
    if not found or found[1]:
        return None
    name, value = _plain(found[2]), _plain(line[found.end() :])
    return None if name == b"Received" and queue_id and b" id " + queue_id in value else (name, value)


def _plain(text: bytes) -> bytes:
    """Without the quotes: a byte that would mean a macro or a class stands after one of 0xff."""
    if b"\xff" not in text:
        return text
    plain, start = bytearray(), 0
    while 0 <= (quote := text.find(b"\xff", start)) < len(text) - 1:
        plain += text[start:quote]
        plain.append(text[quote + 1])
        start = quote + 2
    return bytes(plain + text[start:])
