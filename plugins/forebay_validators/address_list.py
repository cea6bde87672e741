"""The list of addresses: its separators, its empty places, its groups."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, Example, validator

BOUNCE = b"<>"


@validator(
    id="address-semicolon-separator",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b"To: a@example.org, b@example.org", b"To: friends: a@example.org;"],
    bad=[b"To: a@example.org; b@example.org"],
)
class AddressSemicolonSeparator(DefectValidator):
    """Tags a semicolon where a comma belongs.

    It ends a group and nothing else: one parser gives up there, another reads on. Outlook shows it between addresses, and
    people copy it. Bytes: `To: a@example.org; b@example.org`.
    """

    defects = ("semicolon-separator",)


@validator(
    id="address-empty-element",
    rfc="RFC 5322 4.4",
    group="address",
    action=TAG,
    good=[b"To: a@example.org, b@example.org"],
    bad=[b"To: a@example.org,,b@example.org", b"To: a@example.org,"],
)
class AddressEmptyElement(DefectValidator):
    """Tags an empty element of an address list.

    It is obsolete, and legal to read (example in A.6.1). Many in a row are refused: address-empty-element-run.
    Bytes: `To: a@example.org,,b@example.org`.
    """

    defects = ("element-empty",)


@validator(
    id="address-empty-angle",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    author_action=QUARANTINE,
    null_sender=TAG,
    good=[b"From: A <a@example.org>"],
    bad=[b"From: <>", Example(b"From: <>", sender=BOUNCE, action=TAG), Example(b"To: <>", action=TAG)],
)
class AddressEmptyAngle(DefectValidator):
    """Tags empty angle brackets, quarantines them in From and Sender.

    They belong into Return-Path only: a program that asks for the first mailbox's domain finds none. Every eighteenth
    legitimate bounce has them in From, so from the null sender they are tagged there too. Bytes: `From: <>`.
    """

    defects = ("angle-empty",)


@validator(
    id="address-empty-field",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    author_action=REJECT,
    null_sender=TAG,
    good=[b"To: undisclosed-recipients:;", b"Bcc:"],
    bad=[b"From:", b"From: (nobody)", Example(b"To:", action=TAG), Example(b"From:", sender=BOUNCE, action=TAG)],
)
class AddressEmptyField(DefectValidator):
    """Tags an address field without an address, refuses it in From and Sender.

    A program that asks for the first author reads past the end of an empty list. Mail programs do write an empty To and
    Cc; Bcc may be empty. Bytes: `From:`.
    """

    defects = ("list-empty",)


@validator(
    id="group-unterminated",
    rfc="RFC 5322 3.4",
    group="address",
    action=TAG,
    author_action=REJECT,
    strict=QUARANTINE,
    good=[b"To: friends: a@example.org;"],
    bad=[Example(b"To: friends: a@example.org", action=TAG), b"From: friends: a@example.org"],
)
class GroupUnterminated(DefectValidator):
    """Tags a group that is not closed, refuses it in From and Sender.

    Parsers look for its semicolon again from each of its members: quadratic in Python's `getaddresses`.
    Bytes: `To: friends: a@example.org`.
    """

    defects = ("group-unterminated",)


@validator(
    id="group-name-invalid",
    rfc="RFC 5322 3.4",
    group="address",
    action=QUARANTINE,
    good=[
        b"To: undisclosed-recipients:;",
        b"To: Friends of J. Doe: a@example.org;",
        b'To: "a@example.org": b@example.org;',
    ],
    bad=[b"To: a@example.org: b@example.org;", b"To: (friends): a@example.org;", b"To: friends.: a@example.org;"],
)
class GroupNameInvalid(DefectValidator):
    """Quarantines a group without a name, or whose name has an @, or a dot at its edge.

    Python's `email` takes the name with an @ for the recipient, where others take the members, and falls over the rest: an
    IndexError, an AttributeError. Bytes: `To: a@example.org: b@example.org;`.
    """

    defects = ("group-name-invalid",)


@validator(
    id="group-in-group",
    rfc="RFC 5322 3.4",
    group="address",
    action=REJECT,
    good=[b"To: friends: a@example.org;, family: b@example.org;"],
    bad=[b"To: out: in: a@example.org;;"],
)
class GroupInGroup(DefectValidator):
    """Refuses a group inside a group, and says where.

    The grammar has none, and recursive parsers follow it until their stack is used up. group-nested is the same as a
    number. Bytes: `To: out: in: a@example.org;;`.
    """

    defects = ("group-nested",)


@validator(
    id="address-control-char",
    rfc="RFC 5322 4.1",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: A\tB <a@example.org>"],
    bad=[b"To: A\x07B <a@example.org>"],
)
class AddressControlChar(DefectValidator):
    r"""Quarantines a control character in an address field.

    Each was a syntax error with a diagram of its own in a router that died of them; others end a string there.
    Bytes: `To: A\x07B <a@example.org>`.
    """

    defects = ("address-control",)


@validator(
    id="bidi-or-zero-width-in-address",
    rfc="RFC 6532 3.2",
    group="address",
    action=TAG,
    good=[Example("From: Ren\u00e9 <a@example.org>".encode(), smtputf8=True)],
    bad=[Example("From: \u202egro.elpmaxe <a@example.org>".encode(), smtputf8=True)],
)
class BidiOrZeroWidthInAddress(DefectValidator):
    r"""Tags a bidirectional or zero-width character in an address field.

    It shows another name than the one that is written. Bytes: `From: \xe2\x80\xaegro.elpmaxe <a@example.org>`.
    """

    defects = ("bidi-or-zero-width",)
