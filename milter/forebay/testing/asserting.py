"""Assertions on findings and verdicts that show, when they fail, what was found and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.judge.wording import escape
from forebay.testing.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forebay.api import Action, Example, Finding
    from forebay.judge.verdict import Verdict

_BEFORE, _AFTER = 24, 48
"""Bytes of the value that are shown around a finding."""


def assert_found(
    message: Message | Example | bytes, findings: Sequence[Finding], *places: bytes | tuple[int, int]
) -> None:
    """Assert that the findings are in these places and no others, in the order of the message.

    A place is the bytes that a finding points to, or its offsets. No place at all: nothing must be found.
    """
    given = Message.of(message)
    ordered = sorted(findings, key=lambda each: (each.field_index, each.start, each.end))
    matches = len(ordered) == len(places) and all(map(_is_at, (given,) * len(places), ordered, places))
    if not matches:
        wanted = ", ".join(map(repr, places)) or "nothing"
        raise AssertionError(f"expected {wanted}; {_told(given, ordered)}")


def assert_verdict(verdict: Verdict, action: Action, *ids: str) -> None:
    """Assert the action that was chosen; with ids, also that just these validators found something."""
    found = sorted({each.id for each in verdict.findings})
    if verdict.action is not action or (ids and found != sorted(set(ids))):
        wanted = f"{action.word} by {', '.join(ids)}" if ids else action.word
        listed = "".join(f"\n  {each.id}: {each.message}" for each in verdict.findings)
        raise AssertionError(
            f"expected {wanted}; the verdict is {verdict.action.word}{listed or ', nothing was found'}"
        )


def explain(message: Message, finding: Finding) -> str:
    """A finding with the bytes that it points to marked, as a compiler marks a mistake."""
    source = message.source(finding)
    start = max(0, finding.start - _BEFORE)
    before = escape(source[start : finding.start], _BEFORE)
    marked = escape(source[finding.start : finding.end], _AFTER)
    after = escape(source[finding.end : finding.end + _AFTER], _AFTER)
    place = escape(finding.field, 40) or "the header"
    action = f" [{finding.action.word}]" if finding.action is not None else ""
    return (
        f"{finding.id}: {place} {finding.start}:{finding.end}: {finding.message}{action}\n"
        f"    {before}{marked}{after}\n    {' ' * len(before)}{'^' * max(1, len(marked))}"
    )


def _is_at(message: Message, finding: Finding, place: bytes | tuple[int, int]) -> bool:
    return message.at(finding) == place if isinstance(place, bytes) else (finding.start, finding.end) == place


def _told(message: Message, findings: Iterable[Finding]) -> str:
    told = "\n  ".join(explain(message, each) for each in findings)
    return f"found:\n  {told}" if told else "nothing was found"
