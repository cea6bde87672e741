"""What is known of every validator, as rows: for `forebay validators` and for the table in plugins/README.md."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from forebay.api import BudgetValidator
from forebay.config import Config
from forebay.judge.discovery import discover
from forebay.judge.options import LEVELS, RESERVED, configure, first_sentence, options_model
from forebay.judge.policy import NULL, compile_rule, overrides
from forebay.message.finding import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forebay.api import Example, Spec, Validator
    from forebay.judge.discovery import Known
    from forebay.judge.policy import Rule

PRESETS = ("observe", "protect", "strict")
OFF = "off"
"""In place of an action, where a validator is switched off."""

_REQUESTS = {"tag_above": Action.TAG, "quarantine_above": Action.QUARANTINE, "reject_above": Action.REJECT}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a validator: its type in words, its default as a Python value, what it is for (or nothing)."""

    name: str
    type: str
    default: object
    doc: str


@dataclass(frozen=True, slots=True)
class Entry:
    """All that is known of one validator.

    `actions`, `author` and `null_sender` are what it does with its default options, `effective` and
    `effective_author` what it does under the configuration. Each is an action's word, several of them (the levels of
    a budget) joined by a slash, or `off`.
    """

    id: str
    plugin: str
    """The name of its plugin; `origin` is the distribution or the file that this came from."""
    origin: str
    builtin: bool
    group: str
    summary: str
    """The first paragraph of its docstring, in one line; `doc` is the whole."""
    doc: str
    rfc: str
    fields: tuple[str, ...]
    """The names of the fields that it looks at, in lower case; none means any."""
    actions: Mapping[str, str]
    """By preset."""
    author: Mapping[str, str] | None
    """By preset, for findings in From and Sender; None where that makes no difference."""
    null_sender: str | None
    """The most severe action for a message from `<>`; None where that makes no difference."""
    options: tuple[Option, ...]
    good: tuple[Example, ...]
    bad: tuple[Example, ...]
    enabled: bool
    effective: str
    effective_author: str
    cls: type[Validator] = field(repr=False)


def catalogue(config: Config | None = None) -> list[Entry]:
    """Every installed validator, by id; `config` is what is in effect, by default nothing but defaults.

    What is wrong with plugins or options is left out here: `load.compile_judge` tells it.
    """
    config = config or Config()
    known, _ = discover(config.plugins.directory, config.milter.user)
    return entries(known, config)


def entries(known: Sequence[Known], config: Config) -> list[Entry]:
    """The rows of these validators."""
    actions, _ = overrides(config.policy.actions, [each.id for each in known])
    return [_entry(each, config, actions.get(each.id)) for each in known]


def _entry(known: Known, config: Config, override: Action | None) -> Entry:
    cls, spec = known.cls, known.cls.spec
    asked = _requests(cls)
    usual, author = _by_preset(spec, asked, author=False), _by_preset(spec, asked, author=True)
    settings, _ = configure(known, config.validators.get(known.id, {}))
    rule = compile_rule(spec, config.policy.preset, override, settings.null_sender if settings else None)
    now = _requests(settings.validator) if settings else asked
    enabled = settings is not None and settings.enabled
    in_effect = _in_effect if enabled and config.policy.preset != "observe" else _not_in_effect
    return Entry(
        id=known.id,
        plugin=known.plugin,
        origin=known.origin,
        builtin=known.builtin,
        group=spec.group,
        summary=first_sentence(cls),
        doc=inspect.cleandoc(cls.__doc__ or ""),
        rfc=spec.rfc,
        fields=tuple(sorted(name.decode("ascii") for name in spec.fields)),
        actions=usual,
        author=author if author != usual else None,
        null_sender=_null_sender(spec, asked),
        options=_options(cls),
        good=spec.good,
        bad=spec.bad,
        enabled=enabled,
        effective=in_effect(rule, now, author=False) if enabled else OFF,
        effective_author=in_effect(rule, now, author=True) if enabled else OFF,
        cls=cls,
    )


def _requests(validator: Validator | type[Validator]) -> tuple[Action | None, ...]:
    """What its findings ask for: the levels of a budget that are not switched off, nothing in particular of others."""
    kind = validator if isinstance(validator, type) else type(validator)
    if not issubclass(kind, BudgetValidator):
        return (None,)
    return tuple(_REQUESTS[name] for name in LEVELS if getattr(validator, name) > 0)


def _by_preset(spec: Spec, asked: tuple[Action | None, ...], *, author: bool) -> dict[str, str]:
    words = {preset: _in_effect(compile_rule(spec, preset, None, None), asked, author=author) for preset in PRESETS}
    return words | {"observe": Action.ACCEPT.word}


def _in_effect(rule: Rule, asked: tuple[Action | None, ...], *, author: bool, profile: int = 0) -> str:
    if not asked:
        return OFF
    return "/".join(action.word for action in sorted({rule.action(profile, author, each) for each in asked}))


def _not_in_effect(*_: object, **__: object) -> str:
    return Action.ACCEPT.word


def _null_sender(spec: Spec, asked: tuple[Action | None, ...]) -> str | None:
    rules = [compile_rule(spec, preset, None, None) for preset in ("protect", "strict")]
    differs = any(
        _in_effect(rule, asked, author=author) != _in_effect(rule, asked, author=author, profile=NULL)
        for rule in rules
        for author in (False, True)
    )
    return spec.null_sender.word if differs and spec.null_sender is not None else None


def _options(cls: type[Validator]) -> tuple[Option, ...]:
    try:
        model = options_model(cls)
    except (TypeError, NameError, AttributeError):  # a mistake that compile_judge tells
        return ()
    own = {name: info for name, info in model.model_fields.items() if name not in RESERVED}
    if not own:
        return ()
    schema = model.model_json_schema()
    docs = _docs(cls) if set(own) - set(LEVELS) or not issubclass(cls, BudgetValidator) else {}
    return tuple(
        Option(
            name=name,
            type=_type(schema["properties"][name]),
            default=info.default,
            doc=docs.get(name) or info.description or _level(cls, name),
        )
        for name, info in own.items()
    )


def _level(cls: type[Validator], name: str) -> str:
    if not issubclass(cls, BudgetValidator) or name not in _REQUESTS:
        return ""
    return f"{_REQUESTS[name].word} above so many {cls.unit}; 0 for never"


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    words = {"integer": "whole number", "boolean": "true or false", "array": "list", "object": "table"}
    kind = schema.get("type", "any")
    text = words.get(kind, kind)
    if kind == "array" and "type" in schema.get("items", {}):
        text += f" of {_type(schema['items'])}s"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {schema[key]:,}" for key, word in bounds.items() if key in schema]
    return f"{text}, {' and '.join(limits)}" if limits else text


def _docs(cls: type[Validator]) -> dict[str, str]:
    """The strings that stand below the attributes of a class; none where its source cannot be had."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    found: dict[str, str] = {}
    for here, below in pairwise(body):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                found[here.target.id] = " ".join(text.split())
    return found
