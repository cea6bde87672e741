"""The presets, on the headers that matter most: what each does, and the reason that the finding gives."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

import forebay_validators
from forebay.api import ACCEPT, Example
from forebay.config import Config, Policy
from forebay.testing import Message, strategies
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

FILE = Path(__file__).resolve().parents[2] / "corpus" / "presets.toml"
CASES = tomllib.loads(FILE.read_text(encoding="utf-8"))["case"]

ORDINARY = {
    b"from": b" a@example.org",
    b"to": b" b@example.org",
    b"date": b" Thu, 22 Aug 2002 12:36:23 +0000",
    b"message-id": b" <1@example.org>",
    b"mime-version": b" 1.0",
}
PRESETS = {
    preset: Runner((), Config(policy=Policy(preset=preset)), builtin=True)
    for preset in ("observe", "protect", "strict")
}


def name(case: dict[str, Any]) -> str:
    return str(case.get("what", case["header"]))


@pytest.mark.parametrize("case", CASES, ids=name)
def test_protect(case: dict[str, Any]) -> None:
    """The action, the validator that asks for it, and its reason in words."""
    verdict = judged(case, "protect")
    assert verdict.action.word == case["protect"]
    if "by" in case:
        reasons = {each.id: each for each in verdict.findings if each.action is verdict.action}
        assert case["says"] in reasons[case["by"]].message


@pytest.mark.parametrize("case", CASES, ids=name)
def test_strict(case: dict[str, Any]) -> None:
    """`strict` is never milder than `protect`."""
    verdict = judged(case, "strict")
    assert verdict.action.word == case["strict"]
    assert verdict.action >= judged(case, "protect").action


@pytest.mark.parametrize("case", CASES, ids=name)
def test_observe(case: dict[str, Any]) -> None:
    """`observe` does nothing, and tells what `protect` would have done."""
    verdict = judged(case, "observe")
    assert verdict.action is ACCEPT
    assert verdict.would.word == case["protect"]


@given(strategies.malformed())
def test_presets_are_steps(message: Message) -> None:
    """On any bytes: no validator fails, `observe` does nothing and tells of `protect`, `strict` is never milder."""
    observe, protect, strict = (PRESETS[each].verdict(message) for each in ("observe", "protect", "strict"))
    assert observe.action is ACCEPT
    assert observe.would is protect.action
    assert strict.action >= protect.action


@given(strategies.well_formed())
def test_well_formed_messages_are_accepted(message: Message) -> None:
    """What breaks no rule is accepted, even under `strict`."""
    verdict = PRESETS["strict"].verdict(message)
    assert verdict.action is ACCEPT, verdict.reason


def test_observe_passes_every_example() -> None:
    """Nothing that any validator shows as bad is acted upon under `observe`."""
    for validator in forebay_validators.plugin.validators:
        for example in validator.spec.bad:
            for message in (Message.of(example), Message.cut(example)):
                assert PRESETS["observe"].verdict(message).action is ACCEPT


def judged(case: dict[str, Any], preset: str) -> Verdict:
    """The verdict on the header of a case, made complete."""
    smtputf8 = case.get("smtputf8", False)
    example = Example(
        case["header"].encode("utf-8" if smtputf8 else "latin-1"),
        sender=case.get("sender", "<a@example.org>").encode(),
        body=case.get("body", "").encode(),
        smtputf8=smtputf8,
    )
    message = Message.cut(example) if case.get("cut") else Message.of(example)
    present = {field.lower() for field, _ in message.fields}
    for field, value in () if case.get("whole") else ORDINARY.items():
        if field not in present:
            message = message.field(field, value)
    return PRESETS[preset].verdict(message)
