"""A header that ends in the wrong way: seen in the first bytes of what the MTA takes for the body."""

from __future__ import annotations

from forebay.api import REJECT, TAG, DefectValidator, Example, validator

FIELDS = b"From: a@example.org\nSubject: x\n"


@validator(
    id="header-missing-colon",
    rfc="RFC 5322 2.2",
    group="budget",
    action=REJECT,
    good=[
        Example(FIELDS, body=b"Dear all,\r\n\r\nTo: nobody in particular\r\n"),
        Example(FIELDS, body=b"about the football\r\n"),
    ],
    bad=[Example(FIELDS, body=b"about the football\r\nTo: b@example.org\r\nDate: x\r\n\r\nText\r\n")],
)
class HeaderMissingColon(DefectValidator):
    r"""Refuses a header that is cut short by a line which is no field.

    The MTA ends the header at such a line; others skip it, join it to the line above, or see fields that no filter has
    looked at. RFC 7103 section 7.2 names rejection for it. Whether the milter sees it depends on the MTA: Postfix
    hands over the rest as body. Bytes: `Subject: x\nabout the football\nTo: b@example.org\n`.
    """

    defects = ("line-without-colon",)


@validator(
    id="header-leading-continuation",
    rfc="RFC 5322 2.2.3",
    action=REJECT,
    good=[Example(FIELDS, body=b" an indented first paragraph\r\n")],
    bad=[Example(body=b" folded of nothing\r\nSubject: x\r\n\r\nText\r\n")],
)
class HeaderLeadingContinuation(DefectValidator):
    r"""Refuses a header that begins with a blank: a folded line of no field.

    A parser appends it to a field that does not exist yet. The MTA takes all that follows for the body, so that the
    fields there pass unseen. Bytes: ` folded of nothing\nSubject: x\n`.
    """

    defects = ("leading-continuation",)


@validator(
    id="header-body-separator-missing",
    rfc="RFC 5322 3.5",
    action=TAG,
    good=[Example(FIELDS, body=b"Text\r\n"), Example(FIELDS)],
    bad=[Example(FIELDS, body=b"To: b@example.org\r\nCc: c@example.org\r\n")],
)
class HeaderBodySeparatorMissing(DefectValidator):
    r"""Tags a message that ends inside its header.

    A header without a body is legal, a body that is nothing but fields is not likely: the empty line was lost. A parser
    that reads an attachment as header took more than twenty minutes (Ruby mail 205).
    Bytes: `From: a@example.org\nSubject: x\n`, end of message.
    """

    defects = ("separator-missing",)
