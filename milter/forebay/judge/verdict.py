"""The verdict on one message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.message.finding import Action

if TYPE_CHECKING:
    from forebay.message.finding import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action chosen for a message, with its findings, the most severe first; each has its action.

    `would` is the action that the preset `observe` kept from being taken; elsewhere it equals `action`.
    `errors` names the validators that failed on this message.
    """

    action: Action
    would: Action
    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def reason(self) -> Finding | None:
        """The finding that decided, or None."""
        return self.findings[0] if self.findings else None


CLEAN = Verdict(Action.ACCEPT, Action.ACCEPT)
"""The verdict on a message without findings."""
