"""Trace, list and authentication fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.api import TAG, DefectValidator, Example, FieldValidator, validator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.api import Field, Finding

RESULTS = b"Authentication-Results: mx.example.com; spf=pass"
OWN = (("authserv_id", "mx.example.com"),)


@validator(
    id="received-malformed",
    rfc="RFC 5321 4.4",
    action=TAG,
    good=[b"Received: from a by b; Thu, 22 Aug 2002 12:36:23 +0000"],
    bad=[b"Received: from a by b"],
)
class ReceivedMalformed(DefectValidator):
    """Tags a Received without a date after its last semicolon.

    Programs that count hops or measure delays find none. Many servers write it in forms of their own, so it is never
    more than a tag. Bytes: `Received: from a by b`.
    """

    defects = ("received-malformed",)


@validator(
    id="list-header-malformed",
    rfc="RFC 2369 2",
    action=TAG,
    good=[b"List-Unsubscribe: <mailto:a@example.org>, <https://example.org/u>"],
    bad=[b"List-Unsubscribe: mailto:a@example.org"],
)
class ListHeaderMalformed(DefectValidator):
    """Tags a List- field without a URL in angle brackets.

    What a reader shows as a link to click then is up to its guess. Bytes: `List-Unsubscribe: mailto:a@example.org`.
    """

    defects = ("list-malformed",)


@validator(
    id="dkim-duplicate-tag",
    rfc="RFC 6376 3.2",
    action=TAG,
    good=[b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x"],
    bad=[b"DKIM-Signature: v=1; d=example.org; d=example.net"],
)
class DkimDuplicateTag(DefectValidator):
    """Tags a tag that stands twice in a DKIM signature.

    It must not; one verifier asks the first domain for the key and another the last.
    Bytes: `DKIM-Signature: v=1; d=example.org; d=example.net`.
    """

    defects = ("dkim-duplicate-tag",)


@validator(
    id="authentication-results-forged",
    rfc="RFC 8601 5",
    fields=("authentication-results",),
    action=TAG,
    good=[RESULTS, Example(b"Authentication-Results: other.example; spf=pass", options=OWN)],
    bad=[Example(RESULTS, options=OWN), Example(b"Authentication-Results: (x) MX.example.com 1; none", options=OWN)],
)
class AuthenticationResultsForged(FieldValidator):
    """Tags an Authentication-Results field that came with the message and bears this site's own name.

    Whoever trusts that name believes what the sender wrote. Set `authserv_id` to the name that your own verifier uses,
    and let forebay run before it; without it nothing is checked. Bytes: `Authentication-Results: mx.example.com; spf=pass`.
    """

    authserv_id: str = ""

    def check(self, field: Field) -> Iterable[Finding]:
        """Compare the first word of the field, comments skipped, with our own name."""
        if not self.authserv_id:
            return
        start, end = _first_word(field.value)
        if field.value[start:end].strip(b'"').lower() == self.authserv_id.lower().encode("utf-8"):
            yield self.find("results in the name of this site, which came with the message", field, start, end)


def _first_word(value: bytes) -> tuple[int, int]:
    """Where the first word stands that is not in a comment (RFC 5322 section 3.2.2)."""
    depth = 0
    start = -1
    for at, byte in enumerate(value):
        if start >= 0:
            if byte in b" \t\n;(":
                return start, at
        elif byte == 0x28:
            depth += 1
        elif byte == 0x29:
            depth -= 1
        elif depth <= 0 and byte not in b" \t\n":
            start = at
    return (start, len(value)) if start >= 0 else (0, 0)
