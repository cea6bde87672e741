"""Trace fields and their like: Received (RFC 5322 section 3.6.7), List- fields (RFC 2369, 2919), DKIM (RFC 6376)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message import pattern, rfc5322_date
from forebay.message.diagnosis import Diagnosis
from forebay.message.mask import extent, mask

if TYPE_CHECKING:
    from forebay.message.field import Field

MOST_TAGS: Final = 256
"""Tags of a DKIM signature that are looked at. RFC 6376 knows fifteen."""

# Text with a few comments, no deeper than two.
_TOKENS = pattern.compile(rb'(?:[^()"\\;]++|\((?:[^()"\\]++|\([^()"\\]*+\))*+\)){0,16}+').fullmatch

# A URL in angle brackets, and more of them after commas; or NO, for List-Post (RFC 2369 section 3.4).
recognise_list: Final = pattern.compile(rb"(?:[ \t\n]*+<[A-Za-z][A-Za-z0-9+.-]*+:[!-;=?-~]++>,?+){1,8}+").fullmatch
recognise_list_id: Final = pattern.compile(
    rb'[ \t\n]*+(?:[0-9A-Za-z ._\'-]++|"[^"\\()<>]*+"[ ])?+[ \t\n]*+<[0-9A-Za-z._-]++>'
).fullmatch

_URL_LIST = pattern.compile(rb"[^<>]*+<[ \t\r\n]*+[A-Za-z][A-Za-z0-9+.-]*+:[^<>]++>").match
_NO = pattern.compile(rb"(?i)[ \t\r\n\x01]*+no[ \t\r\n\x01]*+").fullmatch
_ONE_CLICK = pattern.compile(rb"(?i)[ \t\r\n\x01]*+List-Unsubscribe=One-Click[ \t\r\n\x01]*+").fullmatch
_LIST_ID = pattern.compile(rb"[^<>]*+<[!-;=?-~]++>[ \t\r\n\x01]*+").fullmatch

# tag-spec = [FWS] tag-name [FWS] "=" (RFC 6376 section 3.2)
_TAG = pattern.compile(rb"(?:\A|;)[ \t\r\n]*+([A-Za-z][A-Za-z0-9_]*+)[ \t\r\n]*+=")


def recognise_received(value: bytes) -> bool:
    """Whether a Received has plain words and comments, and behind its only semicolon a date."""
    tokens, semicolon, date = value.rpartition(b";")
    if not semicolon or not _TOKENS(tokens):
        return False
    return rfc5322_date.recognise(date) is not None


def diagnose_received(field: Field) -> Diagnosis:
    """Say what is wrong with Received: `*received-token ";" date-time` (RFC 5322 section 3.6.7).

    What the tokens are is not looked at: hardly any program writes them as RFC 5321 section 4.4 has them.
    """
    diagnosis = Diagnosis()
    value = field.value
    masked = mask(value)
    diagnosis.effort = masked.effort
    diagnosis.measure("comments", masked.comments, 0, len(value))
    diagnosis.measure("comment-depth", masked.depth, masked.deepest, len(value))
    start = masked.text.rfind(b";") + 1
    if not start:
        diagnosis.note("received-malformed", *extent(value), "no semicolon before a date")
    elif rfc5322_date.scan(value[start:]).year is None:
        diagnosis.note("received-malformed", start, len(value), "no date after the last semicolon")
    return diagnosis


def diagnose_list(field: Field) -> Diagnosis:
    """Say what is wrong with a List- field: `"<" URL ">" *("," "<" URL ">")` (RFC 2369 section 2).

    List-Id has `[phrase] "<" list-id ">"` (RFC 2919 section 3), List-Unsubscribe-Post one certain word (RFC 8058
    section 3.1); List-Post may say NO.
    """
    diagnosis = Diagnosis()
    masked = mask(field.value)
    diagnosis.effort = masked.effort
    text, key = masked.text, field.key
    if key == b"list-id":
        if not _LIST_ID(text):
            diagnosis.note("list-malformed", *extent(field.value), "no list identifier in angle brackets")
    elif key == b"list-unsubscribe-post":
        if not _ONE_CLICK(text):
            diagnosis.note("list-malformed", *extent(field.value), 'not "List-Unsubscribe=One-Click"')
    elif not (_URL_LIST(text) or (key == b"list-post" and _NO(text))):
        diagnosis.note("list-malformed", *extent(field.value), "no URL in angle brackets")
    return diagnosis


def recognise_dkim(value: bytes) -> bool:
    """Whether a signature of usual size has every tag once."""
    if len(value) > 4096:
        return False
    names = [tag.partition(b"=")[0].strip() for tag in value.split(b";")]
    return len(set(names)) == len(names)


def diagnose_dkim(field: Field) -> Diagnosis:
    """Say what is wrong with DKIM-Signature: no tag may stand twice (RFC 6376 section 3.2)."""
    diagnosis = Diagnosis()
    seen: set[bytes] = set()
    for number, tag in enumerate(_TAG.finditer(field.value)):
        if number >= MOST_TAGS:
            break
        if tag[1] in seen:
            diagnosis.note("dkim-duplicate-tag", *tag.span(1), "tag that stands twice")
        seen.add(tag[1])
    return diagnosis
