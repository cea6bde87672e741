"""The findings of one message: bounded, the most severe never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.judge.verdict import CLEAN, Verdict
from forebay.message.finding import Action

if TYPE_CHECKING:
    from forebay.message.finding import Finding

MOST_KEPT = 64
"""Findings that a verdict lists. What else there is would say nothing new, and costs memory."""


class Findings:
    """Collects what is found in one message, and makes the verdict of it.

    `worst` is the most severe action so far.
    """

    __slots__ = ("_errors", "_kept", "_last", "worst")

    def __init__(self) -> None:
        self._kept: dict[Finding, None] = {}
        self._errors: dict[str, None] = {}
        self._last: tuple[int, int, int] | None = None
        self.worst = Action.ACCEPT

    def wants(self, action: Action, field_index: int, start: int) -> bool:
        """Whether a finding with this action, at this place, would be listed: else it need not even be made."""
        return self._last is None or (-action, field_index, start) < self._last

    @property
    def is_full(self) -> bool:
        """Whether as many findings are kept as a verdict lists, all as severe as the worst."""
        return self._last is not None and self._last[0] == -self.worst

    def add(self, finding: Finding, action: Action) -> None:
        """Keep a finding, whose action has been chosen; one that was found in two ways counts once."""
        self._kept[finding] = None
        self.worst = max(self.worst, action)
        if len(self._kept) >= 2 * MOST_KEPT:
            self._prune()

    def failed(self, validator_id: str) -> bool:
        """Note that a validator failed on this message; false where that is known already."""
        known = validator_id in self._errors
        self._errors[validator_id] = None
        return not known

    def verdict(self, *, observe: bool) -> Verdict:
        """The verdict on the message; `observe` keeps the action from being taken."""
        if not self._kept and not self._errors:
            return CLEAN
        self._prune()
        action = Action.ACCEPT if observe else self.worst
        return Verdict(action, self.worst, tuple(self._kept), tuple(self._errors))

    def _prune(self) -> None:
        kept = sorted(self._kept, key=_order)[:MOST_KEPT]
        self._kept = dict.fromkeys(kept)
        if len(kept) == MOST_KEPT:
            self._last = _order(kept[-1])


def _order(finding: Finding) -> tuple[int, int, int]:
    return -(finding.action or Action.ACCEPT), finding.field_index, finding.start
