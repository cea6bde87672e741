"""A header that was cut short: seen in the first bytes of what the MTA takes for the body.

A line that is no field ends the header (RFC 5322 section 2.2), and what was meant to be the rest of it arrives as
body. Ordinary bodies look much like it: they begin with a line of text, and forwarded messages and MIME parts bring
fields with them. Two things tell them apart. Fields that are pasted repeat what the header has (a Date, a Subject, a
Content-Type), while the rest of a header has what the header lacks. And they follow the first line directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_LINES: Final = 1000
"""Lines of the body that are looked at: as many as a header may have fields."""

_FIELD = pattern.compile(rb"([!-9;-~]++)[ \t]*+:")

# Fields that nobody types or pastes by hand under one line of text.
_MACHINE = frozenset(
    b"received return-path message-id in-reply-to references mime-version content-type content-transfer-encoding"
    b" content-disposition content-id content-language dkim-signature authentication-results received-spf arc-seal"
    b" arc-message-signature arc-authentication-results delivered-to auto-submitted precedence list-id list-post"
    b" list-help list-unsubscribe list-unsubscribe-post list-subscribe list-owner list-archive user-agent errors-to"
    b" resent-from resent-sender resent-to resent-cc resent-date resent-message-id thread-topic thread-index".split()
)
# Those that a person may write: two of them are needed to make a header of it.
_HUMAN = frozenset(b"from sender reply-to to cc bcc date subject".split())

_REPEATABLE = frozenset(b"received return-path dkim-signature arc-seal arc-message-signature delivered-to".split())
"""Fields that a header has several of, so that they tell nothing by standing on both sides."""


def diagnose(body: bytes, names: Collection[bytes] | None = None) -> Diagnosis:
    """Say whether a body begins with what was meant to be header.

    `body` is its first chunk, lines ending with LF or CRLF. `names` are the names of the header's fields, in lower
    case; without them only the fields count that no person pastes.
    """
    diagnosis = Diagnosis()
    first = body[: body.find(b"\n") + 1 or len(body)].rstrip(b"\r\n")
    if not first.strip(b" \t"):
        return diagnosis
    is_field = _FIELD.match(first) is not None
    fields, end, is_all = _fields(body, 0 if is_field else body.find(b"\n") + 1)
    if first[:2] == b"--":  # a MIME part has fields of this kind only
        fields = [name for name in fields if name[:8] != b"content-"]
    if is_field:
        if is_all and names is not None and _continues(fields, names):
            diagnosis.note("separator-missing", 0, end, "nothing but fields, as if the header went on")
    elif first[:1] in b" \t":
        if names is not None and not names and any(name in _MACHINE or name in _HUMAN for name in fields):
            diagnosis.note("leading-continuation", 0, len(first), "header begins with a folded line")
    elif _continues(fields, names):
        diagnosis.note(
            "line-without-colon", 0, len(first), "line that is no field, and the rest of the header after it"
        )
    return diagnosis


def _fields(body: bytes, pos: int) -> tuple[list[bytes], int, bool]:
    """The names of the fields in an unbroken run from `pos`, where the run ends, and whether the body ends there."""
    fields: list[bytes] = []
    for _ in range(MOST_LINES):
        if pos >= len(body):
            break
        stop = body.find(b"\n", pos) + 1 or len(body)
        if body[pos : pos + 1] in b" \t":
            if not fields or not body[pos:stop].strip():
                break
        else:
            field = _FIELD.match(body, pos, stop)
            if not field:
                break
            fields.append(field[1].lower())
        pos = stop
    return fields, pos, pos >= len(body)


def _continues(fields: list[bytes], names: Collection[bytes] | None) -> bool:
    """Whether these fields are the rest of a header that has those names so far."""
    machine = [name for name in fields if name in _MACHINE or name[:2] == b"x-"]
    if names is None:
        return bool(machine)
    human = [name for name in fields if name in _HUMAN]
    if any(name in names and name not in _REPEATABLE and name[:2] != b"x-" for name in (*machine, *human)):
        return False
    return bool(machine) or len(human) > 1
