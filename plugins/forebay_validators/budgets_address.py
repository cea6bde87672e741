"""How much of everything an address field, or an address in the envelope, may hold."""

from __future__ import annotations

from forebay.api import QUARANTINE, REJECT, TAG, BudgetValidator, Example, validator


@validator(
    id="address-count",
    rfc="RFC 5322 3.4",
    group="budget",
    action=REJECT,
    good=[b"Cc:" + b"\n a@example.org," * 126 + b"\n b@example.org"],
    bad=[
        Example(b"To:" + b"\n a@example.org," * 300 + b"\n b@example.org", action=TAG),
        Example(b"To:" + b"\n a@b.example," * 1100 + b"\n b@example.org", action=QUARANTINE),
        b"To:" + b"\n a@b.c," * 5100 + b"\n b@example.org",
    ],
)
class AddressCount(BudgetValidator):
    r"""Tags more than 200 addresses in one field, quarantines more than 1000, refuses more than 5000.

    A list object for each: Dovecot ran out of memory over them (CVE-2026-27852), Python's `email` takes 42 MB and
    1.5 seconds for 64 KB of them. Real mail has at most 126. Bytes: `To: a@b.c,\n a@b.c,\n...` (5100 addresses).
    """

    measure = "addresses"
    unit = "addresses"
    tag_above: int = 200
    quarantine_above: int = 1000
    reject_above: int = 5000


@validator(
    id="address-token-count",
    rfc="RFC 5322 3.2",
    group="budget",
    action=REJECT,
    good=[b"Cc:" + b"\n A. U. Thor <a@example.org>," * 126 + b"\n b@example.org"],
    bad=[b"To:" + b" a.b.c.d.e.f@g.h.i," * 1000 + b" b@example.org"],
)
class AddressTokenCount(BudgetValidator):
    """Refuses more than 10,240 tokens in an address field.

    Postfix reads no more (header_address_token_limit) and drops the rest without a word: what it delivers is not what
    others read. Bytes: `To: a.b.c.d.e.f@g.h.i, ...` (1000 times).
    """

    measure = "address-tokens"
    unit = "tokens"
    reject_above: int = 10_240


@validator(
    id="address-syntax-error-count",
    rfc="RFC 5322 3.4",
    group="address",
    action=REJECT,
    good=[b"To: a@example.org,, b@example.org, c@@example.org"],
    bad=[b"To:" + b" [[]" * 30, b"To:" + b' a" <' * 60],
)
class AddressSyntaxErrorCount(BudgetValidator):
    r"""Refuses more than 20 separate syntax errors in one address field.

    This is what killed a real router: it draws a diagram of the field for each error, so that memory and the disk
    grow with the square of their number. `To:` with 20,000 times `[[] `, 81 KB and every line short, took 1.14 GB.
    One error alone did it no harm. Bytes: `To: [[] [[] [[] [[]...` (30 times).
    """

    measure = "address-errors"
    unit = "syntax errors"
    reject_above: int = 20


@validator(
    id="address-too-long",
    rfc="RFC 5321 4.5.3.1.3",
    group="budget",
    action=REJECT,
    good=[b"To: <" + b"v" * 150 + b"@example.org>"],
    bad=[b"To: <" + b"v" * 1100 + b"@example.org>", Example(recipients=(b"<" + b"v" * 1100 + b"@example.org>",))],
)
class AddressTooLong(BudgetValidator):
    """Refuses a single address of more than 998 bytes.

    Buffers for addresses are of fixed size: sendmail's overflowed twice (CVE-2002-1337, CVE-2003-0161). A path has
    256 bytes at most; bounce tags exceed that, but no legitimate one comes near a line's length.
    Bytes: `To: <vvvv...@example.org>` (1100 bytes).
    """

    measure = "address-bytes"
    unit = "bytes"
    reject_above: int = 998


@validator(
    id="comment-nesting-depth",
    rfc="RFC 5322 3.2.2",
    group="budget",
    action=REJECT,
    good=[b"To: a@example.org (one (two (three)))"],
    bad=[
        Example(b"To: a@example.org (1(2(3(4(5)))))", action=TAG),
        b"To: a@example.org " + b"(" * 20 + b")" * 20,
        b"From: " + b"(" * 1000,
    ],
)
class CommentNestingDepth(BudgetValidator):
    """Tags comments nested deeper than 3, refuses those deeper than 10.

    The grammar nests without end and so do recursive parsers: 1 MB of `(` costs Python's `email` 935 MB before it
    gives up; akka-http, time, rspamd and others fell to it (CVE-2021-42697, CVE-2026-25727). Real mail nests at
    most 2 deep. Bytes: `To: ((((((((((((((((((((`.
    """

    measure = "comment-depth"
    unit = "levels"
    tag_above: int = 3
    reject_above: int = 10


@validator(
    id="comment-count",
    rfc="RFC 5322 3.2.2",
    group="budget",
    action=REJECT,
    good=[b"To: a@example.org (x)" + b", a@example.org (x)" * 20],
    bad=[b"To: " + b"(a)" * 60 + b"a@example.org"],
)
class CommentCount(BudgetValidator):
    """Refuses more than 50 comments in one address field.

    They may stand between any two tokens, and parsers look for them there again and again: 32 KB of `(a)` cost
    Python's `email` 68 seconds (also CVE-2015-7686, CVE-2026-39820). Real mail has at most 21.
    Bytes: `To: (a)(a)(a)...a@example.org` (60 times).
    """

    measure = "comments"
    unit = "comments"
    reject_above: int = 50


@validator(
    id="quoted-string-count",
    rfc="RFC 5322 3.2.4",
    group="budget",
    action=REJECT,
    good=[b"Cc:" + b'\n "Thor, A." <a@example.org>,' * 120 + b"\n b@example.org"],
    bad=[b'To: ""' + b' ""' * 100 + b" <a@example.org>", b"To: " + b'"' * 200],
)
class QuotedStringCount(BudgetValidator):
    """Refuses more than 50 quoted strings above four for each address of the field.

    Each is copied with all that follows: 32 KB of quotation marks cost Python's `email` 56 seconds. A long Cc has one
    for each name, hence the allowance. Bytes: `To: "" "" "" "" ...` (100 times).
    """

    measure = "quoted-strings"
    unit = "quoted strings beyond four an address"
    reject_above: int = 50


@validator(
    id="dot-run",
    rfc="RFC 5322 3.2.3",
    group="budget",
    action=REJECT,
    good=[b"To: And so on... <a@example.org>"],
    bad=[b"To: " + b"." * 40 + b" <a@example.org>"],
)
class DotRun(BudgetValidator):
    """Refuses more than 20 dots in a row in an address field.

    32 KB of them cost Python's `email` 27 seconds. Real mail has at most 3, spam 9. Bytes: `To: ........................`.
    """

    measure = "dot-run"
    unit = "dots"
    reject_above: int = 20


@validator(
    id="address-empty-element-run",
    rfc="RFC 5322 4.4",
    group="budget",
    action=REJECT,
    good=[b"To: a@example.org,,, b@example.org"],
    bad=[b"To: a@example.org" + b"," * 40 + b" b@example.org"],
)
class AddressEmptyElementRun(BudgetValidator):
    """Refuses more than 20 commas in a row in an address field.

    Empty elements are legal in the obsolete grammar; 16 KB of them cost Python's `email` 7 seconds.
    Bytes: `To: a@example.org,,,,,,,,,,,,,,,,,,,,,,,,`.
    """

    measure = "empty-elements"
    unit = "empty elements in a row"
    reject_above: int = 20


@validator(
    id="phrase-word-count",
    rfc="RFC 5322 3.2.5",
    group="address",
    action=REJECT,
    good=[b"To: " + b"word " * 100 + b"<a@example.org>"],
    bad=[b"To:" + b"\n a a a a a a a a a a" * 210 + b" <a@example.org>"],
)
class PhraseWordCount(BudgetValidator):
    """Refuses a display name of more than 2000 words.

    Measured on a real router: 40,000 words without an angle bracket take it 40 seconds, with the square of their
    number; Go had the same (CVE-2026-42499). Bytes: `To: a a a a a a...` (2100 words).
    """

    measure = "phrase-words"
    unit = "words"
    reject_above: int = 2000


@validator(
    id="group-nested",
    rfc="RFC 5322 3.4",
    group="budget",
    action=REJECT,
    good=[b"To: friends: a@example.org, b@example.org;"],
    bad=[b"To: a:b:c:", b"To: out: in: a@example.org;;"],
)
class GroupNested(BudgetValidator):
    """Refuses a group inside a group.

    Groups do not nest, but recursive parsers follow: `g1:g2:g3:` without end kills nodemailer (CVE-2025-14874),
    99,999 colons gmime. Bytes: `To: a:b:c:`.
    """

    measure = "group-depth"
    unit = "levels"
    reject_above: int = 1


@validator(
    id="group-empty-run",
    rfc="RFC 5322 3.4",
    group="budget",
    action=REJECT,
    good=[b"To: undisclosed-recipients:;", b"To: a@example.org; b@example.org;"],
    bad=[b"To: " + b";" * 40],
)
class GroupEmptyRun(BudgetValidator):
    """Refuses more than 20 semicolons in a row in an address field.

    Each ended an empty group in Mutt and cost it memory: a small mail, a large machine (CVE-2021-3181).
    Bytes: `To: ;;;;;;;;;;;;;;;;;;;;;;;;`.
    """

    measure = "empty-groups"
    unit = "semicolons in a row"
    reject_above: int = 20


@validator(
    id="address-domain-literal-too-long",
    rfc="RFC 5321 4.1.3",
    group="budget",
    action=REJECT,
    good=[b"To: a@[IPv6:2001:db8::1]"],
    bad=[b"To: a@[" + b"1" * 300 + b"]", Example(recipients=(b"<a@[" + b"1" * 300 + b"]>",))],
)
class AddressDomainLiteralTooLong(BudgetValidator):
    """Refuses a domain literal of more than 255 bytes.

    Go collected it byte by byte, each time copying all before (CVE-2025-61725). An IP address needs 45.
    Bytes: `To: a@[1111...]` (300 bytes).
    """

    measure = "domain-literal-bytes"
    unit = "bytes"
    reject_above: int = 255
