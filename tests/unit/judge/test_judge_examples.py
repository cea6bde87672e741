"""Every built-in validator's examples, through the judge of the milter with all validators on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from forebay.api import ACCEPT, Action, BudgetValidator, DefectValidator
from forebay.config import Config, Policy
from forebay.judge.case import Case
from forebay.judge.policy import NULL, compile_rule
from forebay.message.kinds import DEFECTS, MEASURES
from forebay.testing import Message, Runner
from forebay_validators import plugin

if TYPE_CHECKING:
    from forebay.api import Example, Finding, Validator
    from forebay.judge.verdict import Verdict

VALIDATORS: Final = {each.spec.id: each for each in plugin.validators}
AUTHOR: Final = frozenset({b"from", b"sender"})
PRESETS: Final = ("observe", "protect", "strict")

Options = tuple[tuple[str, object], ...]


@cache
def judge(preset: str, validator_id: str = "", options: Options = ()) -> Runner:
    """All validators, one of them with options; a validator that fails raises here."""
    validators = {validator_id: dict(options)} if options else {}
    return Runner((), Config(policy=Policy(preset=preset), validators=validators), builtin=True)  # type: ignore[arg-type] # a Literal


def verdict(preset: str, validator_id: str, message: Message, options: Options) -> Verdict:
    return judge(preset, validator_id if options else "", options).verdict(message)


def found(verdict: Verdict, validator_id: str) -> list[Finding]:
    return [each for each in verdict.findings if each.id == validator_id]


def in_every_view(validator_id: str, example: Example) -> Message:
    """The example as a milter gets it or, if nothing shows there, as `forebay check` cuts it from a file."""
    message = Message.of(example)
    if found(verdict("protect", validator_id, message, example.options), validator_id):
        return message
    return Message.cut(example)


def views(example: Example) -> list[Message]:
    """The example as a milter gets it and, where nothing of it is dropped, as `forebay check` cuts it from a file."""
    message, cut = Message.of(example), Message.cut(example)
    return [message, cut] if cut.fields == message.fields and b"\r" not in example.header else [message]


@pytest.mark.parametrize("validator_id", VALIDATORS)
def test_nothing_is_found_in_a_good_example(validator_id: str) -> None:
    """What a validator calls good it passes, under every preset."""
    assert VALIDATORS[validator_id].spec.good
    for example in VALIDATORS[validator_id].spec.good:
        for preset in PRESETS:
            for message in views(example):
                assert not found(verdict(preset, validator_id, message, example.options), validator_id), example


@pytest.mark.parametrize("validator_id", VALIDATORS)
def test_a_bad_example_is_found_with_the_action_of_each_preset(validator_id: str) -> None:
    """`protect` does what the validator or the example states, `strict` no less, `observe` nothing but say so."""
    validator = VALIDATORS[validator_id]
    assert validator.spec.bad
    for example in validator.spec.bad:
        message = in_every_view(validator_id, example)
        observed, protected, strict = (verdict(each, validator_id, message, example.options) for each in PRESETS)
        listed = found(protected, validator_id)
        assert listed, example
        assert max(each.action or ACCEPT for each in listed) is wanted(validator, listed[0], message, example)
        assert protected.action is protected.would
        assert strict.action >= protected.action
        for ours, theirs in zip(found(strict, validator_id), listed, strict=True):
            assert ours.action is not None
            assert ours.action >= (theirs.action or ACCEPT)
        assert (observed.action, observed.would) == (ACCEPT, protected.action)
        assert found(observed, validator_id) == listed


def wanted(validator: type[Validator], first: Finding, message: Message, example: Example) -> Action:
    """What an example says that `protect` does, else the validator's own default for that place and sender."""
    if example.action is not None:
        return example.action
    profile = NULL if message.envelope.null_sender else 0
    return compile_rule(validator.spec, "protect", None, None).action(profile, first.field.lower() in AUTHOR, None)


@pytest.mark.parametrize("validator_id", VALIDATORS)
def test_a_finding_has_a_place_and_one_line(validator_id: str) -> None:
    """Offsets lie in the field, the message is printable ASCII without bytes of the mail."""
    for example in VALIDATORS[validator_id].spec.bad:
        message = in_every_view(validator_id, example)
        for each in verdict("protect", validator_id, message, example.options).findings:
            assert 0 <= each.start <= each.end
            if each.field_index >= 0:
                assert each.field == message.fields[each.field_index][0]
                assert each.end <= len(message.fields[each.field_index][1])
            assert each.message.isascii()
            assert each.message.isprintable()
            assert each.action in set(Action)


def test_strict_refuses_what_it_states() -> None:
    """Each validator that states more for `strict` than for `protect` does it with its first bad example."""
    for validator in VALIDATORS.values():
        spec = validator.spec
        if spec.strict > spec.action:
            message = in_every_view(spec.id, spec.bad[0])
            listed = found(verdict("strict", spec.id, message, spec.bad[0].options), spec.id)
            assert any(each.action is not None and each.action >= spec.strict for each in listed), spec.id


def test_every_defect_and_measure_is_answered() -> None:
    """Whatever the message layer can find has a validator."""
    defects = {kind for each in VALIDATORS.values() if issubclass(each, DefectValidator) for kind in each.defects}
    measured = {each.measure for each in VALIDATORS.values() if issubclass(each, BudgetValidator)}
    assert defects == set(DEFECTS)
    assert measured == set(MEASURES)


def test_every_defect_is_found_in_some_example() -> None:
    """No kind of defect is a word only: an example shows each."""
    unseen = set(DEFECTS)
    for validator in VALIDATORS.values():
        if issubclass(validator, DefectValidator):
            for kind in set(validator.defects) & unseen:
                if any(kind in kinds(example) for example in validator.spec.bad):
                    unseen.discard(kind)
    assert not unseen


def kinds(example: Example) -> set[str]:
    """The kinds of defects that are reported while the judge reads an example, whoever answers for them."""
    seen: set[str] = set()
    report = Case.report

    def spy(case: Case, diagnosis: object, name: bytes, index: int) -> None:
        seen.update(diagnosis.counts)  # type: ignore[attr-defined] # a Diagnosis
        report(case, diagnosis, name, index)  # type: ignore[arg-type] # the same

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "report", spy)
        for message in (Message.of(example), Message.cut(example)):
            judge("protect").verdict(message)
    return seen
