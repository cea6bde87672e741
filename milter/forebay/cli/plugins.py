"""`forebay plugins`: which plugins there are, and a new one to begin with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from forebay import config as configuration
from forebay.cli.output import error_line, json_line, printable, table
from forebay.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.judge.discovery import Known


@click.group()
def plugins() -> None:
    """List the plugins, and begin a new one."""


@plugins.command("list")
@click.option("--config", "path", metavar="FILE", help="The configuration; it names the directory of local plugins.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(path: str | None, as_json: bool) -> int:
    """List the installed plugins, each with its validators.

    A plugin that cannot be loaded is told on standard error, and the exit status is 78.
    """
    from forebay.judge.discovery import discover

    config = configuration.load(path)
    known, mistakes = discover(config.plugins.directory, config.milter.user)
    found = _by_plugin(known)
    if as_json:
        for (name, origin), validators in found.items():
            ids = [each.id for each in validators]
            click.echo(
                json_line({"plugin": name, "origin": origin, "builtin": validators[0].builtin, "validators": ids})
            )
    elif found:
        rows = [(name, origin, _counted(validators)) for (name, origin), validators in found.items()]
        click.echo(table([("PLUGIN", "FROM", "VALIDATORS"), *rows]))
    if mistakes:
        error_line(str(ConfigError(config.source, mistakes)))
        return os.EX_CONFIG
    return os.EX_OK


@plugins.command()
@click.argument("name")
@click.option("--into", "parent", metavar="DIRECTORY", default=".", help="Where the new directory is made.")
def new(name: str, parent: str) -> None:
    """Begin a plugin: a directory NAME with a package that works, passes its tests and can be installed.

    NAME is kebab-case, and the id of its first validator.
    """
    from forebay.cli.plugin_template import write
    from forebay.judge.discovery import discover

    taken = next((each for each in discover()[0] if each.id == name), None)
    if taken:
        raise UsageError(f"{name}: {taken.origin} has a validator of that name; choose another")
    folder, written = write(name, parent)
    for each in written:
        click.echo(printable(each))
    click.echo(
        f"\nNext, in a virtual environment that has forebay:\n"
        f"    cd {printable(folder)}\n"
        f"    pip install --editable '.[dev]'\n"
        f"    pytest\n"
        f"    forebay plugins list"
    )


def _by_plugin(known: Iterable[Known]) -> dict[tuple[str, str], list[Known]]:
    found: dict[tuple[str, str], list[Known]] = {}
    for each in sorted(known, key=lambda each: (not each.builtin, each.plugin, each.origin)):
        found.setdefault((each.plugin, each.origin), []).append(each)
    return found


def _counted(validators: list[Known]) -> str:
    shown = ", ".join(each.id for each in validators[:4])
    return shown if len(validators) <= 4 else f"{shown} and {len(validators) - 4} more"
