"""`forebay config`: whether the configuration is right, what is in effect, and the schema of the file."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from forebay import config as configuration
from forebay.cli import toml_text
from forebay.cli.output import error_line, json_document, printable
from forebay.errors import ConfigError
from forebay.judge.discovery import discover
from forebay.judge.load import compile_judge
from forebay.judge.options import RESERVED, configure, options_model, options_schema
from forebay.sidecar.adapters import check_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forebay.config import Config
    from forebay.errors import Mistake
    from forebay.judge.discovery import Known

_FILE = click.option("--config", "path", metavar="FILE", help="The configuration.")

Table = tuple[tuple[str, ...], dict[str, object]]


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command("check")
@_FILE
def check(path: str | None) -> int:
    """Say all that is wrong at once.

    Where nothing is wrong, what the configuration makes forebay do is told. The exit status is 0 or, where something is wrong, 78.
    """
    loaded, known, enabled = _load(path)
    policy = loaded.policy
    plugins = Counter(each.plugin for each in known)
    named = ", ".join(f"{name} ({number})" for name, number in plugins.items())
    click.echo(printable(f"{loaded.source}: no mistakes"))
    click.echo(printable(f"preset {policy.preset}, {enabled:,} of {len(known):,} validators, of plugins {named}"))
    click.echo(printable(f"listens on {loaded.milter.listen}, metrics on {loaded.milter.metrics or 'nothing'}"))
    if loaded.router.adapter != "none":
        where = ", ".join(loaded.router.spool)
        click.echo(printable(f"guards {loaded.router.adapter}{f' in {where}' if where else ''}"))
    return os.EX_OK


@config.command("show")
@_FILE
@click.option("-n", "changed", is_flag=True, help="Only settings that are not the defaults.")
def show(path: str | None, changed: bool) -> int:
    """Show every setting with its value, as TOML."""
    loaded, known, _ = _load(path)
    text = toml_text.document(_tables(loaded, known, changed=changed))
    if text:
        click.echo(text)
    return os.EX_OK


@config.command("schema")
@_FILE
def schema(path: str | None) -> int:
    """Write the JSON schema of the file.

    It is for editors that complete and check TOML, and has the options of every validator that is installed. The configuration is only looked at for the directory of
    local plugins.
    """
    loaded = configuration.load(path)
    known, mistakes = discover(loaded.plugins.directory, loaded.milter.user)
    click.echo(json_document(_schema(known)))
    if mistakes:
        error_line(str(ConfigError(loaded.source, mistakes)))
        return os.EX_CONFIG
    return os.EX_OK


def _load(path: str | None) -> tuple[Config, Sequence[Known], int]:
    """The configuration, the installed validators and how many are switched on; raises ConfigError with all mistakes."""
    enabled: list[str] = []

    def compile_too(config: Config) -> list[Mistake]:
        judge, mistakes = compile_judge(config)
        enabled.extend(judge.ids)
        return mistakes + check_site(config)[1]

    loaded = configuration.load(path, also=compile_too)
    return loaded, discover(loaded.plugins.directory, loaded.milter.user)[0], len(enabled)


def _tables(config: Config, known: Sequence[Known], *, changed: bool) -> Iterator[Table]:
    """Every table of the file with its settings; `changed` leaves out what is as by default."""
    defaults = configuration.settings(configuration.Config())
    tables: dict[tuple[str, ...], dict[str, object]] = {}
    for place, value in configuration.settings(config).items():
        if changed and value == defaults[place]:
            continue
        *table, name = place.split(".")
        if place == "policy.actions":
            tables[table[0], name] = dict(config.policy.actions)
        else:
            tables.setdefault(tuple(table), {})[name] = _written(place, value)
    yield from tables.items()
    for each in known:
        yield ("validators", each.id), _options(each, config, changed=changed)


def _written(place: str, value: object) -> object:
    """A value as the file has it."""
    return f"{value:04o}" if place == "milter.socket_mode" else value


def _options(known: Known, config: Config, *, changed: bool) -> dict[str, object]:
    """Every option of one validator, the reserved ones first."""
    settings, _ = configure(known, config.validators.get(known.id, {}))
    assert settings  # its mistakes have been told
    model = options_model(known.cls).model_fields
    values: dict[str, object] = {
        "enabled": settings.enabled,
        "on_error": settings.on_error,
        "null_sender": settings.null_sender.word if settings.null_sender is not None else None,
    }
    values |= {name: getattr(settings.validator, name) for name in model if name not in RESERVED}
    return {name: value for name, value in values.items() if not changed or value != model[name].default}


def _schema(known: Sequence[Known]) -> dict[str, Any]:
    """The schema of the file, with that of each validator's options in its place."""
    whole = configuration.schema()
    whole["properties"].pop("source", None)  # says where it was read from, and is no setting
    whole["title"] = "forebay.toml"
    tables = {}
    for each in known:
        table = options_schema(each.cls)
        whole["$defs"] |= table.pop("$defs", {})
        tables[each.id] = table
    whole["properties"]["validators"] |= {"properties": tables, "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole
