"""Fields that should be there and are not, or are there and should not be."""

from __future__ import annotations

from forebay.api import ACCEPT, REJECT, TAG, DefectValidator, Example, validator

WHOLE = b"From: a@example.org\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\nMessage-ID: <1@example.org>\n"
DATE = b"Date: Thu, 22 Aug 2002 12:36:23 +0000\n"
BOUNCE = b"<>"


@validator(
    id="header-missing-from",
    rfc="RFC 5322 3.6",
    action=REJECT,
    null_sender=TAG,
    good=[WHOLE],
    bad=[b"Subject: x", Example(b"Subject: x", sender=BOUNCE, action=TAG)],
)
class HeaderMissingFrom(DefectValidator):
    r"""Refuses a message without From.

    A message has an author; programs that take this for granted read past the end of a list, and DMARC has nothing to
    look at. Some bounces lack it, so from the null sender it is tagged. Bytes: `Subject: x\n\n`.
    """

    defects = ("from-missing",)


@validator(
    id="header-missing-date",
    rfc="RFC 5322 3.6",
    action=TAG,
    strict=REJECT,
    null_sender=TAG,
    good=[WHOLE],
    bad=[b"From: a@example.org"],
)
class HeaderMissingDate(DefectValidator):
    r"""Tags a message without Date.

    It is required, yet banks, photo labs and health insurers send without one, and so do some bounces. Sorting and
    retention then fall back on whatever they find. Bytes: `From: a@example.org\n\n`.
    """

    defects = ("date-missing",)


@validator(
    id="header-missing-message-id",
    rfc="RFC 5322 3.6.4",
    action=TAG,
    null_sender=ACCEPT,
    good=[WHOLE],
    bad=[DATE, Example(DATE, sender=BOUNCE, action=ACCEPT)],
)
class HeaderMissingMessageId(DefectValidator):
    r"""Tags a message without Message-ID.

    Without one, resends of a message cannot be told from new ones. Every eleventh bounce has none, so from the null
    sender it is only counted. Bytes: `From: a@example.org\n\n`.
    """

    defects = ("message-id-missing",)


@validator(
    id="header-missing-destination",
    rfc="RFC 5322 3.6.3",
    action=ACCEPT,
    strict=TAG,
    good=[WHOLE, b"Bcc:"],
    bad=[b"From: a@example.org"],
)
class HeaderMissingDestination(DefectValidator):
    r"""Counts a message without To, Cc and Bcc.

    It is legal since RFC 2822, and older programs still do not expect it. Bytes: `From: a@example.org\n\n`.
    """

    defects = ("destination-missing",)


@validator(
    id="sender-required",
    rfc="RFC 5322 3.6.2",
    action=TAG,
    strict=REJECT,
    good=[b"From: a@example.org, b@example.org\nSender: a@example.org"],
    bad=[b"From: a@example.org, b@example.org"],
)
class SenderRequired(DefectValidator):
    """Tags several authors in From without a Sender.

    Nobody can say who sent it, so each program names another. Bytes: `From: a@example.org, b@example.org`.
    """

    defects = ("sender-missing",)


@validator(
    id="mime-version-missing",
    rfc="RFC 2045 4",
    action=TAG,
    null_sender=ACCEPT,
    good=[b"MIME-Version: 1.0\nContent-Type: text/plain", b"Subject: no MIME at all"],
    bad=[b"Content-Type: text/plain"],
)
class MimeVersionMissing(DefectValidator):
    """Tags MIME fields without MIME-Version.

    They have no meaning then: one program shows the raw text, another decodes it. RFC 7103 section 8.1 reads on, and
    looks closer; every twelfth legitimate message is like that. Bytes: `Content-Type: text/html`.
    """

    defects = ("mime-version-missing",)


@validator(
    id="resent-block-malformed",
    rfc="RFC 5322 3.6.6",
    action=TAG,
    good=[b"Resent-From: a@example.org\nResent-" + DATE + b"Resent-To: b@example.org"],
    bad=[b"Resent-To: b@example.org", b"Resent-From: a@example.org"],
)
class ResentBlockMalformed(DefectValidator):
    """Tags Resent- fields without Resent-From or Resent-Date.

    The block does not say who resent the message, or when. Bytes: `Resent-To: b@example.org`.
    """

    defects = ("resent-incomplete",)


@validator(
    id="return-path-multiple",
    rfc="RFC 5321 4.4",
    action=TAG,
    good=[WHOLE],
    bad=[b"Return-Path: <a@example.org>", b"Return-Path: <a@example.org>\nReturn-Path: <b@example.org>"],
)
class ReturnPathMultiple(DefectValidator):
    """Tags a Return-Path that came with the message, one or several.

    Final delivery adds one, so that what came with the message is a claim of its sender: a program that takes the wrong
    one sends its bounces there. RFC 7103 section 7.5.3 ignores all but the topmost. Postfix drops them before a milter
    sees them. Bytes: `Return-Path: <a@example.org>`.
    """

    defects = ("return-path-present",)
