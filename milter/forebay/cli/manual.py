"""The manual pages forebay(1) and forebay.toml(5), written from what `--help` and the configuration are made of."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import click

from forebay import config as configuration
from forebay.cli import example, toml_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGES: Final = {"forebay.1": "man/man1/forebay.1", "forebay.toml.5": "man/man5/forebay.toml.5"}
"""Each page by its place below a directory share/."""

_COMMANDS: Final = """\
forebay keeps malformed mail from killing a mail router. The \\fBmilter\\fR refuses, holds or tags mail whose header is
malformed, while the MTA takes it in. The \\fBsidecar\\fR keeps the router within limits of memory and time, sets aside
the message that it died of all the same, and teaches the milter what that looked like.
"""
_SETTINGS: Final = """\
The configuration of forebay: one file in TOML. Each setting has a default, so that the file may be absent. What is
wrong is refused, at the start as at a reload, with all mistakes at once: \\fBforebay config check\\fR. A change takes
effect with a reload of the service; settings of sockets, users and directories need a restart.
"""
_VALIDATORS: Final = """\
Each validator has options of its own; \\fBforebay validators show\\fR \\fIID\\fR lists them. All have \\fBenabled\\fR,
\\fBon_error\\fR (tag, skip or tempfail) and \\fBnull_sender\\fR (the most severe action for a message from <>).
"""
_FILES: Final = (
    ("/etc/forebay/forebay.toml", "the configuration, unless the environment variable FOREBAY_CONFIG or --config names another"),
    ("/var/lib/forebay", "what outlives a restart: records of quarantined messages and the store"),
    ("/var/lib/forebay-sidecar", "the sidecar's journal"),
    ("/run/forebay", "socket, status and counters"),
)  # fmt: skip
_STATUSES: Final = (
    ("0", "all is well"),
    ("1", "check: something would be quarantined or rejected"),
    ("64", "the command line makes no sense"),
    ("65", "a file was read, and is no message"),
    ("66", "a file that was named cannot be found or read"),
    ("69", "something that is needed cannot be had; status: the milter does not run"),
    ("70", "a mistake of forebay's own"),
    ("74", "a file or directory cannot be read or written"),
    ("75", "not done yet; status: the milter starts, reloads or stops"),
    ("77", "a right is missing"),
    ("78", "the configuration is wrong"),
)


def page(name: str) -> str:
    """One of the pages, in roff (man(7))."""
    return "\n".join(_commands() if name == "forebay.1" else _settings()) + "\n"


def _commands() -> Iterator[str]:
    from forebay.cli.main import COMMANDS, cli

    context = click.Context(cli, info_name="forebay")
    yield _title("FOREBAY", 1)
    yield ".SH NAME\nforebay \\- keeps malformed mail from killing a mail router\n.SH SYNOPSIS"
    yield ".B forebay\n.RI [ OPTION \\&...]\n.I COMMAND\n.RI [ ARGUMENT \\&...]"
    yield f".SH DESCRIPTION\n{_COMMANDS.strip()}\n.SH COMMANDS"
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command
        below = command.commands if isinstance(command, click.Group) else {"": command}
        for more, each in below.items():
            yield from _command(f"forebay {name} {more}".strip(), each)
    yield ".SH FILES"
    yield from _list(_FILES)
    yield ".SH EXIT STATUS"
    yield from _list(_STATUSES)
    yield ".SH SEE ALSO\n.BR forebay.toml (5),\n.BR postsuper (1),\n.BR sendmail (8)"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    words = " ".join(each for each in command.collect_usage_pieces(context) if each != "[OPTIONS]")
    options = [each for each in command.params if isinstance(each, click.Option)]
    yield f".SS {_text(name)}"
    yield f".B {_text(name)}{' [OPTION...]' if options else ''}{' ' if words else ''}{_text(words)}\n.PP"
    yield "\n.PP\n".join(_text(" ".join(each.split())) for each in re.split(r"\n\s*\n", (command.help or "").strip()))
    yield from _list(record for each in options if (record := each.get_help_record(context)))


def _settings() -> Iterator[str]:
    described = configuration.schema()
    yield _title("FOREBAY.TOML", 5)
    yield ".SH NAME\nforebay.toml \\- configuration of forebay\n.SH DESCRIPTION"
    yield _SETTINGS.strip()
    section = None
    for place, default in configuration.settings(configuration.Config()).items():
        of, _, name = place.rpartition(".")
        if of != section:
            section = of
            yield f".SH [{_text(of)}]\n{_text(example.meaning(described, of))}"
        value = "" if place in example.OF_THE_HOST else f" = {toml_text.value(example.shown(place, default))}"
        yield from _list([(f"{name}{value}", example.meaning(described, place))])
    yield f".SH VALIDATORS\n{_VALIDATORS.strip()}"
    yield '.SH EXAMPLES\n.nf\n[policy]\npreset = "observe"\n\n[policy.actions]\naddress\\-multiple\\-at = "tag"\n.fi'
    yield ".SH FILES"
    yield from _list(_FILES)
    yield ".SH SEE ALSO\n.BR forebay (1)"


def _title(name: str, section: int) -> str:
    return f'.TH {name} {section} "" "forebay {version("forebay")}" "forebay"'


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for tag, text in rows:
        yield f".TP\n.B {_text(tag)}\n{_text(text)}"


def _text(text: str) -> str:
    """Text that roff takes as it is: no line of it is a request, no character of it an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = escaped.replace('"', "\\(dq")
    escaped = escaped.replace("^", "\\(ha").replace("~", "\\(ti").replace("\n", " ")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
