"""The whole header section of a message, and what can be said of it as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.message.envelope import Envelope
from forebay.message.field import Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NO_ENVELOPE = Envelope()


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The fields of a message in their order, with the envelope that it came in."""

    fields: tuple[Field, ...]
    envelope: Envelope = _NO_ENVELOPE

    @classmethod
    def of(cls, fields: Iterable[tuple[bytes, bytes]], envelope: Envelope = _NO_ENVELOPE) -> Header:
        """A header of (name, value) pairs."""
        utf8 = envelope.smtputf8
        return cls(tuple(Field(i, name, value, utf8) for i, (name, value) in enumerate(fields)), envelope)

    def all(self, name: bytes) -> Sequence[Field]:
        """Every field of that name, in their order, whatever its case."""
        key = name.lower()
        return [field for field in self.fields if field.key == key]

    def first(self, name: bytes) -> Field | None:
        """The topmost field of that name, or None."""
        key = name.lower()
        return next((field for field in self.fields if field.key == key), None)
