"""One header field as bytes, with what the grammars say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from forebay.message import rfc2045, rfc2047, rfc5322_address, rfc5322_date, rfc5322_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.message.rfc2045 import MimeValue
    from forebay.message.rfc2047 import EncodedWords
    from forebay.message.rfc5322_address import AddressList
    from forebay.message.rfc5322_date import DateTime
    from forebay.message.rfc5322_id import MessageIds

T = TypeVar("T")

AUTHOR = frozenset({b"from", b"sender"})
"""The fields that name the author: several mailboxes or a group in them are ambiguous (RFC 6854 section 1)."""

OPTIONAL = frozenset({b"bcc", b"resent-bcc"})
"""The address fields that need not hold an address (RFC 5322 section 3.6.3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A header field (RFC 5322 section 2.2) as the milter got it.

    `name` is as written. `value` is what stands after the colon, its leading blank included, with folds as LF and
    the blank after them. `index` counts the fields from 0. What the grammars say is computed when first asked for
    and then kept: every validator of a message sees the same objects.
    """

    index: int
    name: bytes
    value: bytes
    smtputf8: bool = False
    _facts: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> bytes:
        """The name in lower case: field names are compared without case (RFC 5322 section 1.2.2)."""
        return self.name.lower()

    @property
    def text(self) -> bytes:
        """The value unfolded (RFC 5322 section 2.2.3), without the blanks around it."""
        return self.value.replace(b"\n", b"").strip(b" \t")

    @property
    def addresses(self) -> AddressList:
        """The value read as an address list (RFC 5322 section 3.4)."""
        author, optional = self.key in AUTHOR, self.key in OPTIONAL
        return self._fact(
            "addresses",
            lambda: rfc5322_address.scan(self.value, author=author, optional=optional, smtputf8=self.smtputf8),
        )

    @property
    def message_ids(self) -> MessageIds:
        """The value read as message identifiers (RFC 5322 section 3.6.4)."""
        return self._fact("message_ids", lambda: rfc5322_id.scan(self.value))

    @property
    def date(self) -> DateTime:
        """The value read as a date and time (RFC 5322 section 3.3)."""
        return self._fact("date", lambda: rfc5322_date.scan(self.value))

    @property
    def mime(self) -> MimeValue:
        """The value read as a token or a media type with parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231)."""
        return self._fact("mime", lambda: rfc2045.scan(self.value))

    @property
    def encoded_words(self) -> EncodedWords:
        """The encoded-words in the value (RFC 2047 section 2)."""
        return self._fact("encoded_words", lambda: rfc2047.scan(self.value))

    def _fact(self, name: str, compute: Callable[[], T]) -> T:
        if name not in self._facts:
            self._facts[name] = compute()
        return cast("T", self._facts[name])
