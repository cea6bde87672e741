"""One message while it is judged: its bytes, the objects made of them, and what was found so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.judge.findings import Findings
from forebay.judge.policy import HOLD
from forebay.message.field import AUTHOR, Field
from forebay.message.finding import Action, Finding
from forebay.message.header import Header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.judge.budget import Budget
    from forebay.judge.guard import Enabled
    from forebay.judge.plan import Plan
    from forebay.judge.policy import Exemptions
    from forebay.judge.verdict import Verdict
    from forebay.message.diagnosis import Defect, Diagnosis, Peak
    from forebay.message.envelope import Envelope

_ON_ERROR = {"tag": Action.TAG, "tempfail": Action.TEMPFAIL}


MOST_SHARED = 32
"""Field objects that are kept: with what was read in it, one takes many times its bytes."""


class Case:
    """Field objects are made when first asked for, and shared: a message that is recognised has none."""

    __slots__ = ("_exemptions", "_findings", "_header", "_made", "_plan", "_profile", "envelope", "fields")

    def __init__(
        self, plan: Plan, exemptions: Exemptions, fields: Sequence[tuple[bytes, bytes]], envelope: Envelope
    ) -> None:
        self.fields = fields
        self.envelope = envelope
        self._plan = plan
        self._exemptions = exemptions
        self._findings = Findings()
        self._made: dict[int, Field] = {}
        self._header: Header | None = None
        self._profile = -1

    def field(self, index: int) -> Field:
        """The field at this place."""
        field = self._made.get(index)
        if field is None:
            field = Field(index, *self.fields[index], self.envelope.smtputf8)
            if len(self._made) < MOST_SHARED:
                self._made[index] = field
        return field

    @property
    def header(self) -> Header:
        """The header as a whole."""
        if self._header is None:
            self._header = Header(tuple(map(self.field, range(len(self.fields)))), self.envelope)
        return self._header

    @property
    def is_decided(self) -> bool:
        """Whether nothing that may still be found can make the verdict more severe."""
        worst = self._findings.worst
        if worst is Action.REJECT:
            return True
        return worst is Action.QUARANTINE and bool(self._profile & HOLD)

    @property
    def is_full(self) -> bool:
        """Whether the verdict is decided, with as many findings of that severity as it lists: no need to look on."""
        return self.is_decided and self._findings.is_full

    def report(self, diagnosis: Diagnosis, name: bytes, index: int) -> None:
        """Find what the message layer has diagnosed in a field, or (without name) in the header as a whole."""
        defects, budgets = self._plan.defects, self._plan.budgets
        counts = diagnosis.counts
        if counts:
            first = {defect.kind: defect for defect in reversed(diagnosis.defects)}
            for kind, count in counts.items():
                if kind in defects:
                    self._report_defect(first[kind], count, name, index)
        for measure, peak in diagnosis.peaks.items():
            for budget in budgets.get(measure, ()):
                if peak.value > budget.lowest:
                    self._report_budget(budget, peak, name, index)

    def add(self, validator: Enabled, finding: Finding) -> None:
        """Take a finding that has its validator's wish for an action, if any, and choose the action."""
        action = self._action(validator, finding.field, finding.action)
        if self._findings.wants(action, finding.field_index, finding.start):
            self._findings.add(_with_action(finding, action), action)

    def blame(self, validator_id: str, on_error: str) -> bool:
        """Note that a validator failed, and do what its `on_error` says; false where that is known already."""
        if not self._findings.failed(validator_id):
            return False
        action = _ON_ERROR.get(on_error)
        if action is not None:
            self._findings.add(Finding(validator_id, b"", -1, 0, 0, "this check failed", action), action)
        return True

    def verdict(self, *, observe: bool) -> Verdict:
        """The verdict on the message."""
        return self._findings.verdict(observe=observe)

    def _report_defect(self, defect: Defect, count: int, name: bytes, index: int) -> None:
        is_placed = bool(name) or defect.end > defect.start
        if 0 <= defect.field_index < len(self.fields):  # a field that was noted, and dropped then, is none
            name, index = self.fields[defect.field_index][0], defect.field_index
        for validator in self._plan.defects[defect.kind]:
            if validator.fields and name.lower() not in validator.fields:
                continue
            action = self._action(validator, name, None)
            if self._findings.wants(action, index, defect.start):
                text = f"{defect.text} at byte {defect.start + 1}" if is_placed else defect.text
                if count > 1:
                    text = f"{text} (and {count - 1:,} more)"
                finding = Finding(validator.id, name, index, defect.start, defect.end, text, action)
                self._findings.add(finding, action)

    def _report_budget(self, budget: Budget, peak: Peak, name: bytes, index: int) -> None:
        if peak.field_index >= 0:
            name, index = self.fields[peak.field_index][0], peak.field_index
        validator = budget.validator
        if validator.fields and name.lower() not in validator.fields:
            return
        limit, wish = next(level for level in budget.levels if peak.value > level[0])
        action = self._action(validator, name, wish)
        if self._findings.wants(action, index, peak.start):
            text = f"{peak.value:,} {budget.unit}, more than {limit:,}"
            self._findings.add(Finding(validator.id, name, index, peak.start, peak.end, text, action), action)

    def _action(self, validator: Enabled, name: bytes, wish: Action | None) -> Action:
        """What the policy makes of a finding in a field of this name, for which its validator has a wish, or none."""
        if self._profile < 0:
            self._profile = self._exemptions.profile(self.envelope)
        return validator.rule.action(self._profile, name.lower() in AUTHOR, wish)


def _with_action(finding: Finding, action: Action) -> Finding:
    return Finding(finding.id, finding.field, finding.field_index, finding.start, finding.end, finding.message, action)
