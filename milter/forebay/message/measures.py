"""Sizes and counts of the whole header: the budgets that stop what kills parsers, before any grammar is looked at.

Field names are looked at here too (RFC 5322 section 3.6.8): a header with a wrong one is no header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message.diagnosis import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Sequence

ADDRESS_NAMES: Final = frozenset({
    b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc",
    b"resent-from", b"resent-sender", b"resent-reply-to", b"resent-to", b"resent-cc", b"resent-bcc",
    b"disposition-notification-to", b"return-receipt-to", b"errors-to", b"mail-followup-to", b"mail-reply-to",
    b"apparently-to",
})  # fmt: skip
"""Fields that hold addresses: RFC 5322 section 3.6, and those that software treats alike."""

AUTHOR_NAMES: Final = frozenset({b"from", b"sender", b"reply-to"})

_NAME_OCTETS: Final = bytes(octet for octet in range(33, 127) if octet != ord(":"))
"""RFC 5322 section 3.6.8: ftext."""

_COUNTED: Final = {b"received": "received-fields", b"dkim-signature": "dkim-fields"}


def measure(fields: Sequence[tuple[bytes, bytes]]) -> Diagnosis:
    """Measure a header of (name, value) pairs: one pass, two look-ups a field."""
    diagnosis = Diagnosis()
    total = longest_name = longest_value = longest_author = 0
    place = name_place = author_place = -1
    repeats: dict[bytes, int] = {}
    names = [name for name, _ in fields]
    for index, (name, value) in enumerate(fields):
        size = len(value)
        total += size + len(name) + 2  # the colon and the line's end
        if size > longest_value:
            longest_value, place = size, index
        if len(name) > longest_name:
            longest_name, name_place = len(name), index
        key = name.lower()
        if key in ADDRESS_NAMES or key in _COUNTED:
            repeats[key] = repeats.get(key, 0) + 1
            if key in AUTHOR_NAMES and size > longest_author:
                longest_author, author_place = size, index
    diagnosis.measure("header-bytes", total, 0, 0)
    diagnosis.measure("header-fields", len(fields), 0, 0)
    diagnosis.measure("field-bytes", longest_value, 0, longest_value, place)
    diagnosis.measure("author-field-bytes", longest_author, 0, longest_author, author_place)
    diagnosis.measure("name-bytes", longest_name, 0, 0, name_place)
    for key, count in repeats.items():
        counted = _COUNTED.get(key, "address-field-repeats")
        diagnosis.measure(counted, count, 0, 0, _last(fields, key) if count > 1 else -1)
    if b"".join(names).translate(None, _NAME_OCTETS) or b"" in names:
        for index, name in enumerate(names):
            if not name or name.translate(None, _NAME_OCTETS):
                diagnosis.note("name-invalid", 0, 0, "field name with characters that none may have", index)
    return diagnosis


def _last(fields: Sequence[tuple[bytes, bytes]], key: bytes) -> int:
    return next(i for i in range(len(fields) - 1, -1, -1) if fields[i][0].lower() == key)
