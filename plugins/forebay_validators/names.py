"""Field names, and lines that are nearly fields."""

from __future__ import annotations

from forebay.api import REJECT, TAG, BudgetValidator, DefectValidator, validator


@validator(
    id="header-name-invalid",
    rfc="RFC 5322 2.2",
    group="budget",
    action=REJECT,
    good=[b"X-Any-Thing_at.all!: yes"],
    bad=[b"Fr\x01om: a@example.org", b": no name", b"Sub ject: blank inside"],
)
class HeaderNameInvalid(DefectValidator):
    r"""Refuses a field whose name is empty or holds a byte outside 33 to 126.

    It is no header field: one parser skips it, one ends the header there, and one crashed on it (CVE-2011-1929).
    Names stay ASCII under SMTPUTF8 too (RFC 6532 section 3). Bytes: `Fr\x01om: a@example.org`.
    """

    defects = ("name-invalid",)


@validator(
    id="header-name-too-long",
    rfc="RFC 5322 2.1.1",
    group="budget",
    action=REJECT,
    good=[b"X-" + b"a" * 107 + b": the longest name seen in real mail"],
    bad=[b"X-" + b"a" * 300 + b": name"],
)
class HeaderNameTooLong(BudgetValidator):
    """Refuses a field name of more than 256 bytes.

    Names of such length overflow tables and log lines, and sendmail applies none of its rules to names above 100.
    The longest in 18,000 real messages had 109. Bytes: `X-aaaa...(300): name`.
    """

    measure = "name-bytes"
    unit = "bytes"
    reject_above: int = 256


@validator(
    id="header-space-before-colon",
    rfc="RFC 5322 4.5",
    action=TAG,
    good=[b"MIME-Version: 1.0"],
    bad=[b"MIME-Version : 1.0", b"From  : a@example.org"],
)
class HeaderSpaceBeforeColon(DefectValidator):
    """Tags a blank between a field's name and its colon.

    It is the obsolete form of RFC 5322 section 4.5 (example in A.6.3). Some programs read the field, some take the
    name to end with a blank and find no such field. RFC 7103 section 7.4 removes the blank.
    Bytes: `MIME-Version : 1.0`.
    """

    defects = ("name-blank-before-colon",)


@validator(
    id="mbox-from-line",
    rfc="RFC 4155 appendix A",
    action=TAG,
    good=[b"From: a@example.org\nSubject: x"],
    bad=[b"From a@example.org Thu Aug 22 12:36:23 2002\nSubject: x"],
)
class MboxFromLine(DefectValidator):
    """Tags an mbox separator at the top of the header.

    It comes from archives and from pipes to sendmail, and is no field; a strict parser ends the header with it.
    Postfix turns it into `X-Mailbox-Line`. Bytes: `From a@example.org Thu Aug 22 12:36:23 2002`.
    """

    defects = ("mbox-from",)


@validator(
    id="header-whitespace-only-continuation",
    rfc="RFC 5322 3.2.2",
    action=TAG,
    good=[b"Subject: one\n two"],
    bad=[b"Subject: one\n \n two", b"Subject: one\n\t \n"],
)
class HeaderWhitespaceOnlyContinuation(DefectValidator):
    r"""Tags a folded line that holds blanks only.

    A reader that strips blanks takes it for the empty line that ends the header, and the fields below it for text.
    It is obsolete folding (RFC 5322 section 4.2); RFC 7103 section 7.3 treats it as absent.
    Bytes: `Subject: one\n \n two`.
    """

    defects = ("blank-fold",)


@validator(
    id="header-empty-body",
    rfc="RFC 5322 3.6",
    action=TAG,
    good=[b"Subject:", b"X-Empty:", b"Bcc:"],
    bad=[b"Cc: ", b"MIME-Version:"],
)
class HeaderEmptyBody(DefectValidator):
    """Tags a structured field without a value.

    Its grammar asks for at least one element; parsers that expect one index past the end. Mail programs do send an
    empty Cc, so it is never more than a tag; for From see address-empty-field. Bytes: `Cc: `.
    """

    defects = ("value-empty",)
