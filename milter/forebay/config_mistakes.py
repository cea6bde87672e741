"""What pydantic says of a wrong configuration, in words for the one who wrote it.

A mistake has the TOML path of its place, what to write instead, and the nearest name where one was misspelt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from forebay.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

Place = tuple[int | str, ...]

_WRITE = {
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "bool_type": "write true or false",
    "string_type": "write a string between quotation marks",
    "tuple_type": "write a list",
    "list_type": "write a list",
    "frozen_set_type": "write a list",
    "set_type": "write a list",
    "dict_type": "write a table",
    "mapping_type": "write a table",
    "dataclass_type": "write a table",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "write one of {expected}",
    "enum": "write one of {expected}",
    "value_error": "{error}",
}
_UNKNOWN = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
_MOST_SHOWN = 60
_PASSWORD: Final = re.compile(r"(://[^:/@]*:).*@")
"""In a URL, to the last @, for whoever forgot to encode one: a log is read by more people than the configuration."""


def dotted(place: Iterable[int | str]) -> str:
    """A place as TOML writes it: `policy.actions."address-*"`."""
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        bare = part.isascii() and part.replace("-", "").replace("_", "").isalnum()
        path += ("." if path else "") + (part if bare else ascii(part)[1:-1].join('""'))
    return path


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like this one, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def explain(error: ErrorDetails, prefix: Place = (), hint: Callable[[Place], str] = lambda _: "") -> Mistake:
    """One error of pydantic's as a mistake; `hint` says more of a setting that does not exist."""
    place = prefix + error["loc"]
    if error["type"] in _UNKNOWN:
        return Mistake(dotted(place), f"no such setting{hint(place)}")
    context: dict[str, Any] = error.get("ctx", {})
    template = _WRITE.get(error["type"])
    text = template.format_map(context) if template else error["msg"]
    return Mistake(dotted(place), f"{text} (got {_shown(error['input'])})")


def check(adapter: TypeAdapter[Any], data: dict[str, Any], hint: Callable[[Place], str]) -> tuple[Any, list[Mistake]]:
    """What can be made of `data`, and every mistake in it: what is wrong is left out, so that its default stands."""
    mistakes: list[Mistake] = []
    while True:
        try:
            return adapter.validate_python(data), mistakes
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
            mistakes += [explain(error, hint=hint) for error in errors]
            for error in errors:
                data = _without(data, error["loc"])


def _without(table: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """A copy of `table` that lacks what stands at `place`, or the list that holds it."""
    rest = dict(table)
    head, tail = str(place[0]), place[1:]
    below = rest.get(head)
    if tail and isinstance(below, Mapping) and tail[0] in below:
        rest[head] = _without(below, tail)
    else:
        rest.pop(head, None)
    return rest


def _shown(value: object) -> str:
    text = _PASSWORD.sub(r"\1***@", ascii(value))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
