"""What one program reads as one thing and another as another: the fields that decide who wrote, and what is run.

The attacks are those of "Composition Kills" (USENIX Security 2020) and "Inbox Invasion" (CCS 2024): the filter checks
the one reading and the recipient sees the other.
"""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, Example, validator

IDS = b"In-Reply-To: <1@example.org>\nReferences: <1@example.org>\n"


@validator(
    id="header-duplicate-from",
    rfc="RFC 5322 3.6",
    group="ambiguity",
    action=REJECT,
    good=[b"From: a@example.org\nReply-To: b@example.org"],
    bad=[b"From: a@example.org\nFrom: b@example.net", b"From: a@example.org\nFROM: a@example.org"],
)
class HeaderDuplicateFrom(DefectValidator):
    r"""Refuses several From fields.

    SPF, DKIM and DMARC look at one of them and the reader is shown the other (CERT VU#517845). Large providers refuse
    it as well. Bytes: `From: a@example.org\nFrom: b@example.net`.
    """

    defects = ("from-repeated",)


@validator(
    id="header-duplicate-singleton",
    rfc="RFC 5322 3.6",
    fields=("sender", "date", "message-id", "subject"),
    action=REJECT,
    good=[b"Subject: x\nSubject: x", b"To: a@example.org\nTo: b@example.org", IDS * 2],
    bad=[
        b"Subject: one\nSubject: two",
        b"Sender: a@example.org\nSender: b@example.net",
        b"Message-ID: <1@example.org>\nMessage-ID: <2@example.org>",
        b"Date: Thu, 22 Aug 2002 12:36:23 +0000\nDate: Fri, 23 Aug 2002 12:36:23 +0000",
    ],
)
class HeaderDuplicateSingleton(DefectValidator):
    r"""Refuses Sender, Date, Message-ID or Subject repeated with another value.

    Each may stand once. One program shows the first and another the last, and a signature covers one of them.
    RFC 7103 section 7.5 puts rejection first, as large providers do. Bytes: `Subject: one\nSubject: two`.
    """

    defects = ("singleton-differs",)


@validator(
    id="header-duplicate-reply-to",
    rfc="RFC 5322 3.6",
    fields=("reply-to",),
    action=QUARANTINE,
    strict=REJECT,
    good=[b"Reply-To: a@example.org\nReply-To: a@example.org", b"Reply-To: a@example.org, b@example.org"],
    bad=[b"Reply-To: a@example.org\nReply-To: b@example.net"],
)
class HeaderDuplicateReplyTo(DefectValidator):
    r"""Quarantines Reply-To repeated with another value.

    It may stand once. The answer goes to whoever the program finds first, or last, and a parser that keeps one field
    of a name loses the other. Bytes: `Reply-To: a@example.org\nReply-To: b@example.net`.
    """

    defects = ("singleton-differs",)


@validator(
    id="header-repeated-singleton",
    rfc="RFC 5322 3.6",
    action=TAG,
    strict=REJECT,
    good=[b"To: a@example.org\nCc: b@example.org"],
    bad=[b"Subject: x\nSubject: x", b"To: a@example.org\nTo: b@example.org", IDS * 2],
)
class HeaderRepeatedSingleton(DefectValidator):
    r"""Tags a field repeated that may stand once, where the value is the same or the repetition harmless.

    Old git-send-email repeated its threading fields, and others To and Cc, which obsolete mail joins
    (RFC 5322 section 4.5.3). Bytes: `References: <1@example.org>\nReferences: <1@example.org>`.
    """

    defects = ("singleton-repeated",)


@validator(
    id="header-duplicate-mime",
    rfc="RFC 2045 3",
    group="ambiguity",
    action=REJECT,
    good=[b"Content-Type: text/plain\nContent-Type: text/plain"],
    bad=[
        b"Content-Type: text/plain\nContent-Type: text/html",
        b"Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit",
    ],
)
class HeaderDuplicateMime(DefectValidator):
    r"""Refuses Content-Type or Content-Transfer-Encoding repeated with another value.

    The virus scanner decodes by one of them and the mail program by the other ("Inbox Invasion").
    Bytes: `Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit`.
    """

    defects = ("mime-differs",)


@validator(
    id="header-repeated-mime",
    rfc="RFC 2045 3",
    action=TAG,
    strict=QUARANTINE,
    good=[b"Content-Type: text/plain\nContent-ID: <1@example.org>"],
    bad=[b"MIME-Version: 1.0\nMIME-Version: 1.0", b"Content-Type: text/plain\nContent-Type: text/plain"],
)
class HeaderRepeatedMime(DefectValidator):
    r"""Tags a MIME field repeated with the same value, or one that decides nothing.

    Old mail programs did it (Netscape 4.5, ELM, VM). Bytes: `MIME-Version: 1.0\nMIME-Version: 1.0`.
    """

    defects = ("mime-repeated",)


@validator(
    id="list-header-repeated",
    rfc="RFC 2369 3",
    action=TAG,
    good=[b"List-Post: <mailto:a@example.org>\nList-Help: <mailto:b@example.org>"],
    bad=[b"List-Unsubscribe: <mailto:a@example.org>\nList-Unsubscribe: <mailto:b@example.org>"],
)
class ListHeaderRepeated(DefectValidator):
    """Tags a List- field repeated: each must not stand more than once.

    One-click unsubscription then goes wherever the program looks first.
    Bytes: `List-Unsubscribe: <mailto:a@example.org>` twice.
    """

    defects = ("list-repeated",)


@validator(
    id="from-multiple-mailboxes",
    rfc="RFC 5322 3.6.2",
    action=QUARANTINE,
    good=[b"From: a@example.org", b"To: a@example.org, b@example.org"],
    bad=[b"From: a@example.org, b@example.net\nSender: a@example.org"],
)
class FromMultipleMailboxes(DefectValidator):
    """Quarantines several mailboxes in From or Sender.

    In From it is legal, and was never met in legitimate mail. DMARC cannot be evaluated, and one program shows the first
    author, another the last (CERT VU#517845). Bytes: `From: a@example.org, b@example.net`.
    """

    defects = ("mailbox-multiple",)


@validator(
    id="group-syntax-in-from",
    rfc="RFC 6854 1",
    group="ambiguity",
    action=QUARANTINE,
    good=[b"To: undisclosed-recipients:;"],
    bad=[b"From: Managing Partners:ben@example.com,carol@example.com;", b"Sender: undisclosed:;"],
)
class GroupSyntaxInFrom(DefectValidator):
    """Quarantines a group in From or Sender.

    RFC 6854 allows it for limited use, with care. There is no author whom DMARC could check, and the group's name can
    be an address that the reader then believes. Bytes: `From: boss@example.org: a@example.net;`.
    """

    defects = ("group",)


@validator(
    id="encoded-word-in-addr-spec",
    rfc="RFC 2047 5",
    group="ambiguity",
    action=QUARANTINE,
    author_action=REJECT,
    strict=REJECT,
    good=[b"From: =?utf-8?q?caf=C3=A9?= <a@example.org>"],
    bad=[
        b"From: <=?utf-8?q?a=40b?=@example.org>",
        Example(b"To: <=?utf-8?q?a=40b?=@example.org>", action=QUARANTINE),
    ],
)
class EncodedWordInAddrSpec(DefectValidator):
    """Quarantines an encoded-word inside an address, refuses it in From and Sender.

    It must not stand there. Who decodes first and parses then finds another address than who parses first.
    Bytes: `From: <=?utf-8?q?a=40b?=@example.org>`.
    """

    defects = ("addr-spec-encoded-word",)
