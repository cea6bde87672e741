"""Encoded-words: how they are written is never more than a tag, what they decode to is another matter.

RFC 2047 section 6.3: a reader must not prevent the handling of a message because an encoded-word is malformed.
"""

from __future__ import annotations

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, DefectValidator, Example, validator

ADDRESSES = (
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "resent-reply-to",
    "disposition-notification-to",
    "return-receipt-to",
    "errors-to",
    "mail-followup-to",
    "mail-reply-to",
    "apparently-to",
)


@validator(
    id="encoded-word-malformed",
    rfc="RFC 2047 2",
    action=TAG,
    good=[b"Subject: =?utf-8?q?caf=C3=A9?=", b"Subject: a =? b"],
    bad=[b"Subject: =?utf-8?x?abc?=", b"Subject: =?utf-8?b?!!!!?="],
)
class EncodedWordMalformed(DefectValidator):
    """Tags something that begins like an encoded-word and is none.

    Decoders raise errors that nobody expects: one such From stopped the fetching of a whole mailbox. RFC 2047 section
    6.3 forbids to stop the message. Bytes: `Subject: =?utf-8?x?abc?=`.
    """

    defects = ("encoded-word-malformed",)


@validator(
    id="encoded-word-too-long",
    rfc="RFC 2047 2",
    action=ACCEPT,
    strict=TAG,
    good=[b"Subject: =?utf-8?q?" + b"a" * 60 + b"?="],
    bad=[b"Subject: =?utf-8?q?" + b"a" * 100 + b"?="],
)
class EncodedWordTooLong(DefectValidator):
    """Counts an encoded-word of more than 75 bytes.

    Decoders with a fixed buffer cut it; too much legitimate mail has it for a tag to say anything.
    Bytes: `Subject: =?utf-8?q?aaaa...?=` (112 bytes).
    """

    defects = ("encoded-word-long",)


@validator(
    id="encoded-word-unknown-charset",
    rfc="RFC 2047 3",
    action=TAG,
    good=[b"Subject: =?iso-8859-1?q?caf=E9?="],
    bad=[b"Subject: =?x-no-such?q?abc?="],
)
class EncodedWordUnknownCharset(DefectValidator):
    """Tags an encoded-word in a character set that is not registered.

    A program that looks a codec up by the sender's word finds `idna` or none, and raises. Bytes: `Subject: =?x-no-such?q?abc?=`.
    """

    defects = ("encoded-word-charset",)


@validator(
    id="encoded-word-decodes-to-specials",
    rfc="RFC 2047 6.2",
    fields=("from", "sender"),
    action=QUARANTINE,
    good=[b"From: =?utf-8?q?caf=C3=A9?= <a@example.org>", b"From: =?utf-8?q?Doe=2C_John?= <a@example.org>"],
    bad=[b"From: =?utf-8?b?PGFAYj4s?= <a@example.org>"],
)
class EncodedWordDecodesToSpecials(DefectValidator):
    """Quarantines an encoded-word in From or Sender that decodes to an address or to brackets.

    Who decodes first and parses then reads another author than who parses first (CVE-2023-27043, MimeKit 355).
    Bytes: `From: =?utf-8?b?PGFAYj4s?= <a@example.org>`, which decodes to `<a@b>,`.
    """

    defects = ("encoded-word-decodes-to-specials",)


@validator(
    id="encoded-word-control-chars",
    rfc="RFC 2047 5",
    action=QUARANTINE,
    author_action=REJECT,
    good=[b"Subject: =?utf-8?q?a=20b?=", b"From: =?iso-2022-jp?b?GyRCJEYbKEI=?= <a@example.org>"],
    bad=[
        Example(b"Subject: =?utf-8?q?a=00b?=", action=QUARANTINE),
        b"From: =?utf-8?q?a=00b?= <a@example.org>",
        b"From: =?utf-8?q?a=07b?= <a@example.org>",
    ],
)
class EncodedWordControlChars(DefectValidator):
    """Quarantines an encoded-word that decodes to control characters, refuses it in From and Sender.

    A decoded name with a NUL in it is cut short by whoever stores it. What a character set needs to change its alphabet
    is no control character. Bytes: `Subject: =?utf-8?q?a=00b?=`.
    """

    defects = ("encoded-word-decodes-to-controls",)


@validator(
    id="encoded-word-newline-in-address",
    rfc="RFC 2047 5",
    fields=ADDRESSES,
    action=REJECT,
    good=[b"From: =?utf-8?q?caf=C3=A9?= <a@example.org>", b"Subject: =?utf-8?q?a=0Ab?="],
    bad=[b"From: =?utf-8?q?a=0D=0ABcc:_b@example.net?= <a@example.org>"],
)
class EncodedWordNewlineInAddress(DefectValidator):
    """Refuses an encoded-word in an address field that decodes to CR or LF.

    A program that decodes the name and writes the field again writes another field (mime4j CVE-2024-21742).
    Bytes: `From: =?utf-8?q?a=0D=0ABcc:_b@example.net?= <a@example.org>`.
    """

    defects = ("encoded-word-decodes-to-newline",)


@validator(
    id="subject-embedded-newline-encoded",
    rfc="RFC 2047 5",
    action=TAG,
    strict=QUARANTINE,
    good=[b"Subject: =?utf-8?q?one_line?="],
    bad=[b"Subject: =?utf-8?q?a=0AX-Evil:_b?="],
)
class SubjectEmbeddedNewlineEncoded(DefectValidator):
    """Tags an encoded-word that decodes to CR or LF, in Subject or another text field.

    Web forms produce them by accident; a program that writes the decoded text back makes a field of what follows.
    Bytes: `Subject: =?utf-8?q?a=0AX-Evil:_b?=`.
    """

    defects = ("encoded-word-decodes-to-newline",)
