"""The reference of `forebay.api` in the author's guide is complete: it is written from the interface itself.

FOREBAY_WRITE=1 writes it anew.
"""

from __future__ import annotations

import enum
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forebay import api
from forebay.message.address_reading import Mailbox
from forebay.message.parameter import Parameter
from forebay.message.rfc2045 import MimeValue
from forebay.message.rfc2047 import EncodedWord, EncodedWords
from forebay.message.rfc5322_address import AddressList
from forebay.message.rfc5322_date import DateTime
from forebay.message.rfc5322_id import MessageIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GUIDE = Path(__file__).resolve().parents[3] / "plugins" / "README.md"
BEGIN = "<!-- reference: begin (written by tests/unit/plugins_kit/test_kit_reference.py) -->\n"
END = "<!-- reference: end -->\n"

SECTIONS: dict[str, tuple[Any, ...]] = {
    "To write a plugin": (api.Plugin, api.validator, api.Example),
    "Kinds of validators": (
        api.FieldValidator, api.HeaderValidator, api.EnvelopeValidator, api.BodyStartValidator, api.DefectValidator,
        api.BudgetValidator, api.Validator, api.Spec,
    ),
    "What a validator returns": (api.Finding, api.Action),
    "What a validator gets": (api.Field, api.Header, api.Envelope),
    "What forebay has read of a field": (
        AddressList, Mailbox, MessageIds, DateTime, MimeValue, Parameter, EncodedWords, EncodedWord, api.Diagnosis,
        api.Defect, api.Peak,
    ),
}  # fmt: skip
CONSTANTS = ("ACCEPT", "API", "DEFECTS", "GROUPS", "MEASURES", "QUARANTINE", "REJECT", "TAG")
"""Told in words and tables."""


def reference() -> str:
    """The reference, as Markdown."""
    parts = []
    for title, things in SECTIONS.items():
        parts.append(f"### {title}\n")
        parts += [entry(each) for each in things]
    parts.append("### Constants\n")
    parts.append(
        f"`API` is the number of the interface, {api.API}. `ACCEPT`, `TAG`, `QUARANTINE` and `REJECT` are the actions that a\n"
        f"validator may ask for. `GROUPS` are the groups: {', '.join(f'`{each}`' for each in api.GROUPS)}; exemptions soften\n"
        f"`hygiene` only.\n"
    )
    parts.append(f"### `DEFECTS`: what a `DefectValidator` names\n\n{listed(api.DEFECTS)}")
    parts.append(f"### `MEASURES`: what a `BudgetValidator` names\n\n{listed(api.MEASURES)}")
    return "\n".join(parts)


def entry(thing: Any) -> str:
    """One class or function with its docstring and members."""
    lines = [f"#### `{thing.__name__}`", "", inspect.cleandoc(thing.__doc__), ""]
    if inspect.isfunction(thing):
        lines[2:2] = [f"`{thing.__name__}{signature(thing)}`", ""]
    told = list(members(thing)) if inspect.isclass(thing) else []
    return "\n".join(lines + told + [""] * bool(told))


def members(cls: type[Any]) -> Iterator[str]:
    """The public members that a class has of its own."""
    if issubclass(cls, enum.Enum):
        yield f"- {', '.join(f'`.{each.name}`' for each in cls)}"
    hints = {name: f": {hint}" for name, hint in inspect.get_annotations(cls).items()}
    hints |= {name: "" for name in vars(cls).get("__slots__", ()) if name not in hints}
    attributes = [f"`.{name}{hint}`" for name, hint in hints.items() if not name.startswith("_")]
    if attributes:
        yield f"- {', '.join(attributes)}"
    for name, value in vars(cls).items():
        plain = value.__func__ if isinstance(value, classmethod) else value
        if name.startswith("_") or not (inspect.isfunction(plain) or isinstance(plain, property)):
            continue
        shown = f": {returned(plain.fget)}" if isinstance(plain, property) and plain.fget else signature(plain)
        yield f"- `.{name}{shown}`: {' '.join(inspect.cleandoc(plain.__doc__ or '').split())}"


def signature(function: Any) -> str:
    """Parameters and what is returned, without `self`; a default that is an object of ours is told by its class."""
    given = inspect.signature(function)
    parameters = [each for each in given.parameters.values() if each.name not in {"self", "cls"}]
    named = any(each.kind is each.KEYWORD_ONLY for each in parameters)
    shown = [f"{each.name}: {each.annotation}{default(each)}" for each in parameters]
    return f"({', '.join(['*'] * named + shown)}) -> {given.return_annotation}"


def default(parameter: inspect.Parameter) -> str:
    """A default as the author of a plugin would write it."""
    value = parameter.default
    if value is parameter.empty:
        return ""
    if isinstance(value, api.Action):
        return f" = {value.name}"
    return f" = {type(value).__name__}()" if isinstance(value, api.Envelope) else f" = {value!r}"


def returned(function: Callable[..., object]) -> str:
    """The type of a property."""
    return str(inspect.signature(function).return_annotation)


def listed(names: Mapping[str, str]) -> str:
    """A table of names and what they mean."""
    rows = "".join(f"| `{name}` | {meaning.replace('|', chr(92) + '|')} |\n" for name, meaning in names.items())
    return f"| name | meaning |\n|---|---|\n{rows}"


def test_the_reference_is_the_interface() -> None:
    """Whoever changes the interface sees it change here."""
    before, begin, rest = GUIDE.read_text("utf-8").partition(BEGIN)
    written, end, after = rest.partition(END)
    assert begin
    assert end
    if os.environ.get("FOREBAY_WRITE"):
        written = f"\n{reference()}\n"
        GUIDE.write_text(before + begin + written + end + after, "utf-8")
    assert written.strip() == reference().strip()


def test_the_reference_is_complete() -> None:
    """Every name of the interface has its entry, or stands among the constants."""
    told = {each.__name__ for things in SECTIONS.values() for each in things}
    assert set(api.__all__) - told == set(CONSTANTS)


def test_everything_a_field_is_read_as_is_told() -> None:
    """What the properties of `Field` return stands in the reference."""
    told = {each.__name__ for things in SECTIONS.values() for each in things} | {"bytes"}
    facts = [each.fget for each in vars(api.Field).values() if isinstance(each, property)]
    assert {returned(each) for each in facts if each} <= told
