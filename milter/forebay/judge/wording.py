"""A verdict in words: the SMTP reply, the tag, the reason of a quarantine.

None of them ever holds bytes of the mail that are not escaped, or more than one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.message.finding import Action

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict
    from forebay.message.finding import Finding

MOST_REPLY = 512
"""Bytes of a reply line with code, status and CRLF (RFC 5321 section 4.5.3.1.5)."""
MOST_REASON = 200
MOST_NAME = 40
MOST_IDS = 12

_ENHANCED = {b"MAIL FROM": "5.1.7", b"RCPT TO": "5.1.3"}
"""RFC 3463: bad sender's address syntax, bad destination mailbox syntax; 5.6.0 is a media error, for the rest."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: `550`, `5.6.0`, and one line of ASCII."""

    code: str
    enhanced: str
    text: str


def reply(verdict: Verdict, reply_url: str = "") -> Reply:
    """The reply to a message that is rejected or tempfailed: at most 512 bytes with code, status and CRLF."""
    reason = verdict.reason
    if verdict.action is not Action.REJECT or reason is None:
        return Reply("451", "4.3.0", _with_url("a check of this message failed; try again later", reply_url))
    return Reply("550", _ENHANCED.get(reason.field, "5.6.0"), _with_url(sentence(reason), reply_url))


def quarantine_reason(verdict: Verdict) -> str:
    """Why a message is held, in one line for the MTA's log."""
    return _cut(sentence(verdict.reason), MOST_REASON) if verdict.reason else "held"


def sentence(finding: Finding) -> str:
    """One finding in one line of ASCII: `To: unbalanced "<" at byte 17 (address-unbalanced-angle)`."""
    place = f"{escape(finding.field, MOST_NAME)}: " if finding.field else ""
    end = f" ({finding.id})"
    return _cut(place + _ascii(finding.message), MOST_REPLY // 2 - len(end)) + end


def tag_value(verdict: Verdict, hostname: str) -> bytes:
    """The value of the field that tags a message: `mx1.example.org; tag; date-obsolete, subject-8bit`."""
    ids = list(dict.fromkeys(finding.id for finding in verdict.findings if finding.action is not Action.ACCEPT))
    rest = len(ids) - MOST_IDS
    more = f" and {rest} more" if rest > 0 else ""
    return f"{_ascii(hostname)}; {verdict.action.word}; {', '.join(ids[:MOST_IDS])}{more}".encode("ascii")


def is_own_tag(value: bytes, hostname: str) -> bool:
    """Whether a tag that came in claims to be this host's."""
    return value.partition(b";")[0].strip().lower() == _ascii(hostname).lower().encode("ascii")


def escape(value: bytes, most: int) -> str:
    r"""Bytes of the mail as printable ASCII, others as `\x1b`, cut after `most` of them."""
    shown = "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in value[:most])
    return shown + ("..." if len(value) > most else "")


def _ascii(text: str) -> str:
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _with_url(text: str, url: str) -> str:
    room = MOST_REPLY - len("550 5.6.0 \r\n")
    return _cut(f"{text}; see {url}" if url else text, room)
