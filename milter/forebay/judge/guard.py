"""Calling a validator that has code of its own, so that what goes wrong in it costs it and nothing else.

Whatever it raises is caught, whatever it returns is checked. Around a third-party one a watchdog is told, and the
CPU time of the thread is read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from forebay.judge.breaker import BENCH, BUDGET, OVERRUNS, Breaker
from forebay.message.finding import Action, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from forebay.judge.policy import Rule

MOST_FINDINGS = 256
"""Findings that are taken of one call; further ones would not be shown."""
MOST_TEXT = 400
"""Characters of a finding's message."""
_MOST_OFFSET = 1 << 31
_ACTIONS = frozenset({None, Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.REJECT})


class Watch(Protocol):
    """What wants to know which third-party validator runs, as the watchdog does."""

    def enter(self, validator_id: str) -> None:
        """A validator begins."""

    def leave(self) -> None:
        """It has come back, whatever came of it."""


class NoWatch:
    """Does nothing."""

    def enter(self, validator_id: str) -> None:
        """Ignore it."""

    def leave(self) -> None:
        """Ignore it."""


class NonsenseError(Exception):
    """A validator returned what is no finding."""


class OverBudgetError(Exception):
    """A validator took too much CPU time again and again, and is benched from now on."""


class BenchedError(Exception):
    """A validator is benched."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """A validator that is switched on, ready to be called. Third-party ones have a breaker."""

    id: str
    check: Callable[..., Iterable[Finding]] | None
    fields: frozenset[bytes]
    rule: Rule
    on_error: str
    breaker: Breaker | None = None


def call(validator: Enabled, watch: Watch, fields: Sequence[tuple[bytes, bytes]], *what: object) -> list[Finding]:
    """What the validator finds in `what`; `fields` are the header that its findings point into.

    Raises whatever the validator raises, NonsenseError for findings that are none, OverBudgetError for
    the call that benches it, BenchedError from then on.
    """
    check, breaker = validator.check, validator.breaker
    assert check  # those without code are dispatched by what was found
    if breaker is None:
        found = list(islice(check(*what) or (), MOST_FINDINGS))
    else:
        found = _call_watched(validator.id, check, breaker, watch, what)
    for finding in found:
        _examine(finding, validator.id, fields)
    return found


def _call_watched(
    validator_id: str,
    check: Callable[..., Iterable[Finding]],
    breaker: Breaker,
    watch: Watch,
    what: tuple[object, ...],
) -> list[Finding]:
    if breaker.tripped and breaker.is_benched(time.monotonic()):
        raise BenchedError("benched")
    watch.enter(validator_id)
    started, used = time.monotonic_ns(), time.thread_time_ns()
    try:
        return list(islice(check(*what) or (), MOST_FINDINGS))
    finally:
        watch.leave()
        # CPU time is read by a system call, and cannot be more than what the clock says: quick calls are spared it.
        if time.monotonic_ns() - started > BUDGET:
            spent = time.thread_time_ns() - used
            if spent > BUDGET and breaker.overran(time.monotonic()):
                raise OverBudgetError(
                    f"took {spent / 1e6:,.0f} ms of CPU time, as {OVERRUNS} calls within a minute did: "
                    f"benched for {BENCH:.0f} seconds"
                )


def _examine(finding: object, validator_id: str, fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise NonsenseError for what the rest of forebay could not stand on."""
    if type(finding) is not Finding:
        raise NonsenseError(f"returned {type(finding).__name__} where a Finding belongs")
    if finding.id != validator_id:
        raise NonsenseError("returned a finding with another validator's id")
    if finding.action not in _ACTIONS or not (finding.action is None or type(finding.action) is Action):
        raise NonsenseError("asked for an action that no validator can ask for")
    text = finding.message
    if type(text) is not str or len(text) > MOST_TEXT or not text.isprintable():
        raise NonsenseError(f"returned a message that is not one line of at most {MOST_TEXT} characters")
    numbers = (finding.field_index, finding.start, finding.end)
    if type(finding.field) is not bytes or any(type(number) is not int for number in numbers):
        raise NonsenseError("returned a finding with fields of wrong types")
    index = finding.field_index
    if not -1 <= index < len(fields) or (index >= 0 and finding.field != fields[index][0]):
        raise NonsenseError("returned a finding in a field that is not there")
    length = len(fields[index][1]) if index >= 0 else _MOST_OFFSET
    if not 0 <= finding.start <= finding.end <= length:
        raise NonsenseError("returned a finding outside of its field")
