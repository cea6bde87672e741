"""Display names: what stands in them without quotation marks."""

from __future__ import annotations

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, DefectValidator, Example, validator


@validator(
    id="address-at-in-phrase",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    good=[b'To: "a@example.org" <a@example.org>'],
    bad=[b"To: a@example.org <a@example.org>"],
)
class AddressAtInPhrase(DefectValidator):
    """Tags an @ in a display name without quotation marks.

    Old webmail repeats the address as its own name. Bytes: `To: a@example.org <a@example.org>`.
    """

    defects = ("at-in-phrase",)


@validator(
    id="address-in-phrase-differs",
    rfc="RFC 5322 3.4",
    group="address",
    action=QUARANTINE,
    good=[b"To: a@example.org <a@example.org>"],
    bad=[b"From: boss@example.org <a@example.net>"],
)
class AddressInPhraseDiffers(DefectValidator):
    """Quarantines an unquoted address as the display name of an address with another domain.

    A parser that stops at the first address takes the one that was only to be shown.
    Bytes: `From: boss@example.org <a@example.net>`.
    """

    defects = ("at-in-phrase-differs",)


@validator(
    id="address-specials-in-phrase",
    rfc="RFC 5322 3.2.3",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b'To: "Example [x]" <a@example.org>'],
    bad=[b"To: Example [x] <a@example.org>"],
)
class AddressSpecialsInPhrase(DefectValidator):
    """Tags another special character in a display name without quotation marks.

    A bracket begins a domain literal and a colon a group for some parsers. Bytes: `To: Example [x] <a@example.org>`.
    """

    defects = ("phrase-special",)


@validator(
    id="address-phrase-period",
    rfc="RFC 5322 4.1",
    group="address",
    action=ACCEPT,
    good=[b'To: "John Q. Public" <j@example.org>'],
    bad=[b"To: John Q. Public <j@example.org>"],
)
class AddressPhrasePeriod(DefectValidator):
    """Counts a period in a display name without quotation marks.

    It is obsolete, legal to read, and universal. Bytes: `To: John Q. Public <j@example.org>`.
    """

    defects = ("phrase-period",)


@validator(
    id="address-phrase-leading-dot",
    rfc="RFC 5322 4.1",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b'To: ".example" <j@example.org>', b"To: John Q. Public <j@example.org>"],
    bad=[b"To: .example <j@example.org>"],
)
class AddressPhraseLeadingDot(DefectValidator):
    """Tags a display name that begins with a period and has no quotation marks.

    The obsolete form has a word first; Python's `email` falls over it: an AttributeError. Some products have such a name.
    Bytes: `To: .example <j@example.org>`.
    """

    defects = ("phrase-leading-dot",)


@validator(
    id="address-phrase-unquoted-comma",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    author_action=QUARANTINE,
    strict=REJECT,
    good=[b'From: "Doe, John" <j@example.org>'],
    bad=[b"From: Doe, John <j@example.org>", Example(b"To: Doe, John <j@example.org>", action=TAG)],
)
class AddressPhraseUnquotedComma(DefectValidator):
    """Tags a display name that is cut in two by a comma, quarantines it in From and Sender.

    It reads as two mailboxes, of which the first has no domain. Bytes: `From: Doe, John <j@example.org>`.
    """

    defects = ("phrase-comma",)


@validator(
    id="address-backslash",
    rfc="RFC 5322 3.2.1",
    group="address",
    action=TAG,
    author_action=QUARANTINE,
    strict=QUARANTINE,
    good=[b'To: "a\\"b" <a@example.org>'],
    bad=[Example(b"To: EXAMPLE\\joe <joe@example.org>", action=TAG), b"From: a\\ b <a@example.org>"],
)
class AddressBackslash(DefectValidator):
    r"""Tags a backslash outside quotes, comments and domain literals, quarantines it in From and Sender.

    Programs that unquote first and those that parse first see different addresses. Bytes: `To: EXAMPLE\joe <joe@example.org>`.
    """

    defects = ("backslash-outside-quotes",)


@validator(
    id="encoded-word-in-quoted-string",
    rfc="RFC 2047 5",
    group="address",
    action=TAG,
    good=[b"To: =?utf-8?q?caf=C3=A9?= <a@example.org>"],
    bad=[b'To: "=?utf-8?q?caf=C3=A9?=" <a@example.org>'],
)
class EncodedWordInQuotedString(DefectValidator):
    """Tags an encoded-word inside a quoted string.

    It must not be decoded there, and many programs decode it all the same: two of them show two names. Common in
    legitimate mail. Bytes: `To: "=?utf-8?q?caf=C3=A9?=" <a@example.org>`.
    """

    defects = ("encoded-word-in-quoted-string",)
