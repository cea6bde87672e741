"""Which fields a header must have and may have once: RFC 5322 section 3.6, and the singletons of other RFCs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message import pattern, rfc2045
from forebay.message.diagnosis import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.message.header import Header

_REQUIRED: Final = (  # RFC 5322 section 3.6; Message-ID is a SHOULD
    (b"from", "from-missing", "no From"),
    (b"date", "date-missing", "no Date"),
    (b"message-id", "message-id-missing", "no Message-ID"),
)
_DESTINATIONS: Final = frozenset({b"to", b"cc", b"bcc"})

_PRECISE: Final = frozenset({b"sender", b"date", b"message-id", b"subject", b"reply-to"})
"""Of these a second one with another value changes what the message says."""

_MIME_PRECISE: Final = frozenset({b"content-type", b"content-transfer-encoding"})
_MIME: Final = _MIME_PRECISE | {b"mime-version", b"content-disposition", b"content-id", b"content-description"}
_LIST: Final = frozenset({  # RFC 2369 section 3, RFC 2919 section 2
    b"list-id", b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-post", b"list-owner", b"list-archive",
    b"list-unsubscribe-post",
})  # fmt: skip
_ONCE: Final = _PRECISE | _MIME | _LIST | {b"from", b"to", b"cc", b"bcc", b"in-reply-to", b"references"}

_RESENT: Final = frozenset({
    b"resent-date", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-bcc", b"resent-message-id",
})  # fmt: skip
_STRAY: Final = {
    b"x-mailbox-line": ("mbox-from", "mbox line at the top of the header"),
    b"return-path": ("return-path-present", "Return-Path before final delivery"),
}
STRAY: Final = frozenset(_STRAY)
"""Fields that only a delivery writes."""

_STRUCTURED: Final = _ONCE - {b"subject", b"content-description"} | _RESENT
"""Fields whose grammar does not allow an empty value; Bcc and Resent-Bcc may be empty."""

_MAY_BE_COMPOSITE: Final = pattern.compile(rb"[ \t\n]*+[mM(]").match
_IDENTITY: Final = frozenset({b"7bit", b"8bit", b"binary"})

_ALWAYS: Final = frozenset(name for name, _, _ in _REQUIRED)


def usual(names: Sequence[bytes], values: Sequence[bytes]) -> bool:
    """Whether `diagnose` would find nothing but strays, by lower-case names: a quick look that errs towards False only."""
    present = set(names)
    if not present >= _ALWAYS or present.isdisjoint(_DESTINATIONS) or not present.isdisjoint(_RESENT):
        return False
    if b"mime-version" not in present and not present.isdisjoint(_MIME_PRECISE):
        return False
    if len([name for name in names if name in _ONCE]) != len(present & _ONCE):
        return False
    if not all(map(bytes.strip, values)) and _is_empty(names, values):
        return False
    if b"sender" not in present and _may_be_several(values[names.index(b"from")]):
        return False
    return b"content-transfer-encoding" not in present or not _may_be_encoded(names, values)


def _is_empty(names: Sequence[bytes], values: Sequence[bytes]) -> bool:
    """Whether a field stands without the value that its grammar demands."""
    return any(name in _STRUCTURED and not value.strip() for name, value in zip(names, values, strict=True))


def _may_be_several(author: bytes) -> bool:
    """Whether this value may hold two mailboxes: each has an @, and something between them."""
    return author.count(b"@") > 1 and (b"," in author or b";" in author or author.count(b">") > 1)


def _may_be_encoded(names: Sequence[bytes], values: Sequence[bytes]) -> bool:
    """Whether this may be a multipart or message that is encoded as a whole; both fields stand at most once."""
    if b"content-type" not in names or not _MAY_BE_COMPOSITE(values[names.index(b"content-type")]):
        return False
    return values[names.index(b"content-transfer-encoding")].strip(b" \t\n").lower() not in _IDENTITY


def diagnose(header: Header) -> Diagnosis:
    """What is missing, repeated or empty in a header; places are fields, by their index."""
    diagnosis = Diagnosis()
    names = [field.key for field in header.fields]
    present = frozenset(names)
    _look_for_missing(header, present, diagnosis)
    _look_for_repeated(header, names, diagnosis)
    _look_at_encoding(header, diagnosis)
    look_for_strays(names, diagnosis)
    for index, name in enumerate(names):
        if name in _STRUCTURED and not header.fields[index].text and name not in {b"bcc", b"resent-bcc"}:
            diagnosis.note("value-empty", 0, 0, "field without a value", index)
    return diagnosis


def look_for_strays(names: Sequence[bytes], diagnosis: Diagnosis) -> None:
    """Fields that only a delivery writes, in a message that is on its way."""
    if STRAY.isdisjoint(names):
        return
    for index, name in enumerate(names):
        if name in _STRAY:
            kind, text = _STRAY[name]
            diagnosis.note(kind, 0, 0, text, index)


def _look_for_missing(header: Header, present: frozenset[bytes], diagnosis: Diagnosis) -> None:
    for name, kind, text in _REQUIRED:
        if name not in present:
            diagnosis.note(kind, 0, 0, text)
    if present.isdisjoint(_DESTINATIONS):
        diagnosis.note("destination-missing", 0, 0, "neither To nor Cc nor Bcc")
    if not present.isdisjoint(_MIME_PRECISE) and b"mime-version" not in present:
        diagnosis.note("mime-version-missing", 0, 0, "MIME fields without MIME-Version")
    author = header.first(b"from")
    if author and b"sender" not in present and len(author.addresses.mailboxes) > 1:
        diagnosis.note("sender-missing", 0, 0, "several authors and no Sender", author.index)
    resent = present & _RESENT
    if resent and not {b"resent-from", b"resent-date"} <= resent:
        diagnosis.note("resent-incomplete", 0, 0, "Resent- fields without Resent-From or Resent-Date")


def _look_at_encoding(header: Header, diagnosis: Diagnosis) -> None:
    content_type, encoding = header.first(b"content-type"), header.first(b"content-transfer-encoding")
    if content_type and encoding and rfc2045.encoding_on_composite(content_type.mime, encoding.mime):
        start, end, text = encoding.mime.start, encoding.mime.end, "multipart or message that is encoded as a whole"
        diagnosis.note("encoding-on-composite", start, end, text, encoding.index)


def _look_for_repeated(header: Header, names: list[bytes], diagnosis: Diagnosis) -> None:
    first: dict[bytes, int] = {}
    for index, name in enumerate(names):
        if name not in _ONCE:
            continue
        if name not in first:
            first[name] = index
            continue
        same = header.fields[index].text == header.fields[first[name]].text
        kind, text = _repetition(name, same=same)
        diagnosis.note(kind, 0, 0, text, index)


def _repetition(name: bytes, *, same: bool) -> tuple[str, str]:
    """The kind of a repetition by how much it can mislead (RFC 7103 section 7.5.1)."""
    if name == b"from":
        return "from-repeated", "second From"
    if name in _LIST:
        return "list-repeated", "field stands twice"
    if name in _MIME:
        if same or name not in _MIME_PRECISE:
            return "mime-repeated", "field stands twice"
        return "mime-differs", "field stands twice, with another value"
    if same or name not in _PRECISE:
        return "singleton-repeated", "field stands twice"
    return "singleton-differs", "field stands twice, with another value"
