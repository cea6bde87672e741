"""The address itself: local part, @ and domain."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, Example, validator

BOUNCE = b"<>"


@validator(
    id="address-multiple-at",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=QUARANTINE,
    author_action=REJECT,
    strict=REJECT,
    good=[b'To: "a@b"@example.org'],
    bad=[b"From: a@b@example.org", Example(b"To: a@b@example.org", action=QUARANTINE)],
)
class AddressMultipleAt(DefectValidator):
    """Quarantines more than one @ in an address, refuses it in From and Sender.

    One program delivers to the domain after the first, another after the last (nodemailer GHSA-mm7p-fcc7-pg87).
    Bytes: `From: a@b@example.org`.
    """

    defects = ("at-multiple",)


@validator(
    id="address-naked-local-part",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=TAG,
    author_action=QUARANTINE,
    strict=REJECT,
    null_sender=TAG,
    good=[b"To: joe@example.org"],
    bad=[
        Example(b"To: joe", action=TAG),
        b"From: MAILER-DAEMON",
        Example(b"From: MAILER-DAEMON", sender=BOUNCE, action=TAG),
    ],
)
class AddressNakedLocalPart(DefectValidator):
    """Tags an address without a domain, quarantines it in From and Sender.

    Each server on the way appends its own domain, so that the author is another one at each. Bounces do it. RFC 7103
    section 7.1.7 refuses it. Bytes: `From: MAILER-DAEMON`.
    """

    defects = ("local-part-naked",)


@validator(
    id="address-whitespace-in-addrspec",
    rfc="RFC 5322 4.4",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: <a@example.org>"],
    bad=[b"To: <a b@example.org>", b"To: <a@ex ample.org>"],
)
class AddressWhitespaceInAddrspec(DefectValidator):
    """Quarantines a blank inside an address, other than around its @ and dots.

    Those are obsolete and legal to read; any other makes two words, of which parsers take the first, the last or both.
    Bytes: `To: <a b@example.org>`.
    """

    defects = ("addr-spec-blank",)


@validator(
    id="address-comment-in-addrspec",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b"To: a@example.org (his address)"],
    bad=[b"To: <pete(his account)@example.org>"],
)
class AddressCommentInAddrspec(DefectValidator):
    """Tags a comment inside an address.

    It is legal (example in RFC 5322 A.5), and an attacker's way to an address that ends elsewhere for a parser which
    does not know it (CVE-2019-16056). Bytes: `To: <pete(his account)@example.org>`.
    """

    defects = ("addr-spec-comment",)


@validator(
    id="address-whitespace-around-dots",
    rfc="RFC 5322 4.4",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b"To: a.b@example.org"],
    bad=[b"To: <a@machine. example>", b"To: <a . b@example.org>"],
)
class AddressWhitespaceAroundDots(DefectValidator):
    """Tags a blank or a comment beside a dot of an address.

    It is obsolete and legal to read (example in RFC 5322 A.6.3); a parser that does not know it ends the address there.
    Bytes: `To: <a@machine. example>`.
    """

    defects = ("addr-spec-dot-blank",)


@validator(
    id="address-local-part-dots",
    rfc="RFC 5322 3.2.3",
    group="address",
    action=TAG,
    strict=QUARANTINE,
    good=[b"To: a.b@example.org"],
    bad=[b"To: a..b@example.org", b"To: .a@example.org", b"To: a.@example.org"],
)
class AddressLocalPartDots(DefectValidator):
    """Tags a dot at the start or end of a local part, or two in a row.

    Japanese mobile providers gave such addresses to people. Bytes: `To: a..b@example.org`.
    """

    defects = ("local-part-dots",)


@validator(
    id="address-local-part-invalid",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=TAG,
    author_action=REJECT,
    strict=QUARANTINE,
    good=[b"To: a!#$%&'*+-/=?^_`{|}~@example.org"],
    bad=[b"From: <@example.org>", Example(b"To: <a[b]c@example.org>", action=TAG)],
)
class AddressLocalPartInvalid(DefectValidator):
    """Tags a local part that is empty or has a character that needs quotation marks, refuses it in From and Sender.

    Parsers end the address there, each in its own way. Bytes: `From: <@example.org>`.
    """

    defects = ("local-part-empty", "local-part-character")


@validator(
    id="address-local-part-long",
    rfc="RFC 5321 4.5.3.1.1",
    group="address",
    action=TAG,
    good=[b"To: " + b"a" * 64 + b"@example.org"],
    bad=[b"To: " + b"a" * 65 + b"@example.org"],
)
class AddressLocalPartLong(DefectValidator):
    """Tags a local part of more than 64 bytes.

    Return addresses with bounce tags exceed it, so it is never more than a tag; see address-too-long.
    Bytes: `To: aaaa...@example.org` (65 bytes before the @).
    """

    defects = ("local-part-long",)


@validator(
    id="address-domain-unusual",
    rfc="RFC 5321 2.3.5",
    group="address",
    action=TAG,
    good=[b"To: a@mail-1.example.org"],
    bad=[b"To: a@example.org.", b"To: a@my_host.example.org", b"To: a@-x.example.org"],
)
class AddressDomainUnusual(DefectValidator):
    """Tags a domain with a dot at its end, an underscore, or a hyphen at the edge of a label.

    DNS knows such names and SMTP does not; bounces and internal hosts have them. Bytes: `To: a@my_host.example.org`.
    """

    defects = ("domain-trailing-dot", "domain-underscore", "domain-hyphen")


@validator(
    id="address-domain-invalid",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: a@example.org"],
    bad=[b"To: a@example..org", b"To: a@.example.org", b"To: a@", b"To: a@exam$ple.org"],
)
class AddressDomainInvalid(DefectValidator):
    """Quarantines a domain that is empty, begins with a dot, has two in a row, or a character that it may not have.

    No such domain can be looked up, so that each program repairs it to another one. Bytes: `To: a@example..org`.
    """

    defects = ("domain-empty", "domain-dots", "domain-character")


@validator(
    id="address-domain-literal-invalid",
    rfc="RFC 5321 4.1.3",
    group="address",
    action=QUARANTINE,
    good=[b"To: a@[192.0.2.1]", b"To: a@[IPv6:2001:db8::1]"],
    bad=[b"To: a@[999.1.1.1]", b"To: a@[example.org]"],
)
class AddressDomainLiteralInvalid(DefectValidator):
    """Quarantines a domain literal that is no IP address.

    A program that hands it to its resolver asks whom the sender likes. Bytes: `To: a@[999.1.1.1]`.
    """

    defects = ("domain-literal-invalid",)


@validator(
    id="raw-8bit-address",
    rfc="RFC 6532 3.2",
    group="address",
    action=QUARANTINE,
    good=[Example("From: <ren\u00e9@example.org>".encode(), smtputf8=True), b"From: Ren\xe9 <rene@example.org>"],
    bad=[b"From: <ren\xe9@example.org>", "To: <ren\u00e9@example.org>".encode()],
)
class Raw8bitAddress(DefectValidator):
    r"""Quarantines a byte above 127 inside an address where the message was not sent with SMTPUTF8.

    Such an address cannot be interpreted: RFC 7103 section 7.7 excludes it from all processing, and the byte 0xFF was
    the way into sendmail (CVE-2003-0161). Bytes: `From: <ren\xe9@example.org>`.
    """

    defects = ("addr-spec-8bit",)
