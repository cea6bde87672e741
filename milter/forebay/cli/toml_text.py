"""Settings written as TOML (https://toml.io/en/v1.0.0), so that what is shown can be pasted into a configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def document(tables: Iterable[tuple[tuple[str, ...], Mapping[str, object]]]) -> str:
    """Tables, each with its path; those without a setting are left out. A setting that is None has no value in TOML."""
    parts = []
    for path, settings in tables:
        lines = [f"{_key(name)} = {value(each)}" for name, each in settings.items() if each is not None]
        if lines:
            parts.append("\n".join([f"[{'.'.join(map(_key, path))}]", *lines]))
    return "\n\n".join(parts)


def value(given: object) -> str:
    """One value: a string, a number, true or false, a list or an inline table; of anything else its text."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int | float):
        return str(given)
    if isinstance(given, Mapping):
        inside = ", ".join(f"{_key(str(name))} = {value(each)}" for name, each in given.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(given, list | tuple | set | frozenset):
        return f"[{', '.join(map(value, given))}]"
    return _string(str(given))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but that TOML escapes DEL too."""
    return json.dumps(_whole(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _whole(text: str) -> str:
    """Text without lone surrogates, which TOML has no escape for."""
    return text.encode("utf-8", "replace").decode("utf-8")
