"""Hostile messages cost the judge their size and no more, with all validators and whatever the budgets are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from forebay.api import BudgetValidator
from forebay.config import Config
from forebay.judge import runner
from forebay.judge.discovery import discover
from forebay.message import rfc5322_address
from forebay.testing.running import Runner
from forebay_validators.budgets_header import HeaderReadingEffort
from unit.growth import LONG, check_time, memory
from unit.judge.hostile_headers import CONSTRUCTS

if TYPE_CHECKING:
    from forebay.testing import Message

LEVELS: Final = ("tag_above", "quarantine_above", "reject_above")
OUT_OF_THE_WAY: Final = 10**9

SIZES: Final = (30_000, 500_000, 5_000_000) if LONG else (30_000,)
"""Of the smaller one of each two messages that are compared."""

HEADERS: Final = [name for name in CONSTRUCTS if LONG or not name.startswith("rcpt-")]
"""Those that are hostile in the header or body: paths have the same scanner as address fields."""

KEPT: Final = 100_000
"""Bytes that the judge may take besides: a verdict's findings, and what is read into parts of limited size."""


def unlimited() -> Config:
    """Every budget raised out of the way or switched off, so that scanners and validators run to the end."""
    budgets = [each.cls for each in discover()[0] if each.builtin and issubclass(each.cls, BudgetValidator)]
    raised = {cls.spec.id: {level: OUT_OF_THE_WAY for level in LEVELS if getattr(cls, level)} for cls in budgets}
    return Config(validators=raised | {HeaderReadingEffort.spec.id: {"enabled": False}})


@pytest.fixture(scope="module")
def without_budgets() -> Runner:
    """All validators, under the judge of the milter; one that fails raises here."""
    return Runner((), unlimited(), builtin=True)


@pytest.fixture
def unlimited_judge(without_budgets: Runner, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The same, and it reads all there is."""
    monkeypatch.setattr(rfc5322_address, "MOST_EFFORT", OUT_OF_THE_WAY)
    monkeypatch.setattr(runner, "ENOUGH", OUT_OF_THE_WAY)
    return without_budgets


@pytest.fixture(scope="module")
def default_judge() -> Runner:
    """The same with the budgets as they are."""
    return Runner((), Config(), builtin=True)


def size_of(message: Message) -> int:
    """Bytes as the judge counts them, envelope and body too."""
    return message.size + 2 * len(message.fields)


def check(judge: Runner, name: str) -> None:
    for size in SIZES:
        small, large = CONSTRUCTS[name](size), CONSTRUCTS[name](2 * size)
        check_time(partial(judge.verdict, small), partial(judge.verdict, large), size_of(large), len(large.fields))


@pytest.mark.parametrize("name", HEADERS)
def test_time_doubles_with_the_size_without_budgets(unlimited_judge: Runner, name: str) -> None:
    """Twice the message takes twice the time, and 60 KB less than 50 ms on an idle machine."""
    check(unlimited_judge, name)


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_time_doubles_with_the_size(default_judge: Runner, name: str) -> None:
    """The same with the default budgets, most of which stop such a message early."""
    check(default_judge, name)


@pytest.mark.parametrize("name", HEADERS)
def test_memory_is_bounded_by_the_size(unlimited_judge: Runner, name: str) -> None:
    """The judge takes at most eight times the header and 300 bytes a field, and little of it stays."""
    message = CONSTRUCTS[name](1_000_000 if LONG else 16_000)
    now, peak = memory(partial(unlimited_judge.verdict, message))
    assert now < KEPT
    assert peak <= 8 * size_of(message) + 300 * len(message.fields) + KEPT
