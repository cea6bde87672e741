"""Fingerprints: digests by which a message that killed a router, and its resends, are known again.

Two kinds, both pure functions of what a milter sees and of what lies in a spool alike. The views differ in folding,
blanks and where a long value is cut, so values are brought to one form first (`canonical`).
- `exact` is of From, Date, Message-ID, Subject and the envelope sender, all five: it knows this message.
- `shape` is of its defects alone: it knows the next message of the same kind, whoever sends it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENVELOPE: Final = b"envelope"
"""The field name of a trait that lies in the envelope."""
LONGEST: Final = 60_000
"""Postfix cuts a field for a milter at a line end below this size: nothing beyond it may matter."""

_EXACT: Final = (b"from", b"date", b"message-id", b"subject")
_BLANKS: Final = pattern.compile(rb"[ \t\r\n]++")
_AROUND: Final = 32
_DIGEST_BYTES: Final = 16
_WORD, _BLANK, _EIGHT_BIT, _CONTROL = b"w", b"_", b"8", b"^"


def _classes() -> bytes:
    """For each byte its token class: specials stand for themselves, everything else for its kind."""
    table = bytearray(_WORD * 256)
    for byte in b"<>()[]\"\\@,;:.=?'":
        table[byte] = byte
    for byte in b" \t\r\n":
        table[byte] = _BLANK[0]
    for byte in [*range(9), 11, 12, *range(14, 32), 127]:
        table[byte] = _CONTROL[0]
    for byte in range(128, 256):
        table[byte] = _EIGHT_BIT[0]
    return bytes(table)


_CLASSES: Final = _classes()
_RUN: Final = pattern.compile(rb"(?s:(.)\1++)")
_TEXT: Final = pattern.compile(rb"[w_]++")


@dataclass(frozen=True, slots=True)
class Trait:
    """A defect as a fingerprint sees it: the field's name, or `ENVELOPE`; who found it; where in which value.

    `start` is 0-based, in the value as it was given.
    """

    field: bytes
    validator: str
    value: bytes
    start: int


def canonical(value: bytes) -> bytes:
    """One form for the views of one value: cut at a NUL and at 60,000 bytes, unfolded, blanks collapsed."""
    cut = value[:LONGEST].partition(b"\0")[0]
    return _BLANKS.sub(b" ", cut).strip(b" ")


def exact(fields: Iterable[tuple[bytes, bytes]], sender: bytes) -> bytes | None:
    """The digest (16 bytes) of this message; None where one of the five is not there, or says nothing.

    `fields` are (name, value) pairs; the first of a name counts. `sender` is in angle brackets; `<>` is a sender.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        lower = name.lower()
        if lower in _EXACT:
            found.setdefault(lower, canonical(value))
    parts = [found.get(name, b"") for name in _EXACT] + [sender.strip()]
    return _digest(b"exact", parts) if all(parts) else None


def shape(traits: Sequence[Trait]) -> bytes | None:
    """The digest (16 bytes) of what is wrong with a message; None where there is nothing.

    Of each trait it takes the field's name, the validator, the size class of how many specials the value has (the
    power of two), and the token classes around the defect with runs collapsed. Nothing else of the message.
    """
    if not traits:
        return None
    first: dict[tuple[bytes, str], Trait] = {}
    for trait in traits:
        key = trait.field.lower(), trait.validator
        if key not in first or trait.start < first[key].start:
            first[key] = trait
    parts = [part for key in sorted(first) for part in _described(first[key])]
    return _digest(b"shape", parts)


def _described(trait: Trait) -> tuple[bytes, ...]:
    before, after = canonical(trait.value[: trait.start]), canonical(trait.value[trait.start :])
    whole = canonical(trait.value).translate(_CLASSES)
    specials = len(whole) - whole.count(_WORD) - whole.count(_BLANK)
    # Words are made one before the window is cut: their length and number must not move it.
    tokens = _tokens(before)[-_AROUND:] + b"|" + _tokens(after)[:_AROUND]
    return trait.field.lower(), trait.validator.encode(), b"%d" % specials.bit_length(), tokens


def _tokens(value: bytes) -> bytes:
    return _RUN.sub(rb"\1", _TEXT.sub(b"w", value.translate(_CLASSES)))


def _digest(kind: bytes, parts: Sequence[bytes]) -> bytes:
    digest = hashlib.blake2b(kind, digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
