"""Envelope addresses: the paths of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2)."""

from __future__ import annotations

from typing import Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis
from forebay.message.rfc5322_address import read

_LABEL: Final = rb"[A-Za-z0-9](?:[A-Za-z0-9]|-++(?=[A-Za-z0-9]))*+"
_PATH: Final = pattern.compile(
    rb"<(?:(?=[^@]{1,64}@)[A-Za-z0-9#$&'*+/=?^_`{|}~-]++(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]++)*+@"
    + _LABEL
    + rb"(?:\."
    + _LABEL
    + rb")*+)?+>"
)


def recognise(path: bytes) -> bool:
    """True for the common forms of a path, and for the null path `<>`; False says nothing."""
    return _PATH.fullmatch(path) is not None and b"=?" not in path


def diagnose(path: bytes, *, smtputf8: bool = False) -> Diagnosis:
    """What is wrong with a path, with its angle brackets (an MTA may leave them away).

    A path is one address: no list, and no display name. The null path and `<postmaster>` (sections 4.5.5 and 4.5.1) are well-formed.
    """
    if path in {b"", b"<>"} or path.lower() == b"<postmaster>":
        return Diagnosis()
    reading = read(path, smtputf8=smtputf8)
    if reading.comma >= 0:
        reading.note("angle-comma", reading.comma, reading.comma + 1, "comma in a path")
    elif any(mailbox.phrase for mailbox in reading.mailboxes):
        reading.note("angle-junk", 0, path.index(b"<"), "text before the opening angle bracket")
    return reading.diagnosis
