"""Message identifiers (RFC 5322 section 3.6.4): Message-ID and Content-ID, References and In-Reply-To."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.diagnosis import Diagnosis
from forebay.message.mask import extent, mask

if TYPE_CHECKING:
    from forebay.message.field import Field

MOST_IDS: Final = 64
"""Identifiers that are kept for validators."""

EFFORT_OF_ID: Final = 2
"""What one takes, in bytes that mean something to an address list: see `Diagnosis`."""

MOST_READ: Final = 1024
"""Identifiers that are looked at one by one; those behind them are counted only."""

_ATEXT = r"[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]"  # section 3.2.3
_DTEXT = r"[!-Z^-~]"  # section 3.4.1: printable, without brackets and backslash
_DOT_ATOM = rf"{_ATEXT}++(?:\.{_ATEXT}++)*+"
_CFWS = r"[ \t\r\n\x01]"  # a comment is masked, see mask.COMMENT
_BLANK = b" \t\r\n\x01"

# Identifiers of up to 150 bytes, and no more than 100 of them: every measure of what is recognised is small.
_SHORT = rf"<(?=[^>]{{1,148}}+>){_DOT_ATOM}@{_DOT_ATOM}>"
recognise_one: Final = pattern.compile(rf"[ \t]?+(?:\n[ \t])?+{_SHORT}".encode()).fullmatch
recognise_many: Final = pattern.compile(rf"(?:[ \t\n]*+{_SHORT}){{1,100}}+[ \t]*+".encode()).fullmatch

# msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS], with the forms of section 4.5.4: obs-id-left is a local part
# (words with dots between), obs-id-right a domain.
_WORD = rf'{_CFWS}*+(?:{_ATEXT}++|"\x02*+"){_CFWS}*+'
_LOCAL_PART = rf"{_WORD}(?:\.{_WORD})*+"
_ATOM = rf"{_CFWS}*+{_ATEXT}++{_CFWS}*+"
_DOMAIN = rf"(?:{_ATOM}(?:\.{_ATOM})*+|{_CFWS}*+\[(?:[ \t\r\n]|{_DTEXT})*+\]{_CFWS}*+)"
_MSG_ID = pattern.compile(rf"<{_LOCAL_PART}@{_DOMAIN}>".encode()).fullmatch

# Anything up to the next opening angle bracket, and what that one opens.
_ITEM = pattern.compile(rb"([^<]*+)(<[^<>]*+>?+)?+")


@dataclass(frozen=True, slots=True)
class MessageIds:
    """The identifiers of a field in their order, each with its angle brackets; at most `MOST_IDS` of them."""

    ids: tuple[bytes, ...]
    diagnosis: Diagnosis


def scan(value: bytes) -> MessageIds:
    """Read `*(msg-id / phrase)` as in References: words between identifiers are obsolete, and are defects here."""
    return _read(value, "references-malformed")


def diagnose_many(field: Field) -> Diagnosis:
    """Say what is wrong with References or In-Reply-To: `1*msg-id`."""
    return field.message_ids.diagnosis


def diagnose_one(field: Field) -> Diagnosis:
    """Say what is wrong with Message-ID, Resent-Message-ID or Content-ID: one `msg-id` and nothing else."""
    value = field.value
    found = _read(value, "message-id-malformed")
    peak = found.diagnosis.peaks.get("references")
    start, end = extent(value)
    if peak is None:
        found.diagnosis.measure("message-id-bytes", end - start, start, end)
    elif peak.value > 1:
        found.diagnosis.note("message-id-malformed", start, end, "more than one message identifier")
    return found.diagnosis


def _read(value: bytes, malformed: str) -> MessageIds:
    diagnosis = Diagnosis()
    masked = mask(value)
    text = masked.text
    diagnosis.measure("comments", masked.comments, 0, len(value))
    diagnosis.measure("comment-depth", masked.depth, masked.deepest, len(value))
    if masked.open_comment >= 0:
        diagnosis.note(malformed, masked.open_comment, len(value), "comment that is not closed")
    elif b"<" not in text:
        diagnosis.note(malformed, *extent(value), "no message identifier in angle brackets")
    ids: list[bytes] = []
    number = 0
    pos = 0 if b"<" in text else len(text)
    while pos < len(text) and number < MOST_READ:
        item = _ITEM.match(text, pos)
        assert item  # it matches anything, and never nothing before the end
        _between(item[1], pos, malformed, diagnosis)
        pos = item.end()
        if item[2]:
            number += 1
            start = item.start(2)
            diagnosis.measure("message-id-bytes", pos - start, start, pos)
            if not _MSG_ID(item[2]):
                diagnosis.note(malformed, start, pos, _fault(item[2]))
            if len(ids) < MOST_IDS:
                ids.append(value[start:pos])
    diagnosis.effort = masked.effort + EFFORT_OF_ID * number
    number += text.count(b"<", pos)
    diagnosis.measure("references", number, 0, len(value))
    return MessageIds(tuple(ids), diagnosis)


def _between(text: bytes, pos: int, malformed: str, diagnosis: Diagnosis) -> None:
    junk = text.strip(_BLANK)
    if junk:
        start = pos + len(text) - len(text.lstrip(_BLANK))
        diagnosis.note(malformed, start, start + len(junk), "text outside of angle brackets")


def _fault(item: bytes) -> str:
    if item[-1:] != b">":
        return 'no ">"'
    ats = item.count(b"@")
    if ats != 1:
        return 'more than one "@"' if ats else 'no "@"'
    if item[1:2] == b"@" or item[-2:-1] == b"@":
        return 'nothing before or after the "@"'
    if b".." in item or b"<." in item or b".@" in item or b"@." in item or b".>" in item:
        return "misplaced dot"
    if b" " in item or b"\t" in item or b"\n" in item:
        return "blank inside a message identifier"
    return "character that a message identifier may not have"
