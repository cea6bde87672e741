"""Settings written as TOML (https://toml.io/en/v1.0.0), so that what is shown can be pasted into a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from forebay.config_mistakes import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable


def document(tables: Iterable[tuple[tuple[str, ...], Mapping[str, object]]]) -> str:
    """Tables, each with its path; those without a setting are left out. A setting that is None has no value in TOML."""
    parts = []
    for path, settings in tables:
        lines = [f"{dotted((name,))} = {value(each)}" for name, each in settings.items() if each is not None]
        if lines:
            parts.append("\n".join([f"[{dotted(path)}]", *lines]))
    return "\n\n".join(parts)


def value(given: object) -> str:
    """One value: a string, a number, true or false, a list or an inline table; of anything else its text."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int | float):
        return str(given)
    if isinstance(given, Mapping):
        inside = ", ".join(f"{dotted((str(name),))} = {value(each)}" for name, each in given.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(given, list | tuple | set | frozenset):
        return f"[{', '.join(map(value, given))}]"
    # JSON's escapes are TOML's, and so is ASCII but for DEL.
    return json.dumps(_whole(str(given)), ensure_ascii=False).replace("\x7f", "\\u007f")


def _whole(text: str) -> str:
    """Text without lone surrogates, which TOML has no escape for."""
    return text.encode("utf-8", "replace").decode("utf-8")
