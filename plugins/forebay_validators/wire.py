"""Bytes that no header may hold: NUL, a CR or LF that ends no line, control characters, undeclared 8-bit text."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, Example, validator

IDENTIFIERS = ("message-id", "in-reply-to", "references", "resent-message-id", "content-id")


@validator(
    id="nul-byte",
    rfc="RFC 5322 4.1",
    group="budget",
    action=REJECT,
    good=[b"Subject: no zero in here"],
    bad=[b"From: a\x00b@example.org", b"Subject: one\x00two"],
)
class NulByte(DefectValidator):
    r"""Refuses a NUL byte anywhere in the header.

    A parser in C ends the string there and one in another language reads on, so that two programs see two
    addresses; Dovecot died of one in a field name (CVE-2011-1929). RFC 5322 allows it in obsolete text only, RFC 7103
    section 7.6 takes it for malice. Bytes: `From: a\x00b@example.org`.
    """

    defects = ("nul",)


@validator(
    id="bare-cr",
    rfc="RFC 5322 2.2",
    group="budget",
    action=REJECT,
    good=[b"Subject: folded\r\n and whole\r\n"],
    bad=[b"Subject: a\rX: b"],
)
class BareCr(DefectValidator):
    r"""Refuses a CR that is not followed by LF.

    Some parsers take it for the end of a line: a field then hides inside another, libetpan loops for ever on it, and
    a router's memory grew with the square of their number. RFC 7103 section 6 refuses what is not normalised.
    Bytes: `Subject: a\rX: b`.
    """

    defects = ("bare-cr",)


@validator(
    id="bare-lf",
    rfc="RFC 5321 2.3.8",
    group="budget",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"Subject: one\r\nTo: a@example.org\r\n", b"Subject: one\nTo: a@example.org\n"],
    bad=[b"Subject: one\nX-Two: two\r\nTo: a@example.org\r\n"],
)
class BareLf(DefectValidator):
    r"""Quarantines a line that ends with LF alone, in a header whose other lines end with CRLF.

    What one server takes for text ends the message for the next one: SMTP smuggling (CVE-2023-51764, CVE-2023-51765).
    An MTA normalises line ends before a milter sees them; in a file they are visible.
    Bytes: `Subject: one\nX-Two: two\r\n`.
    """

    defects = ("bare-lf",)


@validator(
    id="control-char",
    rfc="RFC 5322 4.1",
    action=TAG,
    strict=REJECT,
    good=[b"Subject: a tab\tis no control character"],
    bad=[b"Subject: \x1b[2J", b"Subject: rub\x7fout"],
)
class ControlChar(DefectValidator):
    r"""Tags a control character other than tab, CR, LF and NUL.

    It is legal in obsolete text only. On a terminal or in a log it moves the cursor and hides what follows.
    Bytes: `Subject: \x1b[2J`.
    """

    defects = ("control",)


@validator(
    id="message-id-control-char",
    rfc="RFC 5322 3.6.4",
    fields=IDENTIFIERS,
    action=QUARANTINE,
    strict=REJECT,
    good=[b"Message-ID: <1@example.org>", b"Subject: \x07"],
    bad=[b"Message-ID: <1\x07@example.org>"],
)
class MessageIdControlChar(DefectValidator):
    r"""Quarantines a control character in a message identifier.

    No program makes one; identifiers become file names, database keys and log lines.
    Bytes: `Message-ID: <1\x07@example.org>`.
    """

    defects = ("control",)


@validator(
    id="raw-8bit",
    rfc="RFC 5322 2.2",
    action=TAG,
    good=[
        b"Subject: =?utf-8?q?caf=C3=A9?=",
        Example(b"Subject: caf\xc3\xa9", smtputf8=True),
    ],
    bad=[b"Subject: caf\xe9", b"Subject: caf\xc3\xa9"],
)
class Raw8bit(DefectValidator):
    r"""Tags a byte above 127 where the message was not sent with SMTPUTF8.

    Each reader guesses another character set. It is common in spam and in old mail, and harmless in text; inside an
    address see raw-8bit-address. RFC 7103 section 7.7 converts it. Bytes: `Subject: caf\xe9`.
    """

    defects = ("8bit",)


@validator(
    id="utf8-invalid",
    rfc="RFC 6532 3.1",
    action=TAG,
    good=[b"Subject: caf\xc3\xa9"],
    bad=[b"Subject: caf\xe9", b"Subject: \xed\xa0\x80"],
)
class Utf8Invalid(DefectValidator):
    r"""Tags bytes above 127 that are not UTF-8: cut short, overlong or a surrogate.

    Filters and readers decode them differently. Nearly all of it is text in an undeclared character set.
    Bytes: `Subject: caf\xe9`.
    """

    defects = ("utf8-invalid",)


@validator(
    id="smtputf8-invalid",
    rfc="RFC 6532 3.1",
    action=QUARANTINE,
    good=[Example(b"Subject: caf\xc3\xa9", smtputf8=True), b"Subject: caf\xe9"],
    bad=[Example(b"Subject: caf\xe9", smtputf8=True), Example(b"Subject: \xc0\xaf", smtputf8=True)],
)
class Smtputf8Invalid(DefectValidator):
    r"""Quarantines bytes that are not UTF-8 in a message that was declared to be UTF-8.

    The sender promised SMTPUTF8 and broke it: an overlong form such as `\xc0\xaf` (a slash) passes one decoder's
    checks and comes out of another's. Bytes: `Subject: \xc0\xaf`.
    """

    defects = ("smtputf8-invalid",)
