"""Envelope addresses: the paths of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2)."""

from __future__ import annotations

from typing import Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis

_OCTET: Final = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LITERAL: Final = pattern.compile(
    rb"(?:" + _OCTET + rb"(?:\." + _OCTET + rb"){3}|[Ii][Pp][Vv]6:[0-9A-Fa-f:]{2,39}+(?:\.\d{1,3}){0,3})"
)
"""Section 4.1.3: an IPv4 or IPv6 address literal, as far as its characters tell."""

_LABEL: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9]|-++(?=[A-Za-z0-9]))*+"
_PATH: Final = pattern.compile(
    rb"<(?:(?=[^@]{1,64}@)[A-Za-z0-9#$&'*+/=?^_`{|}~-]++(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]++)*+@"
    + _LABEL
    + rb"(?:\."
    + _LABEL
    + rb")*+)?+>"
)


def is_address_literal(value: bytes, start: int, end: int) -> bool:
    """Whether `value[start:end]` can stand in the square brackets of an address literal."""
    return _LITERAL.fullmatch(value, start, end) is not None


def recognise(path: bytes) -> bool:
    """True for the common forms of a path, and for the null path `<>`; False says nothing."""
    return _PATH.fullmatch(path) is not None and b"=?" not in path


def diagnose(path: bytes, *, smtputf8: bool = False) -> Diagnosis:
    """What is wrong with a path, with its angle brackets (an MTA may leave them away).

    A path is one address: no list, and no display name. The null path and `<postmaster>` (sections 4.5.5 and 4.5.1) are well-formed.
    """
    if path in {b"", b"<>"} or path.lower() == b"<postmaster>":
        return Diagnosis()
    from forebay.message.rfc5322_address import read  # noqa: PLC0415 - the address grammar needs the literals above

    reading = read(path, smtputf8=smtputf8)
    if reading.comma >= 0:
        reading.note("angle-comma", reading.comma, reading.comma + 1, "comma in a path")
    elif any(mailbox.phrase for mailbox in reading.mailboxes):
        reading.note("angle-junk", 0, path.index(b"<"), "text before the opening angle bracket")
    return reading.diagnosis
