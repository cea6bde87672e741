"""Running validators as the milter runs them: under the same runner, with options checked in the same way."""

from __future__ import annotations

from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from forebay.api import Plugin, Validator
from forebay.config import Config, load
from forebay.errors import ConfigError
from forebay.judge.discovery import Known, discover
from forebay.judge.load import judge_of
from forebay.testing.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.api import Example, Finding
    from forebay.judge.verdict import Verdict

_ORIGIN = "this test"


class Runner:
    """Some validators, configured once, to be run on many messages.

    A validator that fails raises here what it raised, where the milter would count and log it; one that returns
    nonsense raises NonsenseError. Raises ConfigError with every mistake in the configuration.
    """

    def __init__(self, validators: Sequence[type[Validator]], config: Config, *, builtin: bool = False) -> None:
        # As built-in ones, which have no circuit breaker: a slow validator is to be measured here, not benched.
        known = [Known(each, _ORIGIN, _ORIGIN, builtin=True) for each in validators]
        if builtin:
            known += [each for each in discover()[0] if each.builtin]
        judge, mistakes = judge_of(known, config)
        if mistakes:
            raise ConfigError(_ORIGIN, mistakes)
        self._failures: list[BaseException] = []
        judge.failed = lambda _, error: self._failures.append(error)
        self._judge = judge

    @classmethod
    def of(cls, validator: type[Validator], **options: object) -> Runner:
        """A runner of one validator with these options."""
        return cls((validator,), Config(validators={validator.spec.id: options}))

    def run(self, message: Message | Example | bytes) -> tuple[Finding, ...]:
        """What the validators find, the most severe first, each with the action that the policy gives it."""
        return self.verdict(message).findings

    def verdict(self, message: Message | Example | bytes) -> Verdict:
        """The verdict on a message."""
        given = Message.of(message)
        self._failures.clear()
        verdict = self._judge.judge(given.fields, given.envelope, given.body, given.noted)
        if self._failures:
            raise self._failures[0]
        return verdict


def run(validator: type[Validator], message: Message | Example | bytes, **options: object) -> tuple[Finding, ...]:
    """What one validator finds in a message: `run(SubjectShouts, b"Subject: HELLO", most_capitals=3)`.

    Options are checked as those in `[validators.ID]` are; `enabled`, `on_error` and `null_sender` are among them.
    The findings have the actions that the preset `protect` gives them.
    """
    return Runner.of(validator, **options).run(message)


def verdict(
    message: Message | Example | bytes, *what: Plugin | type[Validator], config: str = "", builtin: bool = False
) -> Verdict:
    """The verdict on a message by these plugins and validators; `config` is TOML, as in forebay.toml.

    `builtin` adds the validators that forebay brings along. Raises ConfigError with every mistake in the
    configuration.
    """
    validators: list[type[Validator]] = []
    for each in what:
        validators += each.validators if isinstance(each, Plugin) else (each,)
    return Runner(validators, _config(config), builtin=builtin).verdict(message)


def _config(text: str) -> Config:
    """Read TOML as forebay reads its configuration file."""
    with NamedTemporaryFile("w", encoding="utf-8", prefix="forebay-", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return load(file.name)
