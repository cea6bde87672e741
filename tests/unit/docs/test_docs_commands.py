"""Every command and option is documented, and everything that is shown is run, or at least parsed."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING, Final

import click
import pytest

from forebay.cli.main import COMMANDS, cli
from forebay.config import Config, load
from forebay.judge.load import compile_judge
from forebay.quickstart.samples import SAMPLES
from unit.docs.console import environment, run, steady, typed
from unit.docs.documents import REFERENCE, ROOT, Block, blocks, prose, section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIVE: Final = re.compile(r"^\$ (?:forebay status|curl )", re.MULTILINE)
"""Commands that ask a running milter: test_docs_service.py has them."""


def where(block: Block) -> str:
    """The name of a test."""
    return block.where


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its name, those that only hold others left out."""
    context = click.Context(cli)
    for each in COMMANDS:
        command = cli.get_command(context, each)
        assert command
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                yield f"{each} {name}", below
        else:
            yield each, command


def options(command: click.Command) -> list[str]:
    """The spellings of all options but --help."""
    return [spelling for each in command.params if isinstance(each, click.Option) for spelling in each.opts]


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_is_documented(name: str, command: click.Command) -> None:
    """Its section shows how to call it, with every option that it has and no other."""
    text = section(REFERENCE, f"### `forebay {name.split(maxsplit=1)[0]}`")
    (shown,) = re.findall(rf"^    forebay {name}\b(.*)$", text, re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])(-{1,2}[a-z-]+)", shown)) == set(options(command))
    for each in command.params:
        if isinstance(each, click.Argument):
            assert (each.metavar or str(each.name)).upper() in shown
        elif isinstance(each.type, click.Choice):
            assert "|".join(each.type.choices) in shown


def test_every_documented_command_exists() -> None:
    """No section is left over from a command that is gone."""
    documented = re.findall(r"^### `forebay (\w+)`$", prose(REFERENCE), re.MULTILINE)
    assert documented == list(COMMANDS)
    shown = re.findall(r"^    forebay ([a-z]+(?: [a-z]+)?)(?= |$)", prose(REFERENCE), re.MULTILINE)
    assert shown == [name for name, _ in commands()]


@pytest.mark.parametrize("block", [each for each in blocks("console") if not LIVE.search(each.text)], ids=where)
def test_what_is_shown_is_what_is_printed(block: Block, tmp_path: Path) -> None:
    """The commands of a block are typed one after the other in an empty folder."""
    (tmp_path / "empty.toml").write_bytes(b"")
    env = environment(tmp_path, tmp_path / "empty.toml")
    for each in typed(block.text):
        assert steady(run(each.command, tmp_path, env)) == steady(each.output)


def typed_in(block: Block) -> list[str]:
    """The lines of a block that are typed."""
    if block.language == "console":
        return [line for each in typed(block.text) for line in each.command.splitlines()]
    return block.text.splitlines() if block.language == "sh" else []


LINES: Final = [
    (each.where, found[0])
    for each in blocks()
    for line in typed_in(each)
    if (found := re.search(r"(?<![\w/.-])forebay (?:milter|check|config|validators|plugins|status)[^|>#]*", line))
]


@pytest.mark.parametrize(("place", "line"), LINES, ids=[place for place, _ in LINES])
def test_every_command_line_parses(place: str, line: str) -> None:
    """Commands, options and arguments are those that exist, whether the line is run here or not."""
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="forebay")
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found
        command = found
    command.make_context(str(command.name), words, parent=context)


@pytest.mark.parametrize("block", [*blocks("sh"), *blocks("console")], ids=where)
def test_the_shell_takes_it(block: Block) -> None:
    """No quote is left open."""
    text = block.text if block.language == "sh" else "\n".join(each.command for each in typed(block.text))
    done = subprocess.run(("bash", "-n"), input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks("toml"), ids=where)
def test_every_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    """Validators and options included."""
    file = tmp_path / "forebay.toml"
    file.write_text(block.text)
    load(str(file), also=lambda config: compile_judge(config)[1])


@pytest.mark.parametrize("block", blocks("cf"), ids=where)
def test_the_lines_for_postfix_are_settings(block: Block) -> None:
    """Name, equals sign, value; the socket is one that the text has the milter listen on."""
    lines = dict(line.split(" = ") for line in block.text.splitlines())
    assert lines["milter_default_action"] == "tempfail"
    socket = lines["smtpd_milters"].removeprefix("unix:")
    chrooted = "/var/spool/postfix/" + socket
    listened = {tomllib.loads(each.text).get("milter", {}).get("listen") for each in blocks("toml")}
    listened.add(Config().milter.listen)
    assert {f"unix:{socket}", f"unix:{chrooted}"} & listened


def test_the_line_for_sendmail_is_a_filter() -> None:
    """It tempfails, its socket is the default one, and it waits longer than a check may hang."""
    (block,) = blocks("mc")
    found = re.fullmatch(r"INPUT_MAIL_FILTER\(`forebay', `S=(\S+), F=(\w), T=(\S+)'\)dnl\n", block.text)
    assert found
    waits = dict(each.split(":") for each in found[3].split(";"))
    defaults = Config().milter
    assert (found[1], found[2]) == (defaults.listen, "T")
    assert float(waits["R"].rstrip("s")) > defaults.hang_time


def test_the_quickstart_shows_what_is_shown() -> None:
    """The excerpt has samples of the show, each with its title, its evil line and the validator that decides."""
    shown = next(each.text for each in blocks("text") if "queued as" in each.text)
    titles = re.findall(r"^\d  (.+)$", shown, re.MULTILINE)
    samples = {each.title: each for each in SAMPLES}
    assert titles
    for title in titles:
        assert samples[title].evil.decode() in shown
        assert samples[title].validator in shown


def test_the_scripts_that_are_named_exist() -> None:
    """What a reader is told to run is there, and executable."""
    text = (ROOT / "README.md").read_text("utf-8") + REFERENCE.read_text("utf-8")
    named = set(re.findall(r"\b((?:milter|tests)/(?:quickstart|prepare|run))\b", text))
    assert named == {"milter/quickstart", "milter/prepare", "tests/run"}
    for each in named:
        assert (ROOT / each).stat().st_mode & 0o111
    told = subprocess.run((str(ROOT / "tests/run"), "--help"), capture_output=True, text=True, check=True).stdout
    for each in re.findall(r"`tests/run (--\w+)`", text):
        assert each in told
