"""What is looked at, and who is asked about it: compiled once from the validators that are switched on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.api import (
    BodyStartValidator,
    BudgetValidator,
    DefectValidator,
    EnvelopeValidator,
    FieldValidator,
    HeaderValidator,
)
from forebay.judge.budget import Budget, Levels
from forebay.judge.quick import few_quotes, quick, short, trusts_words
from forebay.message.finding import Action
from forebay.message.grammars import GRAMMARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from forebay.api import Validator
    from forebay.judge.guard import Enabled
    from forebay.message.diagnosis import Diagnosis
    from forebay.message.field import Field

BODY_START = frozenset({"line-without-colon", "leading-continuation", "separator-missing"})
"""Defects that show in the first bytes of the body."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """What is done with a field of one name.

    `recognise` passes a value of up to `quick` bytes; any other value goes to `diagnose`. `coded` are the validators
    with code that look at this field.
    """

    quick: int
    recognise: Callable[[bytes], object]
    diagnose: Callable[[Field], Diagnosis] | None
    coded: tuple[Enabled, ...]


HEADER_MEASURES = (
    "header-bytes",
    "header-fields",
    "received-fields",
    "dkim-fields",
    "address-field-repeats",
    "author-field-bytes",
    "name-bytes",
    "field-bytes",
)
"""Measures of the header as a whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the runner looks up while it judges a message."""

    by_name: Mapping[bytes, FieldPlan]
    other: FieldPlan | None
    defects: Mapping[str, tuple[Enabled, ...]]
    budgets: Mapping[str, tuple[Budget, ...]]
    header: tuple[Enabled, ...]
    envelope: tuple[Enabled, ...]
    body: tuple[Enabled, ...]
    enabled: tuple[Enabled, ...]
    floors: Mapping[str, int]
    least_effort: int
    quick_path: int
    short: int
    trusts_words: bool

    @property
    def needs_body(self) -> bool:
        """Whether somebody looks at the first bytes of the body."""
        return bool(self.body) or not BODY_START.isdisjoint(self.defects)

    def refused_above(self, measure: str) -> int:
        """The number from which on a message is refused whatever else it holds; huge where there is none."""
        limits = [
            limit
            for budget in self.budgets.get(measure, ())
            for limit, action in budget.levels
            if budget.validator.rule.action(0, False, action) is Action.REJECT
        ]
        return min(limits, default=sys.maxsize)


def make_plan(validators: Sequence[tuple[Validator, Enabled]]) -> Plan:
    """The plan for these validators, each with how it is called."""
    defects: dict[str, list[Enabled]] = {}
    budgets: dict[str, list[Budget]] = {}
    for validator, enabled in validators:
        if isinstance(validator, DefectValidator):
            for kind in validator.defects:
                defects.setdefault(kind, []).append(enabled)
        elif isinstance(validator, BudgetValidator):
            levels = _levels(validator)
            if levels:
                budget = Budget(enabled, validator.unit, levels, min(limit for limit, _ in levels))
                budgets.setdefault(validator.measure, []).append(budget)
    coded = [enabled for validator, enabled in validators if isinstance(validator, FieldValidator)]
    by_defect = {kind: tuple(each) for kind, each in defects.items()}
    by_measure = {measure: tuple(each) for measure, each in budgets.items()}
    return Plan(
        by_name=_field_plans(coded, by_measure, needs_grammar=bool(by_defect or by_measure)),
        other=_other(coded),
        defects=by_defect,
        budgets=by_measure,
        header=_of_kind(validators, HeaderValidator),
        envelope=_of_kind(validators, EnvelopeValidator),
        body=_of_kind(validators, BodyStartValidator),
        enabled=tuple(enabled for _, enabled in validators),
        floors={measure: _floor(measure, by_measure) for measure in HEADER_MEASURES},
        least_effort=_floor("effort", by_measure),
        short=short(by_measure),
        trusts_words=trusts_words(by_measure),
        quick_path=min(quick(b"mail from", by_measure), quick(b"rcpt to", by_measure)),
    )


def _floor(measure: str, budgets: Mapping[str, tuple[Budget, ...]]) -> int:
    """The value of a measure of the header up to which no budget is exceeded."""
    return min((budget.lowest for budget in budgets.get(measure, ())), default=sys.maxsize)


def _levels(validator: BudgetValidator) -> Levels:
    levels = (
        (validator.reject_above, Action.REJECT),
        (validator.quarantine_above, Action.QUARANTINE),
        (validator.tag_above, Action.TAG),
    )
    return tuple((limit, action) for limit, action in levels if limit > 0)


def _field_plans(
    coded: Sequence[Enabled], budgets: Mapping[str, tuple[Budget, ...]], *, needs_grammar: bool
) -> dict[bytes, FieldPlan]:
    names = {name for each in coded for name in each.fields} | (set(GRAMMARS) if needs_grammar else set())
    return {name: _field_plan(name, coded, budgets, needs_grammar) for name in names}


def _field_plan(
    name: bytes, coded: Iterable[Enabled], budgets: Mapping[str, tuple[Budget, ...]], needs_grammar: bool
) -> FieldPlan:
    asked = tuple(each for each in coded if not each.fields or name in each.fields)
    grammar = GRAMMARS.get(name) if needs_grammar else None
    if grammar is None:
        return FieldPlan(sys.maxsize, _anything, None, asked)
    return FieldPlan(quick(name, budgets), few_quotes(name, grammar.recognise, budgets), grammar.diagnose, asked)


def _other(coded: Sequence[Enabled]) -> FieldPlan | None:
    asked = tuple(each for each in coded if not each.fields)
    return FieldPlan(sys.maxsize, _anything, None, asked) if asked else None


def _anything(_: bytes) -> bool:
    return True


def _of_kind(validators: Sequence[tuple[Validator, Enabled]], kind: type[Validator]) -> tuple[Enabled, ...]:
    return tuple(enabled for validator, enabled in validators if isinstance(validator, kind))
