"""How large a header may be, and how many of one kind its fields may be."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Le

from forebay.api import QUARANTINE, REJECT, TAG, BudgetValidator, Example, validator


@validator(
    id="header-line-too-long",
    rfc="RFC 5322 2.1.1",
    group="budget",
    action=REJECT,
    good=[b"Subject: " + b"x" * 980, b"References: " + b"\n ".join([b"<1@example.org>"] * 90)],
    bad=[Example(b"Subject: " + b"x" * 1200, action=TAG), b"Subject: " + b"x" * 9000],
)
class HeaderLineTooLong(BudgetValidator):
    """Tags a line of more than 998 bytes, refuses one of more than 8192.

    A program with a line buffer cuts there, and what stands behind the cut is another line to it. Legitimate mail
    exceeds 998 (unfolded Received, References and DKIM fields) and stays far below 8192.
    Bytes: `Subject: xxxx...` (9000 bytes without a fold).
    """

    measure = "line-bytes"
    unit = "bytes"
    tag_above: int = 998
    reject_above: int = 8192


@validator(
    id="header-field-too-long",
    rfc="RFC 5322 2.1.1",
    group="budget",
    action=REJECT,
    good=[b"X-Exchange-Report: " + b"x" * 70 + (b"\n " + b"x" * 70) * 130],
    bad=[
        Example(b"X-Long:" + (b"\n " + b"x" * 70) * 300, action=QUARANTINE),
        b"X-Long:" + (b"\n " + b"x" * 70) * 900,
    ],
)
class HeaderFieldTooLong(BudgetValidator):
    r"""Quarantines a field of more than 16 KiB, refuses one of more than 59,000 bytes.

    Parsers whose time or memory grows with the square begin to hurt at 16 KiB and are dead at 64. Postfix cuts a
    field at 60,000 bytes, so that a longer one reaches nobody whole; behind Sendmail one of more than 64 KiB makes the
    sender try until it gives up. Real mail stays below 10 KB. Bytes: `To: a@example.org,\n b@example.org,...` (59 KB).
    """

    measure = "field-bytes"
    unit = "bytes"
    quarantine_above: int = 16_384
    reject_above: int = 59_000


@validator(
    id="address-header-too-long",
    rfc="RFC 5322 3.6.2",
    group="budget",
    action=REJECT,
    good=[b"From: " + b"A" * 200 + b" <a@example.org>", b"To: " + b"a@example.org,\n " * 400 + b"b@example.org"],
    bad=[b"From: " + b"word " * 900 + b"<a@example.org>", b"Reply-To:" + b"\n a@example.org," * 400],
)
class AddressHeaderTooLong(BudgetValidator):
    """Refuses a From, Sender or Reply-To of more than 4 KiB.

    One mailbox never needs it: the longest in 12,000 legitimate messages had 126 bytes, and one of 126,806 was met in
    the wild. Other address fields have header-field-too-long. Bytes: `From: word word word ...(4.5 KB) <a@example.org>`.
    """

    measure = "author-field-bytes"
    unit = "bytes"
    reject_above: int = 4096


@validator(
    id="header-total-too-large",
    rfc="RFC 5322 2.1.1",
    group="budget",
    action=REJECT,
    good=[b"".join(b"X-%d: %s\n" % (i, b"x" * 900) for i in range(60))],
    bad=[
        Example(b"".join(b"X-%d: %s\n" % (i, b"x" * 900) for i in range(80)), action=TAG),
        b"".join(b"X-%d: %s\n" % (i, b"x" * 900) for i in range(300)),
    ],
)
class HeaderTotalTooLarge(BudgetValidator):
    r"""Tags a header of more than 64 KiB, refuses one of more than 256 KiB.

    A router holds the header in memory, often several times over. Sendmail has stopped at 32 KiB since 8.10 against
    exactly this; the largest of 14,000 real headers had 17 KB, of recent spam 133. Bytes: `X-1: ...\nX-2: ...` (257 KiB).
    """

    measure = "header-bytes"
    unit = "bytes"
    tag_above: int = 65_536
    reject_above: int = 262_144


@validator(
    id="header-count",
    rfc="RFC 5322 3.6",
    group="budget",
    action=REJECT,
    good=[b"X-A: b\n" * 120],
    bad=[Example(b"X-A: b\n" * 400, action=QUARANTINE), b"X-A: b\n" * 1100],
)
class HeaderCount(BudgetValidator):
    r"""Quarantines more than 300 fields, refuses more than 1000.

    Lists of fields are walked again for each field: Dovecot took 18 minutes for 500,000 (CVE-2024-23184), and a body
    read as header more than 20. Real mail has at most 69, spam 125. Bytes: `X-A: b\nX-A: b\n...` (1100 times).
    """

    measure = "header-fields"
    unit = "fields"
    quarantine_above: int = 300
    reject_above: int = 1000


@validator(
    id="header-fold-count",
    rfc="RFC 5322 2.2.3",
    group="budget",
    action=REJECT,
    good=[b"To:" + b"\n a@example.org," * 120 + b"\n b@example.org"],
    bad=[b"X-Folds:" + b"\n x" * 2100],
)
class HeaderFoldCount(BudgetValidator):
    r"""Refuses a field of more than 2000 lines.

    Programs that join a field line by line copy it each time; Exim's count of them overflowed (CVE-2020-28020).
    Real mail has at most 107 lines, spam 382. Bytes: `X-Folds:\n x\n x\n x...` (2100 lines).
    """

    measure = "fold-lines"
    unit = "lines"
    reject_above: int = 2000


@validator(
    id="address-header-count",
    rfc="RFC 5322 3.6",
    group="budget",
    action=REJECT,
    good=[b"To: a@example.org\nTo: b@example.org"],
    bad=[b"To: a@example.org\n" * 30],
)
class AddressHeaderCount(BudgetValidator):
    r"""Refuses more than 20 address fields of one name.

    100,000 To lines cost Dovecot 12 seconds, 500,000 of them 18 minutes (CVE-2024-23184), and its advice was to
    restrict them before it. Real mail has at most 2. Bytes: `To: a@example.org\nTo: a@example.org\n...` (30 times).
    """

    measure = "address-field-repeats"
    unit = "fields"
    reject_above: int = 20


@validator(
    id="received-count",
    rfc="RFC 5321 6.3",
    group="budget",
    action=REJECT,
    good=[b"Received: from a by b; Thu, 22 Aug 2002 12:36:23 +0000\n" * 30],
    bad=[
        Example(b"Received: from a by b; Thu, 22 Aug 2002 12:36:23 +0000\n" * 60, action=TAG),
        b"Received: from a by b; Thu, 22 Aug 2002 12:36:23 +0000\n" * 101,
    ],
)
class ReceivedCount(BudgetValidator):
    """Tags more than 50 Received fields, refuses more than 100.

    The message goes round in a loop, and grows each time. Real mail has at most 15. Bytes: 101 lines `Received: from ...`.
    """

    measure = "received-fields"
    unit = "fields"
    tag_above: int = 50
    reject_above: int = 100


@validator(
    id="dkim-signature-count",
    rfc="RFC 6376 6.1",
    group="budget",
    action=REJECT,
    good=[b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=; b=\n" * 4],
    bad=[
        Example(b"DKIM-Signature: v=1; d=example.org\n" * 12, action=TAG),
        b"DKIM-Signature: v=1; d=example.org\n" * 60,
    ],
)
class DkimSignatureCount(BudgetValidator):
    """Tags more than 10 DKIM signatures, refuses more than 50.

    Each costs whoever verifies it a DNS query and a public-key operation, at the sender's choice.
    Bytes: 60 lines `DKIM-Signature: v=1; d=example.org`.
    """

    measure = "dkim-fields"
    unit = "fields"
    tag_above: int = 10
    reject_above: int = 50


@validator(
    id="header-reading-effort",
    rfc="RFC 5322 3.4",
    group="budget",
    action=REJECT,
    good=[
        b"Cc:" + b"\n A. U. Thor <a@example.org>," * 126 + b"\n b@example.org",
        b"To: a@example.org" + b",\n Doe <d@example.org>" * 900,
    ],
    bad=[
        b"To: " + b"g: a@b;," * 900,
        b"To:" + b"\n A. U. Thor <a@b.c>," * 200 + b" b@b.c\nCc:" + b"\n A. U. Thor <a@b.c>," * 200 + b" b@b.c",
        b"In-Reply-To:" + b'\n "<" "<" "<" "<" "<" "<"' * 400,
        b"X-Names:" + b"\n =?utf-8?q?=40?=" * 400 + b"\nX-Others:" + b"\n =?utf-8?q?=40?=" * 400,
    ],
)
class HeaderReadingEffort(BudgetValidator):
    """Refuses a header that takes more than 3,000 steps to read, all fields together.

    Every parser has its price for each thing that it meets. Where many fields are just below their own limits, it is
    paid for each: this is what keeps a flood of the worst messages cheap, for routers and for forebay. In an address list
    each byte that means something is a step: a quotation mark, a comma, the first letter of a word. Elsewhere quotation
    marks and parentheses are. A message identifier is two, a usual mailbox three, an encoded-word four; a usual header
    takes none. That makes 1,000 usual or 300 odd mailboxes; real mail has at most 126 in a field. No address list is read
    further than that: who switches this off, or only tags, lets pass what nobody has read.
    Bytes: `To: g: a@b;,g: a@b;,...` (900 times).
    """

    measure = "effort"
    unit = "steps to read the header so far"
    reject_above: Annotated[int, Le(3000)] = 3000
