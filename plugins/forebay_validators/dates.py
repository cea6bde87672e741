"""Dates."""

from __future__ import annotations

from forebay.api import ACCEPT, QUARANTINE, TAG, DefectValidator, validator


@validator(
    id="date-unparsable",
    rfc="RFC 5322 3.3",
    action=TAG,
    strict=QUARANTINE,
    null_sender=TAG,
    good=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000", b"Date: 22 Aug 02 12:36 EST"],
    bad=[b"Date: yesterday", b"Date: 2002-08-22T12:36:23Z"],
)
class DateUnparsable(DefectValidator):
    """Tags a date that is none, not even an obsolete one.

    Programs sort by 1970, by now or not at all. RFC 7103 section 7.5.2 takes the date of the topmost Received. One
    legitimate bounce in eighty has one. Bytes: `Date: yesterday`.
    """

    defects = ("date-unparsable",)


@validator(
    id="date-obsolete",
    rfc="RFC 5322 4.3",
    action=ACCEPT,
    strict=TAG,
    good=[b"Date: Thu, 22 Aug 2002 12:36:23 +0000"],
    bad=[b"Date: 22 Aug 02 12:36 EST"],
)
class DateObsolete(DefectValidator):
    """Counts a date in an obsolete form: two digits of year, a zone by name.

    Every reader knows it, and old mail programs send it (example in RFC 5322 A.6.2). Bytes: `Date: 22 Aug 02 12:36 EST`.
    """

    defects = ("date-obsolete",)


@validator(
    id="date-out-of-range",
    rfc="RFC 5322 3.3",
    action=TAG,
    good=[b"Date: Thu, 29 Feb 2024 12:36:23 +0000"],
    bad=[b"Date: Thu, 32 Aug 2002 12:36:23 +0000", b"Date: Sat, 1 Jan 9999 00:00:00 +0000"],
)
class DateOutOfRange(DefectValidator):
    """Tags a date that does not exist, or is far from any mail.

    It overflows 32-bit time and raises errors in the arithmetic of others. Bytes: `Date: Thu, 32 Aug 2002 12:36:23 +0000`.
    """

    defects = ("date-out-of-range",)
