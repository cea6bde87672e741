"""MIME-Version, Content-Type, Content-Transfer-Encoding, Content-Disposition: their first words."""

from __future__ import annotations

from forebay.api import QUARANTINE, TAG, DefectValidator, validator


@validator(
    id="mime-version-invalid",
    rfc="RFC 2045 4",
    action=TAG,
    good=[b"MIME-Version: 1.0", b"MIME-Version: 1.0 (produced by hand)", b"MIME-Version: 1.(comment)0"],
    bad=[b"MIME-Version: 2", b"MIME-Version: 1.0.0"],
)
class MimeVersionInvalid(DefectValidator):
    """Tags a MIME version that is not 1.0.

    There is no other; a program that asks for it takes the message for plain text. Bytes: `MIME-Version: 2`.
    """

    defects = ("mime-version-invalid",)


@validator(
    id="content-type-malformed",
    rfc="RFC 2045 5.1",
    action=TAG,
    good=[b"Content-Type: text/plain"],
    bad=[b"Content-Type: text", b"Content-Type: text/plain/x"],
)
class ContentTypeMalformed(DefectValidator):
    """Tags a Content-Type without a type and a subtype.

    RFC 2045 takes it for plain text, others look into the contents and run what they find. Bytes: `Content-Type: text`.
    """

    defects = ("content-type-malformed",)


@validator(
    id="content-type-malformed-multipart",
    rfc="RFC 2045 5.1",
    action=QUARANTINE,
    good=[b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text"],
    bad=[b"Content-Type: multipart; boundary=b", b"Content-Type: multipart/mixed/x; boundary=b"],
)
class ContentTypeMalformedMultipart(DefectValidator):
    """Quarantines a malformed Content-Type that speaks of a multipart.

    The virus scanner sees one plain text and the mail program parts with attachments ("Inbox Invasion").
    Bytes: `Content-Type: multipart; boundary=b`.
    """

    defects = ("content-type-malformed-multipart",)


@validator(
    id="content-type-comment",
    rfc="RFC 2045 5.1",
    action=QUARANTINE,
    good=[b"Content-Type: text/plain; charset=us-ascii (Plain text)"],
    bad=[b"Content-Type: text/(x)plain"],
)
class ContentTypeComment(DefectValidator):
    """Quarantines a comment inside a media type or before a parameter's value.

    Half of the parsers do not expect it there and read another type. Bytes: `Content-Type: text/(x)plain`.
    """

    defects = ("mime-comment",)


@validator(
    id="content-transfer-encoding-unknown",
    rfc="RFC 2045 6",
    action=TAG,
    good=[b"Content-Transfer-Encoding: Quoted-Printable", b"Content-Transfer-Encoding: x-uuencode"],
    bad=[b"Content-Transfer-Encoding: 7-bit", b"Content-Transfer-Encoding: foo"],
)
class ContentTransferEncodingUnknown(DefectValidator):
    """Tags a transfer encoding that does not exist.

    One program shows the text as it is and another guesses base64, so that only one of them sees what is inside.
    Bytes: `Content-Transfer-Encoding: 7-bit`.
    """

    defects = ("encoding-unknown",)


@validator(
    id="content-transfer-encoding-multiple",
    rfc="RFC 2045 6.1",
    action=QUARANTINE,
    good=[b"Content-Transfer-Encoding: base64"],
    bad=[b"Content-Transfer-Encoding: 7bit base64", b"Content-Transfer-Encoding: base64, 7bit"],
)
class ContentTransferEncodingMultiple(DefectValidator):
    """Quarantines several words in Content-Transfer-Encoding.

    The scanner takes the first and the mail program the last. Bytes: `Content-Transfer-Encoding: 7bit base64`.
    """

    defects = ("encoding-multiple",)


@validator(
    id="content-transfer-encoding-on-composite",
    rfc="RFC 2045 6.4",
    action=QUARANTINE,
    good=[
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64",
    ],
    bad=[b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64"],
)
class ContentTransferEncodingOnComposite(DefectValidator):
    r"""Quarantines a multipart or message that is in base64 or quoted-printable as a whole.

    It must not be; scanners skip it and mail programs decode it (RFC 7103 section 8.2).
    Bytes: `Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64`.
    """

    defects = ("encoding-on-composite",)


@validator(
    id="content-disposition-malformed",
    rfc="RFC 2183 2",
    action=TAG,
    good=[b"Content-Disposition: attachment; filename=x"],
    bad=[b"Content-Disposition: ;filename=x"],
)
class ContentDispositionMalformed(DefectValidator):
    """Tags a Content-Disposition without a disposition.

    An unknown one is an attachment, a missing one whatever the reader likes. Bytes: `Content-Disposition: ;filename=x`.
    """

    defects = ("disposition-malformed",)
