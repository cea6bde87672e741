"""The messages of the show, good and evil, each with what has to become of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SENDER: Final = b"<jane@example.org>"
RECIPIENT: Final = b"<joe@example.com>"

_FIELDS: Final = {
    b"From": b"Jane Doe <jane@example.org>",
    b"To": b"joe@example.com",
    b"Subject": b"Lunch on Friday?",
    b"Date": b"Thu, 26 Nov 2026 10:00:00 +0000",
    b"Message-ID": b"<20261126100000.1@example.org>",
}


class Action(Enum):
    """What becomes of a message."""

    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Sample:
    """One message. `evil` is the line of it that matters; `validator` is what decides, if anything does."""

    title: str
    evil: bytes
    message: bytes
    action: Action
    validator: str = ""
    recipient: bytes = RECIPIENT


def _message(changed: Mapping[bytes, bytes | None], more: bytes = b"") -> bytes:
    """The ordinary message with some fields changed, or left out for None, and `more` lines at its end."""
    fields = {**_FIELDS, **changed}
    lines = [name + b": " + value + b"\r\n" for name, value in fields.items() if value is not None]
    return b"".join(lines) + more + b"\r\nShall we meet at noon?\r\n"


def _with_field(title: str, name: bytes, value: bytes, action: Action, validator: str) -> Sample:
    return Sample(title, name + b": " + value, _message({name: value}), action, validator)


SAMPLES: Final = (
    Sample("An ordinary message", b"", _message({}), Action.ACCEPT),
    _with_field(
        "Names and a subject in other scripts, as RFC 2047 has them",
        b"Subject", b"=?utf-8?q?D=C3=A9jeuner_vendredi_=3F?= =?utf-8?b?5piO5pel?=", Action.ACCEPT, "",
    ),
    Sample(
        "No Message-ID, which a careless but honest program may forget",
        b"", _message({b"Message-ID": None}), Action.TAG, "header-missing-message-id",
    ),
    _with_field("Two @ in one address", b"To", b"joe@accounts@example.com", Action.QUARANTINE, "address-multiple-at"),
    _with_field(
        "Unbalanced quotes, the kind that ate a router's memory",
        b"To", b'"Joe <joe@example.com>, "Ann" <ann@example.com>', Action.REJECT, "address-unbalanced-quote",
    ),
    _with_field(
        "Unbalanced brackets, three hundred times over",
        b"Cc", b'"<' * 300 + b"joe@example.com", Action.REJECT, "address-syntax-error-count",
    ),
    Sample(
        "Two authors: which one a program shows is anybody's guess",
        b"From: boss@example.com", _message({}, b"From: boss@example.com\r\n"), Action.REJECT, "header-duplicate-from",
    ),
    Sample(
        "The header is in order, the envelope is not",
        b"RCPT TO:<joe@[192.0.2.1>", _message({}), Action.REJECT, "address-unbalanced-bracket",
        recipient=b"<joe@[192.0.2.1>",
    ),
    Sample("The ordinary message again: nothing has suffered", b"", _message({}), Action.ACCEPT),
)  # fmt: skip
