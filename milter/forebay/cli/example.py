"""The example configuration: every setting with its default, as comments, written from the schema."""

from __future__ import annotations

from typing import Any, Final

from forebay import config as configuration
from forebay.cli import toml_text

OF_THE_HOST: Final = {"milter.hostname": "mx.example.org", "milter.socket_group": "postfix"}
"""Settings whose default depends on the host, as the example has them."""
_LEAD: Final = """\
# The configuration of forebay. Each setting stands here with its default, behind a #. See forebay.toml(5).
# What is wrong, all of it: forebay config check. A change takes effect with: systemctl reload forebay-milter
# (and forebay-sidecar, for the sections router and sidecar).
# Begin with preset = "observe": it refuses nothing, and logs what would have been done.
"""
_TAIL: Final = """
# Each validator has options of its own: forebay validators show ID lists them.
#[validators.header-count]
#enabled = true
"""


def example() -> str:
    """forebay.toml with every setting and its default as comments, section by section."""
    schema = configuration.schema()
    sections: dict[str, list[str]] = {}
    for place, default in configuration.settings(configuration.Config()).items():
        section, _, name = place.rpartition(".")
        value = OF_THE_HOST.get(place, shown(place, default))
        lines = sections.setdefault(section, [])
        lines.append(f"# {meaning(schema, place)}\n#{name} = {toml_text.value(value)}\n")
    written = [f"\n[{section}]\n{''.join(lines)}" for section, lines in sections.items()]
    return "".join([_LEAD, *written, _TAIL])


def shown(place: str, default: object) -> object:
    """A default as it is written in the file."""
    return f"{default:04o}" if place == "milter.socket_mode" else default


def meaning(schema: dict[str, Any], place: str) -> str:
    """The sentence that explains a setting, or a section."""
    level = schema
    for part in place.split("."):
        level = _resolved(schema, level)["properties"][part]
    return str(level.get("description") or _resolved(schema, level)["description"]).replace("\n", " ")


def _resolved(schema: dict[str, Any], level: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][level["$ref"].rpartition("/")[2]] if "$ref" in level else level
    return found
