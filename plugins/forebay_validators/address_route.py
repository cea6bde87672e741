"""Routes in addresses: from the time when the sender said which way a message takes."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, DefectValidator, Example, validator


@validator(
    id="obs-route",
    rfc="RFC 5322 4.4",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: <d@example.org>"],
    bad=[b"To: <@a.example,@b.example:d@example.org>", b"To: Mary Smith <@node.test:mary@example.net>"],
)
class ObsRoute(DefectValidator):
    """Quarantines a source route.

    Nothing has needed one since 1989. A filter looks at the domain after the colon and a server may go to the one
    before it; Python's `email` takes more than 15 seconds for 64 KB. RFC 5322 A.6.1 shows one; RFC 7103 section 7.1.1
    refuses it. Bytes: `To: <@a.example,@b.example:d@example.org>`.
    """

    defects = ("route",)


@validator(
    id="address-bang-or-percent-route",
    rfc="RFC 1123 5.2.16",
    group="address",
    action=TAG,
    good=[b"To: a@example.org"],
    bad=[b"To: a!b!c@example.org", b"To: a%b.example@example.org"],
)
class AddressBangOrPercentRoute(DefectValidator):
    """Tags a bang path or a percent sign in a local part.

    A server that still follows it relays to wherever it points. The characters are legal, and some lists use them.
    Bytes: `To: a%b.example@example.org`.
    """

    defects = ("route-bang-or-percent",)


@validator(
    id="address-dot-bang",
    rfc="RFC 5321 4.1.2",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: a!b.c@example.org", b"To: a.b%c@example.org"],
    bad=[b"To: <.!@example.org>", b"Errors-To: a.!b@example.org", Example(recipients=(b"<.!@example.org>",))],
)
class AddressDotBang(DefectValidator):
    """Quarantines a dot before an exclamation mark in a local part.

    Read as a bang path, the name before the mark is an empty host: it locked Postfix's queue manager, from the envelope
    and from Errors-To (CVE-2003-0540). No program writes it. Bytes: `Errors-To: <.!@example.org>`.
    """

    defects = ("route-dot-bang",)
