"""Parameters of MIME fields, boundaries among them: where filter and reader disagree about what is in a message."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, validator

MULTIPART = b"Content-Type: multipart/mixed"
ATTACHMENT = b"Content-Disposition: attachment"


@validator(
    id="parameter-malformed",
    rfc="RFC 2045 5.1",
    action=TAG,
    good=[b"Content-Type: text/plain; charset=utf-8", b'Content-Type: text/plain; name="a b.exe"'],
    bad=[b"Content-Type: text/plain; =x", b"Content-Type: text/plain; name=bad boy.exe"],
)
class ParameterMalformed(DefectValidator):
    """Tags something between parameters that is none.

    A file name with a blank ends there for the scanner and goes on for the mail program.
    Bytes: `Content-Type: text/plain; name=bad boy.exe`.
    """

    defects = ("parameter-malformed",)


@validator(
    id="parameter-unterminated-quote",
    rfc="RFC 2045 5.1",
    action=QUARANTINE,
    strict=REJECT,
    good=[b'Content-Type: text/plain; name="abc"'],
    bad=[b'Content-Type: text/plain; name="abc'],
)
class ParameterUnterminatedQuote(DefectValidator):
    """Quarantines a quotation mark without its twin in a MIME field.

    What follows belongs to the value for one reader and is a parameter for another; Python's parser looped on it for
    ever (bpo-37461). Bytes: `Content-Type: text/plain; name="abc`.
    """

    defects = ("mime-quote-unbalanced",)


@validator(
    id="parameter-repeated",
    rfc="RFC 2045 5.1",
    action=TAG,
    good=[b"Content-Type: text/plain; charset=utf-8; format=flowed"],
    bad=[b"Content-Type: text/plain; charset=utf-8; charset=UTF-8"],
)
class ParameterRepeated(DefectValidator):
    """Tags a parameter that stands twice with the same value.

    It contradicts nothing, and some parsers refuse the field.
    Bytes: `Content-Type: text/plain; charset=utf-8; charset=utf-8`.
    """

    defects = ("parameter-repeated",)


@validator(
    id="parameter-duplicate",
    rfc="RFC 2045 5.1",
    action=QUARANTINE,
    good=[ATTACHMENT + b"; filename=a.txt; size=5"],
    bad=[ATTACHMENT + b"; filename=a.txt; filename=a.exe", b"Content-Type: text/plain; charset=utf-8; charset=utf-7"],
)
class ParameterDuplicate(DefectValidator):
    """Quarantines a parameter that stands twice with different values.

    The filter sees one file name and the recipient opens the other (Rack CVE-2026-26961).
    Bytes: `Content-Disposition: attachment; filename=a.txt; filename=a.exe`.
    """

    defects = ("parameter-duplicate",)


@validator(
    id="parameter-conflict-plain-and-2231",
    rfc="RFC 2231 4",
    action=TAG,
    good=[ATTACHMENT + b"; filename*=utf-8''a.txt"],
    bad=[ATTACHMENT + b"; filename=a.txt; filename*=utf-8''a.txt"],
)
class ParameterConflictPlainAnd2231(DefectValidator):
    """Tags a plain and an RFC 2231 parameter of one name that say the same, or differ in harmless ways.

    It is what careful programs send for old readers. Bytes:
    `Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.txt`.
    """

    defects = ("parameter-conflict",)


@validator(
    id="parameter-conflict-differs",
    rfc="RFC 2231 4",
    action=QUARANTINE,
    good=[ATTACHMENT + b"; filename=a.txt; filename*=utf-8''a.txt"],
    bad=[ATTACHMENT + b"; filename=a.txt; filename*=utf-8''a.exe"],
)
class ParameterConflictDiffers(DefectValidator):
    """Quarantines a plain and an RFC 2231 parameter of one name with other contents.

    The filter reads the harmless one ("Inbox Invasion").
    Bytes: `Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.exe`.
    """

    defects = ("parameter-conflict-differs",)


@validator(
    id="parameter-continuation-malformed",
    rfc="RFC 2231 3",
    action=QUARANTINE,
    good=[ATTACHMENT + b"; filename*0=a; filename*1=b"],
    bad=[
        ATTACHMENT + b"; filename*1=a; filename*3=b",
        ATTACHMENT + b"; filename*0=a; filename*01=b",
        ATTACHMENT + b"; filename*0=a; filename*0=b",
    ],
)
class ParameterContinuationMalformed(DefectValidator):
    """Quarantines RFC 2231 sections with a gap, a repetition, a leading zero or without a start.

    Some readers stop at the gap and some join across it, to another file name.
    Bytes: `Content-Disposition: attachment; filename*1=a; filename*3=b`.
    """

    defects = ("continuation-malformed",)


@validator(
    id="filename-control-or-path",
    rfc="RFC 2183 2.3",
    action=QUARANTINE,
    good=[ATTACHMENT + b'; filename="a.txt"'],
    bad=[ATTACHMENT + b'; filename="..\\\\..\\\\a.exe"', ATTACHMENT + b'; filename="../../a"'],
)
class FilenameControlOrPath(DefectValidator):
    r"""Quarantines a path or a control character in a file name.

    Who saves it as it is writes outside the folder that was meant.
    Bytes: `Content-Disposition: attachment; filename="..\\..\\a.exe"`.
    """

    defects = ("filename-path",)


@validator(
    id="mime-boundary-missing",
    rfc="RFC 2046 5.1.1",
    action=QUARANTINE,
    good=[MULTIPART + b"; boundary=b"],
    bad=[MULTIPART],
)
class MimeBoundaryMissing(DefectValidator):
    """Quarantines a multipart without a boundary.

    One reader sees text and another guesses the boundary from the body. Bytes: `Content-Type: multipart/mixed`.
    """

    defects = ("boundary-missing",)


@validator(
    id="mime-boundary-empty",
    rfc="RFC 2046 5.1.1",
    action=REJECT,
    good=[MULTIPART + b"; boundary=b"],
    bad=[MULTIPART + b'; boundary=""'],
)
class MimeBoundaryEmpty(DefectValidator):
    """Refuses an empty boundary.

    Each line that begins with two hyphens then divides the message, or none.
    Bytes: `Content-Type: multipart/mixed; boundary=""`.
    """

    defects = ("boundary-empty",)


@validator(
    id="mime-boundary-malformed",
    rfc="RFC 2046 5.1.1",
    action=TAG,
    good=[MULTIPART + b'; boundary="----=_Part(1)+a.b"'],
    bad=[MULTIPART + b'; boundary="a#b"', MULTIPART + b'; boundary="ends with blank "'],
)
class MimeBoundaryMalformed(DefectValidator):
    """Tags a boundary with a character that it may not have, or with a blank at its end.

    Some readers cut it there and see other parts. Legitimate bounces have it.
    Bytes: `Content-Type: multipart/mixed; boundary="a#b"`.
    """

    defects = ("boundary-malformed",)


@validator(
    id="mime-boundary-duplicate",
    rfc="RFC 2045 5.1",
    group="ambiguity",
    action=REJECT,
    good=[MULTIPART + b"; boundary=a"],
    bad=[MULTIPART + b"; boundary=a; boundary=b"],
)
class MimeBoundaryDuplicate(DefectValidator):
    """Refuses a boundary that stands twice.

    The scanner divides the message at the first and the mail program at the last (Amavis CVE-2024-28054).
    Bytes: `Content-Type: multipart/mixed; boundary=a; boundary=b`.
    """

    defects = ("boundary-duplicate",)
