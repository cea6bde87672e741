"""From a verdict's findings to the traits that a shape fingerprint is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.message.finding import Action
from forebay.message.fingerprint import ENVELOPE, Trait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from forebay.judge.discovery import Known
    from forebay.judge.verdict import Verdict
    from forebay.message.envelope import Envelope

GROUPS: Final = frozenset({"budget", "address"})
"""The groups whose findings make a shape: what ordinary mail has never does."""


def shaping(known: Iterable[Known]) -> frozenset[str]:
    """The ids of the validators whose findings make a shape."""
    return frozenset(each.id for each in known if each.cls.spec.group in GROUPS)


def traits(
    verdict: Verdict, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope, ids: Collection[str]
) -> tuple[Trait, ...]:
    """The traits of a message that was judged under the preset `protect`: what that quarantines or rejects."""
    found = []
    for finding in verdict.findings:
        if finding.id not in ids or finding.action not in {Action.QUARANTINE, Action.REJECT}:
            continue
        if 0 <= finding.field_index < len(fields):
            found.append(Trait(finding.field, finding.id, fields[finding.field_index][1], finding.start))
        elif finding.field == b"MAIL FROM":
            found.append(Trait(ENVELOPE, finding.id, envelope.sender, finding.start))
        elif finding.field == b"RCPT TO":
            found.append(Trait(ENVELOPE, finding.id, _worst(envelope.recipients), finding.start))
        elif not finding.field:
            found.append(Trait(b"", finding.id, b"", 0))
    return tuple(found)


def _worst(recipients: Sequence[bytes]) -> bytes:
    """The recipient that a finding speaks of is not named by it: the one with the most specials is taken."""
    return max(recipients, key=_specials, default=b"")


def _specials(path: bytes) -> int:
    return sum(path.count(each) for each in b'"()[]\\<>@,;: ')
