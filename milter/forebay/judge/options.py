"""The options of a validator: its annotated attributes, checked against `[validators.ID]` once, at load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from forebay.api import BudgetValidator, Validator
from forebay.config_mistakes import dotted, explain, nearest
from forebay.errors import Mistake
from forebay.message.finding import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forebay.judge.discovery import Known

OnError = Literal["skip", "tag", "tempfail"]

LEVELS = ("tag_above", "quarantine_above", "reject_above")

_RESERVED: dict[str, Any] = {
    "enabled": (bool, True),
    "on_error": (OnError, "tag"),
    "null_sender": (Literal["accept", "tag", "quarantine", "reject"] | None, None),
}
RESERVED = tuple(_RESERVED)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says of one validator.

    `null_sender` is the most severe action for a message from `<>`, None where the validator's own holds.
    """

    validator: Validator
    enabled: bool
    on_error: OnError
    null_sender: Action | None


def configure(known: Known, table: Mapping[str, object]) -> tuple[Settings | None, list[Mistake]]:
    """A validator with its options set and frozen; None and the mistakes where they cannot be."""
    place = ("validators", known.id)
    try:
        model = options_model(known.cls)
    except (TypeError, NameError, AttributeError) as error:
        return None, [Mistake(dotted(place), f"plugin {known.plugin}: {error}")]
    try:
        # TOML has JSON's types: read as JSON, an array becomes a tuple, and "3" is no number.
        checked = model.model_validate_json(json.dumps(dict(table), default=str))
    except ValidationError as failure:
        names = list(model.model_fields)
        errors = failure.errors(include_url=False)
        found = [explain(error, place, lambda where: nearest(str(where[-1]), names)) for error in errors]
        return None, [Mistake(each.place, each.text + _culprit(known)) for each in found]
    values = {name: getattr(checked, name) for name in model.model_fields}
    reserved = {name: values.pop(name) for name in RESERVED}
    null_sender = reserved["null_sender"]
    return (
        Settings(
            validator=known.cls(**values),
            enabled=reserved["enabled"],
            on_error=reserved["on_error"],
            null_sender=Action[null_sender.upper()] if null_sender else None,
        ),
        [],
    )


def options_model(cls: type[Validator]) -> type[BaseModel]:
    """The options of a validator class and the reserved ones, as a pydantic model.

    Raises TypeError for an option without a default or with a reserved name, NameError for an annotation whose
    types are only imported for type checkers.
    """
    fields = dict(_RESERVED)
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if get_origin(hint) is ClassVar or name.startswith("_"):
            continue
        if name in _RESERVED:
            raise TypeError(f"the option {name} has a reserved name")
        if not hasattr(cls, name):
            raise TypeError(f"the option {name} has no default")
        fields[name] = (hint, getattr(cls, name))
    if issubclass(cls, BudgetValidator):
        for name in LEVELS:
            hint, default = fields[name]
            base, *bounds = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            fields[name] = (Annotated[base, Ge(0), *bounds], default)  # of two lower bounds pydantic heeds the later
    return create_model(cls.spec.id, __config__=ConfigDict(extra="forbid", strict=True, frozen=True), **fields)


def own_options(cls: type[Validator]) -> dict[str, object]:
    """The options that a class itself has, each with its default."""
    return {name: field.default for name, field in options_model(cls).model_fields.items() if name not in _RESERVED}


def options_schema(cls: type[Validator]) -> dict[str, Any]:
    """The JSON schema of `[validators.ID]`."""
    return options_model(cls).model_json_schema() | {"description": first_sentence(cls)}


def first_sentence(cls: type[Validator]) -> str:
    """What the validator refuses, in one line."""
    return (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ").replace("\n", " ")


def _culprit(known: Known) -> str:
    return "" if known.builtin else f" (plugin {known.plugin})"
