"""A verdict in words: the SMTP reply, the tag, the reason of a quarantine.

None of them ever holds bytes of the mail that are not escaped, or more than one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: `550`, `5.6.0`, and one line of ASCII."""

    code: str
    enhanced: str
    text: str


def reply(verdict: Verdict, reply_url: str = "") -> Reply:
    """The reply to a message that is rejected or tempfailed: at most 512 bytes with code, status and CRLF (RFC 5321 section 4.5.3.1.5)."""
    raise NotImplementedError


def tag_value(verdict: Verdict, hostname: str) -> bytes:
    """The value of the field that tags a message."""
    raise NotImplementedError


def is_own_tag(value: bytes, hostname: str) -> bool:
    """Whether a tag that came in claims to be this host's."""
    raise NotImplementedError


def quarantine_reason(verdict: Verdict) -> str:
    """Why a message is held, in one line for the MTA's log."""
    raise NotImplementedError
