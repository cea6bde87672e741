"""`forebay validators`: which checks there are, what each refuses, and what it does under the configuration."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forebay import config as configuration
from forebay.cli import toml_text
from forebay.cli.examples import demonstration, findings, shown
from forebay.cli.output import colours, error_line, json_line, printable, table
from forebay.cli.report import plain
from forebay.config_mistakes import nearest
from forebay.errors import ConfigError, UsageError
from forebay.judge.catalogue import PRESETS, Entry, Option, entries
from forebay.judge.discovery import discover
from forebay.judge.load import judge_of
from forebay.judge.wording import escape
from forebay.smtp import statusfile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.api import Example
    from forebay.config import Config
    from forebay.errors import Mistake

_FILE = click.option("--config", "path", metavar="FILE", help="The configuration.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
NARROW = 100
"""Columns of a line of prose."""
MOST_EXAMPLE = 400
"""Bytes of an example in JSON."""


@dataclass(frozen=True, slots=True)
class State:
    """What a running milter says of a validator."""

    errors: int
    hangs: int
    benched: bool

    def __str__(self) -> str:
        told = [f"{number:,} {word}" for number, word in ((self.errors, "errors"), (self.hangs, "hangs")) if number]
        return ", ".join((["benched"] if self.benched else []) + told) or "ok"


@click.group()
def validators() -> None:
    """List and explain the validators."""


@validators.command("list")
@_FILE
@_JSON
def list_(path: str | None, as_json: bool) -> int:
    """List them, with what each does.

    What is told is what it does under the configuration. While a milter runs, its state is told too. A plugin or a setting that is wrong is told on standard error, and the
    exit status is 78.
    """
    config, known, mistakes = _load(path)
    states = _states(config)
    if as_json:
        for each in known:
            click.echo(json_line(_plain(each, states)))
    else:
        rows = [(each.id, each.group, _effective(each), each.plugin, *_state(each, states)) for each in known]
        click.echo(table([("ID", "GROUP", "ACTION", "PLUGIN", *(["STATE"] if states else [])), *rows]))
    return _told(config, mistakes)


@validators.command()
@_FILE
@_JSON
@click.argument("name", metavar="ID")
def show(path: str | None, as_json: bool, name: str) -> int:
    """Explain one of them.

    What it refuses and why, what it does under each preset, its options, and examples with what is found in them.
    """
    config, known, mistakes = _load(path)
    found = next((each for each in known if each.id == name), None)
    if not found:
        hint = nearest(name, [each.id for each in known]) or "; `forebay validators list` shows them all"
        raise UsageError(f"{name}: no validator of that name{hint}")
    states = _states(config)
    if as_json:
        examples = {"good": [_example(each) for each in found.good], "bad": [_found(found, each) for each in found.bad]}
        click.echo(json_line(_plain(found, states) | {"doc": found.doc} | examples))
    else:
        for line in explain(found, states, coloured=colours(sys.stdout)):
            click.echo(line)
    return _told(config, mistakes)


def _load(path: str | None) -> tuple[Config, list[Entry], list[Mistake]]:
    config = configuration.load(path)
    known, mistakes = discover(config.plugins.directory, config.milter.user)
    return config, entries(known, config), mistakes + judge_of(known, config)[1]


def _told(config: Config, mistakes: list[Mistake]) -> int:
    """Tell what is wrong with plugins and settings; the exit status."""
    if not mistakes:
        return os.EX_OK
    error_line(str(ConfigError(config.source, mistakes)))
    return os.EX_CONFIG


def _states(config: Config) -> dict[str, State] | None:
    """The state of the validators that a running milter tells of; None where none runs."""
    runtime = Path(config.milter.runtime)
    status = statusfile.read(runtime) if statusfile.is_live(runtime) else None
    told = status.get("validators") if status else None
    if not isinstance(told, dict):
        return None
    return {
        str(name): State(_number(each, "errors"), _number(each, "hangs"), each.get("benched") is True)
        for name, each in told.items()
        if isinstance(each, dict)
    }


def _number(told: dict[str, Any], name: str) -> int:
    number = told.get(name, 0)
    return number if isinstance(number, int) else 0


def _state(entry: Entry, states: dict[str, State] | None) -> tuple[str, ...]:
    if states is None:
        return ()
    return (str(states.get(entry.id, State(0, 0, benched=False))),)


def _effective(entry: Entry) -> str:
    if entry.effective_author == entry.effective:
        return entry.effective
    return f"{entry.effective} ({entry.effective_author} in From, Sender)"


def explain(entry: Entry, states: dict[str, State] | None, *, coloured: bool) -> Iterator[str]:
    """All that there is to say of one validator, for a person."""
    yield from _title(entry)
    yield ""
    for paragraph in entry.doc.split("\n\n"):
        yield from textwrap.wrap(
            printable(" ".join(paragraph.split())), min(NARROW, shutil.get_terminal_size().columns)
        )
        yield ""
    yield from _facts(entry, states)
    yield ""
    yield f"Options, in [validators.{entry.id}]:"
    yield from _options(entry)
    for example in entry.good:
        yield from ("", "Good:", *(f"  {line}" for line in shown(example)))
    for example in entry.bad:
        yield from ("", "Bad:", *(f"  {line}" for line in shown(example)))
        yield from demonstration(entry.cls, example, coloured=coloured)


def _title(entry: Entry) -> Iterator[str]:
    yield printable(entry.id)
    yield printable(f"  of plugin {entry.plugin} ({entry.origin}), group {entry.group}")


def _facts(entry: Entry, states: dict[str, State] | None) -> Iterator[str]:
    if entry.rfc:
        yield printable(f"See {entry.rfc}.")
    if entry.fields:
        yield f"Looks at: {', '.join(map(printable, entry.fields))}."
    rows = [("", *PRESETS), ("Action", *(entry.actions[each] for each in PRESETS))]
    if entry.author:
        rows.append(("in From and Sender", *(entry.author[each] for each in PRESETS)))
    if entry.null_sender:
        rows.append(("from <>, at most", *("accept", entry.null_sender, entry.null_sender)))
    yield table(rows)
    yield f"Under this configuration: {_effective(entry)}."
    yield from (f"In the running milter: {state}." for state in _state(entry, states))


def _options(entry: Entry) -> Iterator[str]:
    reserved = (
        Option("enabled", "true or false", True, "whether it is asked at all"),
        Option("on_error", "tag, skip or tempfail", "tag", "what becomes of a message on which it fails"),
        Option("null_sender", "an action", None, "the most severe action for a message from <>"),
    )
    rows = []
    for each in (*entry.options, *reserved):
        setting = each.name if each.default is None else f"{each.name} = {toml_text.value(each.default)}"
        rows.append((f"  {setting}", f"{each.type}: {each.doc}" if each.doc else each.type))
    yield table(rows)


def _plain(entry: Entry, states: dict[str, State] | None) -> dict[str, object]:
    """An entry for JSON."""
    plain: dict[str, object] = {
        "id": entry.id,
        "plugin": entry.plugin,
        "origin": entry.origin,
        "builtin": entry.builtin,
        "group": entry.group,
        "summary": entry.summary,
        "rfc": entry.rfc,
        "fields": list(entry.fields),
        "actions": dict(entry.actions),
        "author": dict(entry.author) if entry.author else None,
        "null_sender": entry.null_sender,
        "options": [
            {"name": each.name, "type": each.type, "default": _json_value(each.default), "doc": each.doc}
            for each in entry.options
        ],
        "enabled": entry.enabled,
        "action": entry.effective,
        "author_action": entry.effective_author,
    }
    if states is not None:
        state = states.get(entry.id, State(0, 0, benched=False))
        plain |= {"errors": state.errors, "hangs": state.hangs, "benched": state.benched}
    return plain


def _json_value(value: object) -> object:
    if isinstance(value, tuple | set | frozenset | list):
        return [_json_value(each) for each in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _example(example: Example) -> dict[str, object]:
    """An example for JSON: bytes are escaped and cut."""
    return {
        "header": escape(example.header, MOST_EXAMPLE),
        "sender": escape(example.sender, MOST_EXAMPLE),
        "recipients": [escape(each, MOST_EXAMPLE) for each in example.recipients],
        "body": escape(example.body, MOST_EXAMPLE),
        "smtputf8": example.smtputf8,
        "options": {name: _json_value(value) for name, value in example.options},
    }


def _found(entry: Entry, example: Example) -> dict[str, object]:
    found, _ = findings(entry.cls, example)
    return _example(example) | {"finding": plain(found[0]) if found else None}
