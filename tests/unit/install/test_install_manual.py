"""The manual pages: complete, and such that man(1) takes them without a word."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from forebay import config as configuration
from forebay.cli.main import COMMANDS, cli
from forebay.cli.manual import PAGES, page
from forebay.quickstart.debs import library_path, unpack

CACHE = Path(__file__).resolve().parents[3] / ".cache"
DATELESS = "missing date, using"
"""A page is the same whenever it is written, so that it has no date; mandoc would like one."""


def mandoc(name: str, folder: Path, *options: str) -> str:
    """What mandoc makes of a page, or says of it."""
    (folder / name).write_text(page(name))
    tree = unpack("mandoc", CACHE)
    command = (str(tree / "usr/bin/mandoc"), *options, name)
    env = {**os.environ, "LD_LIBRARY_PATH": library_path(tree), "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False).stdout


def plain(name: str, folder: Path) -> str:
    """A page as it is read: no bold, and no line broken."""
    shown = re.sub(r".\x08", "", mandoc(name, folder, "-T", "utf8", "-O", "width=1000"))
    return re.sub(r"\s+", " ", shown)


@pytest.mark.parametrize("name", PAGES)
def test_mandoc_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    """Neither an error nor a warning."""
    said = mandoc(name, tmp_path, "-T", "lint", "-W", "warning")
    assert [line for line in said.splitlines() if DATELESS not in line] == []


def test_every_command_and_option_is_told(tmp_path: Path) -> None:
    """With the sentence that --help has for it."""
    shown = plain("forebay.1", tmp_path)
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command
        for each in command.commands.values() if isinstance(command, click.Group) else (command,):
            for option in each.params:
                if isinstance(option, click.Option):
                    assert f" {option.opts[0]}" in shown
                    assert (option.help or "") in shown


def test_every_setting_is_told(tmp_path: Path) -> None:
    """With its section and its default."""
    shown = plain("forebay.toml.5", tmp_path)
    for place in configuration.settings(configuration.Config()):
        section, _, name = place.rpartition(".")
        assert f" [{section}] " in shown
        assert re.search(rf" {re.escape(name)}(?: =| )", shown)
    assert 'listen = "unix:/run/forebay/milter.sock"' in shown
    assert 'socket_mode = "0660"' in shown
