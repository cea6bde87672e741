"""The validators that forebay brings along: the whole catalogue of malformed headers, one file a concern."""

from __future__ import annotations

from forebay.api import Plugin, Validator
from forebay_validators import (
    address_brackets,
    address_list,
    address_phrase,
    address_route,
    address_spec,
    ambiguity,
    body,
    budgets_address,
    budgets_header,
    budgets_other,
    dates,
    encoded_words,
    ids,
    mime_parameters,
    mime_type,
    names,
    presence,
    trace,
    wire,
)

CONCERNS = (
    wire,
    names,
    body,
    budgets_header,
    budgets_address,
    budgets_other,
    address_brackets,
    address_list,
    address_phrase,
    address_spec,
    address_route,
    presence,
    ambiguity,
    encoded_words,
    dates,
    ids,
    mime_type,
    mime_parameters,
    trace,
)
"""The modules, in the order in which the catalogue tells of them."""


def _validators() -> tuple[type[Validator], ...]:
    """Every class under `@validator`, in the order in which it stands in the files."""
    return tuple(
        each
        for module in CONCERNS
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Validator) and "spec" in vars(each)
    )


plugin = Plugin(name="builtin", api=1, validators=_validators())
