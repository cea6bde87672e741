"""Brackets, quotes and comments that do not close: what the first user's router died of.

RFC 7103 section 7.1 says that such messages ought to be rejected. In 12,000 legitimate messages none of these rules
found anything.
"""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, DefectValidator, Example, validator


@validator(
    id="address-unbalanced-angle",
    rfc="RFC 5322 3.4",
    group="address",
    action=REJECT,
    good=[b"To: A <a@example.org>"],
    bad=[b"To: <a@example.org", b"To: a@example.org>", Example(recipients=(b"<a@example.org",))],
)
class AddressUnbalancedAngle(DefectValidator):
    """Refuses an angle bracket without its twin.

    The parser looks for the end to the end of the field, and begins again from the next character: buffers overflow
    (sendmail CVE-2002-1337) or grow until the memory is gone. RFC 7103 section 7.1.3. Bytes: `To: <a@example.org`.
    """

    defects = ("angle-unbalanced",)


@validator(
    id="address-nested-angle",
    rfc="RFC 5322 3.4",
    group="address",
    action=REJECT,
    good=[b"To: A <a@example.org>, B <b@example.org>"],
    bad=[b"To: <<<a@example.org>>>", b"To: a<b<c>>"],
)
class AddressNestedAngle(DefectValidator):
    """Refuses an angle bracket inside an angle bracket.

    The seven bytes `a<b<c>>` put gen_smtp into an endless loop that took all memory. RFC 7103 section 7.1.2.
    Bytes: `To: <<<a@example.org>>>`.
    """

    defects = ("angle-nested",)


@validator(
    id="address-comma-in-angle",
    rfc="RFC 5322 3.4",
    group="address",
    action=REJECT,
    good=[b"To: <a@example.org>, <b@example.org>", b'To: <"a,b"@example.org>'],
    bad=[b"To: <a@example.org, b@example.net>"],
)
class AddressCommaInAngle(DefectValidator):
    """Refuses a comma inside angle brackets, other than in a source route.

    Who splits the list at commas first finds two halves with one bracket each. RFC 7103 section 7.1.5.
    Bytes: `To: <a@example.org, b@example.net>`.
    """

    defects = ("angle-comma",)


@validator(
    id="address-unbalanced-quote",
    rfc="RFC 5322 3.2.4",
    group="address",
    action=REJECT,
    good=[b'To: "Joe" <joe@example.org>', b'To: "Joe \\"J\\" J" <joe@example.org>'],
    bad=[b'To: "Joe <joe@example.org>', b'From: " <s@example.org>'],
)
class AddressUnbalancedQuote(DefectValidator):
    """Refuses a quotation mark without its twin.

    All that follows is text to one parser and an address to another; Jakarta Mail and CPython raise errors that nobody
    catches (148518), routers hang. RFC 7103 section 7.1.6: there is no unambiguous reading.
    Bytes: `To: "Joe <joe@example.org>`.
    """

    defects = ("quote-unbalanced",)


@validator(
    id="comment-unterminated",
    rfc="RFC 5322 3.2.2",
    group="address",
    action=REJECT,
    good=[b"To: a@example.org (Joe (jr.))"],
    bad=[b"To: (Testing <f@example.org>", b"To: a@example.org (Joe (jr.)"],
)
class CommentUnterminated(DefectValidator):
    """Refuses a comment that is not closed.

    It hides the address behind it from one parser and not from another; sendmail's count of brackets in comments was
    the way to root (CVE-2002-1337). RFC 7103 section 7.1.4. Bytes: `To: (Testing <f@example.org>`.
    """

    defects = ("comment-unterminated",)


@validator(
    id="address-unbalanced-paren",
    rfc="RFC 5322 3.2.2",
    group="address",
    action=QUARANTINE,
    strict=REJECT,
    good=[b"To: a@example.org (Joe)"],
    bad=[b"To: Testing) <s@example.org>"],
)
class AddressUnbalancedParen(DefectValidator):
    """Quarantines a closing parenthesis without its twin.

    A depth that is counted below zero is a very large one. RFC 7103 section 7.1.4 refuses it.
    Bytes: `To: Testing) <s@example.org>`.
    """

    defects = ("paren-unbalanced",)


@validator(
    id="address-unbalanced-bracket",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=REJECT,
    good=[b"To: a@[192.0.2.1]"],
    bad=[b"To: a@[192.0.2.1", b"To: [[["],
)
class AddressUnbalancedBracket(DefectValidator):
    """Refuses a square bracket without its twin.

    It opens a domain literal that never ends; a diagram of the error with all that follows took a real router's
    memory. Bytes: `To: a@[192.0.2.1`.
    """

    defects = ("bracket-unbalanced",)


@validator(
    id="quoted-pair-dangling",
    rfc="RFC 5322 3.2.1",
    group="address",
    action=REJECT,
    good=[b'To: "a\\\\" <a@example.org>'],
    bad=[b'To: "abc\\', b"To: a@example.org (abc\\"],
)
class QuotedPairDangling(DefectValidator):
    r"""Refuses a backslash with nothing after it.

    A parser that takes "the next character" reads behind the end of the field. RFC 7103 section 7.1.6.
    Bytes: `To: "abc\`.
    """

    defects = ("quoted-pair-dangling",)


@validator(
    id="domain-literal-special",
    rfc="RFC 5322 3.4.1",
    group="address",
    action=REJECT,
    good=[b"To: bob@[127.0.0.1]", Example(recipients=(b"<bob@[IPv6:::1]>",))],
    bad=[b'To: bob@[127.0.0."1]', Example(recipients=(b'<bob@[127.0.0."1]>',)), b"To: bob@[1\\2]"],
)
class DomainLiteralSpecial(DefectValidator):
    r"""Refuses a quotation mark, parenthesis, bracket or backslash inside a domain literal.

    Measured on a real router: an envelope recipient like this, in a message of 228 bytes, makes it recurse without
    end. No domain literal needs one, since it holds an IP address. Bytes: `RCPT TO:<bob@[127.0.0."1]>`.
    """

    defects = ("domain-literal-special",)


@validator(
    id="address-junk-after-angle",
    rfc="RFC 5322 3.4",
    group="address",
    action=QUARANTINE,
    author_action=REJECT,
    good=[b"To: <a@example.org> (comment)"],
    bad=[b"From: <a@example.org> x", Example(b"To: <a@example.org> x", action=QUARANTINE)],
)
class AddressJunkAfterAngle(DefectValidator):
    """Quarantines text after the closing angle bracket, refuses it in From and Sender.

    One parser takes the address before it, another what follows. Behind the semicolon of a group it is the same: a comma
    has to stand there. Bytes: `From: <a@example.org> <b@example.net>`.
    """

    defects = ("angle-junk",)
