"""Message identifiers and threading."""

from __future__ import annotations

from forebay.api import ACCEPT, TAG, DefectValidator, validator


@validator(
    id="message-id-malformed",
    rfc="RFC 5322 3.6.4",
    action=TAG,
    good=[b"Message-ID: <1.2@example.org>", b"Message-ID: <1@[192.0.2.1]>"],
    bad=[b"Message-ID: 1@example.org", b"Message-ID: <1>", b"Message-ID: <1 2@example.org>", b"Message-ID: <>"],
)
class MessageIdMalformed(DefectValidator):
    """Tags a Message-ID that is no message identifier.

    Programs that look for `<`, `@` and `>` index past the end (Python's `email` raises IndexError). Outlook 2007 sent
    several @ in it. Bytes: `Message-ID: <1>`.
    """

    defects = ("message-id-malformed",)


@validator(
    id="references-malformed",
    rfc="RFC 5322 3.6.4",
    action=ACCEPT,
    strict=TAG,
    good=[b"References: <1@example.org> <2@example.org>"],
    bad=[b"In-Reply-To: Your message of Thu, 22 Aug 2002"],
)
class ReferencesMalformed(DefectValidator):
    """Counts text between the identifiers of In-Reply-To and References.

    RFC 822 had it so, and every fifteenth message of the archives has it. Bytes: `In-Reply-To: Your message of Thu, 22 Aug`.
    """

    defects = ("references-malformed",)
