"""All examples of a plugin, run: what every author wants to test first, and gets in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.api import API, Plugin, Validator
from forebay.config import Config
from forebay.errors import ConfigError
from forebay.judge.policy import NULL, compile_rule
from forebay.testing.message import Message
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.api import Action, Example, Finding

_AUTHOR = frozenset({b"from", b"sender"})


def run_examples(plugin: Plugin | type[Validator]) -> None:
    """Assert that each bad example is found, with the action it states, and that nothing is found in a good one.

    Also asserted: the plugin was written for this interface, no id stands twice, each validator has examples of
    both kinds. All that is wrong is told at once.
    """
    validators = plugin.validators if isinstance(plugin, Plugin) else (plugin,)
    wrong = [problem for each in validators for problem in _problems(each)]
    ids = [each.spec.id for each in validators]
    wrong += [f"{each}: the id stands twice" for each in sorted({each for each in ids if ids.count(each) > 1})]
    if isinstance(plugin, Plugin) and plugin.api != API:
        wrong.append(f"plugin {plugin.name}: written for interface {plugin.api}; this forebay has {API}")
    if wrong:
        raise AssertionError("\n".join(wrong))


def _problems(validator: type[Validator]) -> Iterator[str]:
    spec = validator.spec
    for kind, examples in (("good", spec.good), ("bad", spec.bad)):
        if not examples:
            yield f"{spec.id}: no {kind} example"
        for number, example in enumerate(examples, 1):
            problem = _problem(validator, example, is_bad=kind == "bad")
            if problem:
                yield f"{spec.id}: {kind} example {number}: {problem}: {_shown(example)}"


def _problem(validator: type[Validator], example: Example, *, is_bad: bool) -> str:
    """What is wrong with one example, or nothing."""
    try:
        runner = Runner((validator,), Config(validators={validator.spec.id: dict(example.options)}))
        found = runner.run(example)
        if is_bad and not found:
            found = runner.run(Message.cut(example))  # what only shows while a message is cut into fields
    except ConfigError as error:
        return f"its options are refused: {error}"
    except Exception as error:  # noqa: BLE001 - whatever the validator raises is what the author must see
        return f"the validator raised {type(error).__name__}: {error}"
    if not is_bad:
        return f"found by mistake: {found[0].message}" if found else ""
    if not found:
        return "nothing was found"
    wanted = _default_action(validator, found[0], Message.of(example)) if example.action is None else example.action
    if found[0].action is not wanted:
        return f"the action is {_word(found[0].action)}, not {wanted.word}"
    return ""


def _default_action(validator: type[Validator], finding: Finding, message: Message) -> Action:
    """What the preset `protect` makes of a finding that asks for no action of its own."""
    profile = NULL if message.envelope.null_sender else 0
    rule = compile_rule(validator.spec, "protect", None, None)
    return rule.action(profile, finding.field.lower() in _AUTHOR, None)


def _word(action: Action | None) -> str:
    return action.word if action is not None else "none"


def _shown(example: Example) -> str:
    text = repr(example.header or example.body or example.sender)
    return text if len(text) <= 100 else f"{text[:100]}..."
