"""A queue file of Sendmail, `qf` or `hf` and the queue id: who wrote to whom, and the header as its client wrote it.

The format is told in Sendmail's operations guide (op.me, appendix B, "Summary of support files", and section "The
queue files"), version 8: a line a fact, named by its first letter; a header field is `H?flags?name: value`, and goes on in
lines that begin with a blank. What Sendmail adds itself has flags, but for its Received, which has the queue id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from forebay.message import pattern

_FIELD: Final = pattern.compile(rb"H\?([^?\n]*+)\?([^:\n]++):")
_QUOTED: Final = pattern.compile(rb"(?s:\xff(.))")
"""A byte that would mean a macro or a class stands after this one."""
_MOST_RECIPIENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What one says. `arrival` is in seconds since 1970; sender and recipients are as the client gave them.

    `fields` are (name, value) pairs in their order, with folds as LF, those that Sendmail has added left out. `reason`
    is why a message is quarantined, `status` what became of the last try to deliver it; both may be empty.
    """

    arrival: int
    sender: bytes
    recipients: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    reason: bytes
    status: bytes


def parse(data: bytes, queue_id: bytes) -> ControlFile | None:
    """Read a control file; None for what is not a whole one."""
    facts: dict[bytes, bytes] = {}
    recipients: list[bytes] = []
    fields: list[tuple[bytes, bytes]] = []
    is_whole = False
    lines = _unfolded(data)
    for line in lines:
        kind = line[:1]
        if kind == b"H":
            field = _own(line, queue_id)
            fields += [field] if field else []
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


def _unfolded(data: bytes) -> list[bytes]:
    """The lines, each with those that continue it."""
    found: list[list[bytes]] = []
    for line in data.split(b"\n"):
        if found and line[:1] in {b" ", b"\t"}:
            found[-1].append(line)
        else:
            found.append([line])
    return [b"\n".join(parts) for parts in found]


def _own(line: bytes, queue_id: bytes) -> tuple[bytes, bytes] | None:
    """A field that the client wrote, or a milter added; None for one that Sendmail did."""
    found = _FIELD.match(line)
    if not found or found[1]:
        return None
    name, value = _plain(found[2]), _plain(line[found.end() :])
    return None if name == b"Received" and queue_id and b" id " + queue_id in value else (name, value)


def _plain(text: bytes) -> bytes:
    return _QUOTED.sub(rb"\1", text) if b"\xff" in text else text
