"""How much of everything the other fields may hold: encoded-words, dates, identifiers, MIME parameters."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, BudgetValidator, Example, validator

MULTIPART = b"Content-Type: multipart/mixed; boundary="


@validator(
    id="encoded-word-count",
    rfc="RFC 2047 2",
    group="budget",
    action=REJECT,
    good=[b"Subject:" + b"\n =?utf-8?q?caf=C3=A9?=" * 40],
    bad=[
        Example(b"Subject:" + b"\n =?utf-8?q?a?=" * 150, action=TAG),
        b"Subject:" + b"\n =?utf-8?q?a?=" * 600,
        b"To:" + b"\n =?utf-8?q?a?=" * 600 + b" <a@example.org>",
    ],
)
class EncodedWordCount(BudgetValidator):
    r"""Tags more than 100 encoded-words in one field, refuses more than 500.

    Python's `email` keeps the whole remainder of the field with each of them: 100 KB take 730 MB, 200 KB take 2.9 GB.
    RFC 2047 section 6.3 forbids to stop a message for a malformed one; this is about their number. Real mail has at
    most 36, even phishing 168. Bytes: `To: =?utf-8?q?a?=\n =?utf-8?q?a?=...` (600 times).
    """

    measure = "encoded-words"
    unit = "encoded-words"
    tag_above: int = 100
    reject_above: int = 500


@validator(
    id="date-too-long",
    rfc="RFC 5322 3.3",
    group="budget",
    action=REJECT,
    good=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000 (Greenwich Mean Time)"],
    bad=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000 (" + b"x" * 600 + b")"],
)
class DateTooLong(BudgetValidator):
    """Refuses a date field of more than 512 bytes.

    The rest is comment, and date parsers read comments slowly (Go CVE-2026-39820) or raise an error that nobody
    expects (Ruby stops at 128). Real mail has at most 42 bytes. Bytes: `Date: Thu, 22 Aug 2002 12:36:23 +0000 (xxx...)`.
    """

    measure = "date-bytes"
    unit = "bytes"
    reject_above: int = 512


@validator(
    id="date-comment-depth",
    rfc="RFC 5322 3.2.2",
    group="budget",
    action=REJECT,
    good=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000 (GMT (summer))"],
    bad=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000 ((((GMT))))", b"Date: ((((((((("],
)
class DateCommentDepth(BudgetValidator):
    """Refuses comments nested deeper than 3 in a date.

    Rust's time crate recursed over them until its stack was used up (CVE-2026-25727).
    Bytes: `Date: Thu, 22 Aug 2002 12:36:23 +0000 ((((GMT))))`.
    """

    measure = "date-comment-depth"
    unit = "levels"
    reject_above: int = 3


@validator(
    id="message-id-too-long",
    rfc="RFC 5322 2.1.1",
    group="budget",
    action=REJECT,
    good=[b"Message-ID: <" + b"a" * 116 + b"@example.org>"],
    bad=[
        Example(b"Message-ID: <" + b"a" * 300 + b"@example.org>", action=TAG),
        b"Message-ID: <" + b"a" * 2100 + b"@example.org>",
    ],
)
class MessageIdTooLong(BudgetValidator):
    """Tags a message identifier of more than 250 bytes, refuses one of more than 2048.

    Identifiers are keys of databases and of thread indexes, with fixed widths. Real mail has at most 116 bytes,
    phishing 1031. Bytes: `Message-ID: <aaaa...@example.org>` (2100 bytes).
    """

    measure = "message-id-bytes"
    unit = "bytes"
    tag_above: int = 250
    reject_above: int = 2048


@validator(
    id="references-too-long",
    rfc="RFC 5322 3.6.4",
    group="budget",
    action=REJECT,
    good=[b"References:" + b"\n <1@example.org>" * 60],
    bad=[
        Example(b"References:" + b"\n <1@example.org>" * 150, action=TAG),
        b"References:" + b"\n <1@example.org>" * 1100,
    ],
)
class ReferencesTooLong(BudgetValidator):
    r"""Tags more than 100 identifiers in one field, refuses more than 1000.

    Threading compares each with all others; 256 KB cost Python's `email` 3 seconds, 1 MB more than 15. Real mail has
    at most 25. Bytes: `References: <1@example.org>\n <1@example.org>...` (1100 times).
    """

    measure = "references"
    unit = "identifiers"
    tag_above: int = 100
    reject_above: int = 1000


@validator(
    id="parameter-count",
    rfc="RFC 2045 5.1",
    group="budget",
    action=REJECT,
    good=[b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes; reply-type=original"],
    bad=[b"Content-Type: text/plain" + b"".join(b";\n x%d=y" % i for i in range(140))],
)
class ParameterCount(BudgetValidator):
    r"""Refuses more than 128 parameters in one MIME field.

    Each is compared with all before it; 64 KB of them cost Python's `email` 12 seconds. Cyrus stops at 128, real mail
    has at most 3. Bytes: `Content-Type: text/plain;\n x0=y;\n x1=y...` (140 of them).
    """

    measure = "parameters"
    unit = "parameters"
    reject_above: int = 128


@validator(
    id="parameter-empty-run",
    rfc="RFC 2045 5.1",
    group="budget",
    action=REJECT,
    good=[b"Content-Type: text/plain; charset=utf-8;;"],
    bad=[b"Content-Type: text/plain" + b";" * 100],
)
class ParameterEmptyRun(BudgetValidator):
    """Refuses more than 20 empty parameters in one MIME field.

    16 KB of semicolons cost Python's `email` 11 to 40 seconds (CPython 87075); a spam of 2002 had 7138 of them.
    Bytes: `Content-Type: text/plain;;;;;;;;;;;;;;;;;;;;;;;`.
    """

    measure = "empty-parameters"
    unit = "empty parameters"
    reject_above: int = 20


@validator(
    id="parameter-continuation-bomb",
    rfc="RFC 2231 3",
    group="budget",
    action=REJECT,
    good=[b"Content-Disposition: attachment" + b"".join(b";\n filename*%d=x" % i for i in range(6))],
    bad=[b"Content-Disposition: attachment" + b"".join(b";\n filename*%d=x" % i for i in range(80))],
)
class ParameterContinuationBomb(BudgetValidator):
    r"""Refuses a parameter in more than 64 sections.

    They are sorted and joined with the square of their number, at delivery (Dovecot CVE-2026-27859).
    Bytes: `Content-Disposition: attachment; filename*0=x;\n filename*1=x...` (80 of them).
    """

    measure = "continuations"
    unit = "sections"
    reject_above: int = 64


@validator(
    id="parameter-continuation-index",
    rfc="RFC 2231 3",
    group="budget",
    action=REJECT,
    good=[b"Content-Disposition: attachment; filename*0=a; filename*1=b"],
    bad=[b"Content-Disposition: attachment; filename*0=a; filename*999999999=b"],
)
class ParameterContinuationIndex(BudgetValidator):
    """Refuses a parameter section with a number above 999.

    A parser that makes a table of that size for it has no memory left.
    Bytes: `Content-Disposition: attachment; filename*0=a; filename*999999999=b`.
    """

    measure = "continuation-index"
    unit = "as the number of a section"
    reject_above: int = 999


@validator(
    id="parameter-too-long",
    rfc="RFC 2045 5.1",
    group="budget",
    action=REJECT,
    good=[b'Content-Disposition: attachment; filename="' + b"a" * 250 + b'"'],
    bad=[
        Example(b'Content-Disposition: attachment; filename="' + b"a" * 3000 + b'"', action=QUARANTINE),
        b'Content-Disposition: attachment; filename="' + b"a" * 17_000 + b'"',
    ],
)
class ParameterTooLong(BudgetValidator):
    """Quarantines a MIME parameter of more than 2048 bytes, refuses one of more than 16 KiB.

    Readers keep it in buffers of fixed size: sendmail cuts at 2048 to protect them (MaxMimeHeaderLength). Real mail
    has at most 68 bytes. Bytes: `Content-Disposition: attachment; filename="aaaa..."` (3000 bytes).
    """

    measure = "parameter-bytes"
    unit = "bytes"
    quarantine_above: int = 2048
    reject_above: int = 16_384


@validator(
    id="mime-boundary-too-long",
    rfc="RFC 2046 5.1.1",
    group="budget",
    action=REJECT,
    good=[MULTIPART + b'"' + b"b" * 70 + b'"'],
    bad=[
        Example(MULTIPART + b'"' + b"b" * 90 + b'"', action=TAG),
        MULTIPART + b'"' + b"b" * 2100 + b'"',
    ],
)
class MimeBoundaryTooLong(BudgetValidator):
    """Tags a boundary of more than 70 bytes, refuses one of more than 2048.

    Postfix compares the first 2048 bytes only and other readers all: they see different parts. Some MTAs do exceed 70
    in their bounces. Bytes: `Content-Type: multipart/mixed; boundary="bbbb..."` (2100 bytes).
    """

    measure = "boundary-bytes"
    unit = "bytes"
    tag_above: int = 70
    reject_above: int = 2048
