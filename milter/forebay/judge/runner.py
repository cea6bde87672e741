"""The judge: from the bytes of a message's header to a verdict.

In this order: budgets of the raw bytes, lines, grammar (fast by recognition, slow by diagnosis), presence, envelope,
validators with code of their own. Who has spent a budget of the whole header that refuses the message anyway is not
looked at further, and who is refused for what a field holds not much further: that makes a flood of huge hostile
headers cheap.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

from forebay.judge.case import Case
from forebay.judge.guard import BenchedError, NoWatch, Watch, call
from forebay.judge.verdict import CLEAN
from forebay.message import body_start, lines, measures, presence, rfc2047, rfc5321
from forebay.message.diagnosis import Diagnosis
from forebay.message.finding import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from forebay.judge.guard import Enabled
    from forebay.judge.plan import FieldPlan, Plan
    from forebay.judge.policy import Exemptions
    from forebay.judge.verdict import Verdict
    from forebay.message.envelope import Envelope
    from forebay.message.field import Field

__all__ = ["OURS", "Judge", "Watch"]

T = TypeVar("T")

OURS = "forebay"
"""The name under which a failure of forebay's own scanners is reported."""

ENOUGH = 4096
"""Bytes, blanks apart, that are looked at closely in fields of a message that is refused anyway; then no more fields."""

_BLANKS = b" \t\r\n"
_SENDER, _RECIPIENT, _BODY = b"MAIL FROM", b"RCPT TO", b"body"


class Judge:
    """Judges messages by one configuration. Loaded once, then shared by all sessions of a process.

    `needs_body`: whether the first bytes of the body change a verdict. `reject_at_rcpt`: whether recipients are
    judged alone. `collect_bytes`, `collect_fields`: a header with more than so many bytes (names and values, two more
    bytes a field) or fields is refused whatever else it holds, so that collecting it can stop. `may_tag`,
    `may_quarantine`: whether a verdict can ask for that. `watch` is told before and after third-party code runs;
    `failed` is called with the id of a validator that failed and what it raised.
    """

    __slots__ = (
        "_exemptions",
        "_observe",
        "_plan",
        "collect_bytes",
        "collect_fields",
        "failed",
        "may_quarantine",
        "may_tag",
        "needs_body",
        "reject_at_rcpt",
        "watch",
    )

    def __init__(
        self, plan: Plan, exemptions: Exemptions, *, observe: bool = False, reject_at_rcpt: bool = False
    ) -> None:
        self._plan = plan
        self._exemptions = exemptions
        self._observe = observe
        self.needs_body = plan.needs_body
        self.reject_at_rcpt = reject_at_rcpt and not observe
        self.collect_bytes = plan.refused_above("header-bytes")
        self.collect_fields = plan.refused_above("header-fields")
        self.may_tag = not observe and bool(plan.enabled)
        self.may_quarantine = not observe and any(
            each.rule.can_be(Action.QUARANTINE, held=exemptions.can_hold) for each in plan.enabled
        )
        self.watch: Watch = NoWatch()
        self.failed: Callable[[str, BaseException], None] = _ignore

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all validators that are switched on."""
        return tuple(each.id for each in self._plan.enabled)

    @property
    def third_party(self) -> tuple[str, ...]:
        """The ids of those that forebay did not bring along."""
        return tuple(each.id for each in self._plan.enabled if each.breaker)

    @property
    def benched(self) -> tuple[str, ...]:
        """The ids of third-party validators that sit out for burning too much CPU time."""
        now = time.monotonic()
        return tuple(each.id for each in self._plan.enabled if each.breaker and each.breaker.is_benched(now))

    def judge(
        self,
        fields: Sequence[tuple[bytes, bytes]],
        envelope: Envelope,
        body: bytes = b"",
        noted: Diagnosis | None = None,
    ) -> Verdict:
        """The verdict on a message: its fields in their order, its envelope, the first bytes of its body.

        `noted` is what was wrong with the message before it was cut into fields, where somebody saw that. Never
        raises, whatever the bytes and whatever the validators do.
        """
        if self._exemptions.full(envelope):
            return CLEAN
        case = Case(self._plan, self._exemptions, fields, envelope)
        if noted:
            case.report(noted, b"", -1)
        self._judge(case, body)
        return case.verdict(observe=self._observe)

    def judge_recipient(self, envelope: Envelope, recipient: bytes) -> Verdict:
        """The verdict on the path of one recipient alone; `envelope` is what is known before it."""
        if self._exemptions.full(envelope):
            return CLEAN
        case = Case(self._plan, self._exemptions, (), replace(envelope, recipients=(recipient,)))
        self._look_at_path(case, _RECIPIENT, recipient)
        return case.verdict(observe=self._observe)

    def _judge(self, case: Case, body: bytes) -> None:
        plan = self._plan
        names = [name.lower() for name, _ in case.fields]
        values = [value for _, value in case.fields]
        sizes = list(map(len, values))
        if not measures.usual(names, sizes, plan.floors):
            self._scan(case, b"", -1, _measure, (names, values, plan.floors))
            if case.is_decided:
                return
        joined = lines.join(values)
        is_plain = lines.plain_joined(joined)
        if not is_plain or max(map(len, names), default=0) + max(sizes, default=0) >= plan.short:
            self._look_at_lines(case, is_plain=is_plain)
        self._look_at_fields(case, names, values, rfc2047.where(joined, sizes, len(lines.BETWEEN)))
        if not presence.usual(names, values):
            self._scan(case, b"", -1, presence.diagnose, case.header)
        elif not presence.STRAY.isdisjoint(names):
            self._scan(case, b"", -1, _strays, names)
        self._look_at_paths(case)
        if body and plan.needs_body:
            self._scan(case, _BODY, -1, _start_of_body, (body, frozenset(names)))
        if plan.header or plan.envelope or plan.body:
            self._ask_about_all(case, names, body)

    def _look_at_lines(self, case: Case, *, is_plain: bool) -> None:
        short, smtputf8 = self._plan.short, case.envelope.smtputf8
        for index, (name, value) in enumerate(case.fields):
            if len(name) + len(value) >= short:
                self._scan(case, name, index, lines.diagnose, case.field(index))
            elif not is_plain and not lines.plain((value,)):
                self._scan(case, name, index, partial(lines.look, smtputf8=smtputf8), value)
            else:
                continue
            if case.is_full:
                return

    def _look_at_fields(self, case: Case, names: list[bytes], values: list[bytes], coded: frozenset[int]) -> None:
        """Read what is not recognised; `coded` are the fields with encoded-words. Ends where nobody need read on."""
        plan_of, other = self._plan.by_name.get, self._plan.other
        plans = map(plan_of, names, repeat(other))
        effort = looked_at = 0
        for index, (plan, value) in enumerate(zip(plans, values, strict=False)):  # as many: strict takes time
            if plan is None:
                if index not in coded:
                    continue
                effort += self._look_at_encoded_words(case, index)
            elif len(value) > plan.quick or not plan.recognise(value):
                effort += self._look_closely(case, index, plan, recognised=False)
            elif plan.coded:
                effort += self._look_closely(case, index, plan, recognised=True)
            elif index in coded:
                effort += self._look_at_encoded_words(case, index)
            else:
                continue
            if effort > self._plan.least_effort:
                case.report(_spent(effort, len(value)), case.fields[index][0], index)
            looked_at += len(value.translate(None, _BLANKS))
            if case.is_full or (looked_at > ENOUGH and case.is_decided):
                return

    def _look_closely(self, case: Case, index: int, plan: FieldPlan, *, recognised: bool) -> int:
        """Ask scanners and validators about a field; what effort the scanners took."""
        field, effort = case.field(index), 0
        if plan.diagnose and not recognised:
            effort = self._scan(case, field.name, index, plan.diagnose, field).effort
        if b"=?" in field.value:
            effort += self._look_at_encoded_words(case, index)
        for validator in plan.coded:
            self._ask(case, validator, field)
        return effort

    def _look_at_encoded_words(self, case: Case, index: int) -> int:
        """Read those of a field; what effort that took."""
        if self._plan.trusts_words and rfc2047.recognise(case.fields[index][1]):
            return 0
        field = case.field(index)
        return self._scan(case, field.name, index, _encoded_words, field).effort

    def _look_at_paths(self, case: Case) -> None:
        self._look_at_path(case, _SENDER, case.envelope.sender)
        for recipient in case.envelope.recipients:
            self._look_at_path(case, _RECIPIENT, recipient)
            if case.is_decided:  # which of them it is, nobody asks
                return

    def _look_at_path(self, case: Case, name: bytes, path: bytes) -> None:
        if len(path) > self._plan.quick_path or not rfc5321.recognise(path):
            self._scan(case, name, -1, _path, (path, case.envelope.smtputf8))

    def _ask_about_all(self, case: Case, names: list[bytes], body: bytes) -> None:
        plan = self._plan
        present = frozenset(names)
        for validator in plan.header:
            if not validator.fields or not validator.fields.isdisjoint(present):
                self._ask(case, validator, case.header)
        for validator in plan.envelope:
            self._ask(case, validator, case.envelope)
        for validator in plan.body if body else ():
            self._ask(case, validator, body, case.header)

    def _scan(self, case: Case, name: bytes, index: int, scan: Callable[[T], Diagnosis], what: T) -> Diagnosis:
        """Report what a scanner of the message layer says: `name` and `index` tell of which field."""
        try:
            diagnosis = scan(what)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not cost the message
            self._blame(case, OURS, "tag", error)
            return Diagnosis()
        case.report(diagnosis, name, index)
        return diagnosis

    def _ask(self, case: Case, validator: Enabled, *what: object) -> None:
        """Take what a validator with code finds."""
        try:
            found = call(validator, self.watch, case.fields, *what)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it raises costs the validator, not the message
            self._blame(case, validator.id, validator.on_error, error)
        else:
            for finding in found:
                case.add(validator, finding)

    def _blame(self, case: Case, validator_id: str, on_error: str, error: BaseException) -> None:
        if case.blame(validator_id, on_error) and not isinstance(error, BenchedError):
            self.failed(validator_id, error)


def _encoded_words(field: Field) -> Diagnosis:
    return field.encoded_words.diagnosis


def _spent(effort: int, size: int) -> Diagnosis:
    """What the fields up to this one, with a value of `size` bytes, took to read."""
    diagnosis = Diagnosis()
    diagnosis.measure("effort", effort, 0, size)
    return diagnosis


def _start_of_body(given: tuple[bytes, frozenset[bytes]]) -> Diagnosis:
    return body_start.diagnose(*given)


def _measure(given: tuple[list[bytes], list[bytes], Mapping[str, int]]) -> Diagnosis:
    return measures.measure(*given)


def _strays(names: list[bytes]) -> Diagnosis:
    diagnosis = Diagnosis()
    presence.look_for_strays(names, diagnosis)
    return diagnosis


def _path(given: tuple[bytes, bool]) -> Diagnosis:
    path, smtputf8 = given
    return rfc5321.diagnose(path, smtputf8=smtputf8)


def _ignore(_: str, __: BaseException) -> None:
    """Nobody wants to know of failures."""
