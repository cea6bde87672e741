"""The interface that plugins are written against is frozen: it may grow, and nothing in it may change.

`api_golden.txt` holds one line for each thing that a plugin can rely on. FOREBAY_WRITE=1 adds what is new.
"""

from __future__ import annotations

import enum
import inspect
import os
from collections.abc import Callable, Mapping
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
    from collections.abc import Iterator

GOLDEN = Path(__file__).with_name("api_golden.txt")
REACHED = (AddressList, DateTime, EncodedWord, EncodedWords, Mailbox, MessageIds, MimeValue, Parameter)
"""What `Field` gives its facts as."""
MADE = (api.Envelope, api.Example, api.Finding, api.Plugin)
"""What plugins and their tests make themselves; the others they only read."""


def surface() -> list[str]:
    """Everything public, one line each."""
    lines = [line for name in api.__all__ for line in thing(name, getattr(api, name))]
    lines += [line for each in REACHED for line in class_lines(each.__name__, each)]
    return sorted(lines)


def thing(name: str, value: Any) -> Iterator[str]:
    """The lines of one name."""
    if inspect.isclass(value):
        yield from class_lines(name, value)
    elif isinstance(value, Mapping):
        yield from (f"{name}[{key!r}]" for key in value)
    elif callable(value):
        yield from function_lines(name, value)
    else:
        yield f"{name} = {value!r}"


def class_lines(name: str, cls: type[Any]) -> Iterator[str]:
    """A class, its bases, and all that is public in it and not inherited."""
    yield f"class {name}({', '.join(base.__name__ for base in cls.__bases__)})"
    if issubclass(cls, enum.Enum):
        yield from (f"{name}.{each.name} = {each.value!r}" for each in cls)
    elif cls in MADE:
        yield from function_lines(name, cls)
    annotations = inspect.get_annotations(cls)
    for attribute, hint in annotations.items():
        if not attribute.startswith("_"):
            yield f"{name}.{attribute}: {hint}"
    slots = [each for each in vars(cls).get("__slots__", ()) if each not in annotations]
    yield from (f"{name}.{each}" for each in slots if not each.startswith("_"))
    for attribute, value in vars(cls).items():
        plain = value.__func__ if isinstance(value, classmethod) else value
        if attribute.startswith("_") or attribute in annotations or isinstance(value, enum.Enum):
            continue
        if isinstance(plain, property):
            assert plain.fget is not None
            yield f"{name}.{attribute}: {inspect.signature(plain.fget).return_annotation}"
        elif inspect.isfunction(plain):
            yield from function_lines(f"{name}.{attribute}", plain)


def function_lines(name: str, function: Callable[..., Any]) -> Iterator[str]:
    """One line a parameter, so that a new one with a default is an addition; and one with all that must be given."""
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.name not in {"self", "cls"}]
    required = [each.name for each in parameters if each.default is each.empty]
    yield f"{name}({', '.join(required)}) -> {signature.return_annotation}"
    for number, each in enumerate(parameters, 1):
        place = "by name" if each.kind is each.KEYWORD_ONLY else f"number {number}"
        default = "" if each.default is each.empty else f" = {default_of(each.default)}"
        if not each.name.startswith("_"):
            yield f"{name}({each.name}: {each.annotation}{default}) {place}"


def default_of(value: object) -> str:
    """A default as it is written, without addresses in memory."""
    return "..." if " object at 0x" in repr(value) else repr(value)


def test_nothing_in_the_interface_has_changed() -> None:
    """A plugin that was written for this interface goes on working: what it can rely on is still there, as it was."""
    changed = sorted(set(GOLDEN.read_text().splitlines()) - set(surface()))
    assert changed == [], "a change of these lines needs a new number of the interface: see the guide"


def test_what_is_new_is_frozen_too() -> None:
    """An addition is allowed, and from then on it is relied on: FOREBAY_WRITE=1 writes it down."""
    if os.environ.get("FOREBAY_WRITE"):
        GOLDEN.write_text("".join(f"{line}\n" for line in sorted({*GOLDEN.read_text().splitlines(), *surface()})))
    new = sorted(set(surface()) - set(GOLDEN.read_text().splitlines()))
    assert new == []


def test_every_public_name_is_explained() -> None:
    """Classes, functions, methods and properties of the interface have a docstring."""
    silent = [
        f"{name}.{attribute}"
        for name in api.__all__
        for attribute, value in {"": getattr(api, name), **public_members(getattr(api, name))}.items()
        if (inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, property)) and not value.__doc__
    ]
    assert silent == []


def public_members(value: object) -> dict[str, object]:
    """What a class defines itself."""
    if not inspect.isclass(value):
        return {}
    return {name: each for name, each in vars(value).items() if not name.startswith("_")}
