"""A validator's examples as text, and what it finds in them: run, not remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.api import Example
from forebay.cli.marking import Source
from forebay.cli.report import finding_lines
from forebay.config import Config
from forebay.judge.wording import escape
from forebay.testing.message import Message
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.api import Finding, Validator

MOST_LINES = 6
WIDTH = 88

_PLAIN = Example()


def shown(example: Example) -> list[str]:
    """The lines of an example: what differs from an ordinary envelope, options, header and body; long ones are cut."""
    return list(_envelope(example)) + _lines(example.header) + [f"(body) {each}" for each in _lines(example.body)]


def findings(cls: type[Validator], example: Example) -> tuple[tuple[Finding, ...], Source]:
    """What a validator finds in an example, with its default options or those that the example names."""
    runner = Runner((cls,), Config(validators={cls.spec.id: dict(example.options)}))
    message = Message.of(example)
    found = runner.run(message)
    if not found:  # some things only show while a message is cut into fields
        message = Message.cut(example)
        found = runner.run(message)
    return found, Source(message.fields, message.envelope, message.body)


def demonstration(cls: type[Validator], example: Example, *, coloured: bool) -> list[str]:
    """The first finding in an example, as `forebay check` shows it."""
    found, source = findings(cls, example)
    return finding_lines(found[0], source, coloured=coloured) if found else []


def _envelope(example: Example) -> Iterator[str]:
    for name, value in example.options:
        yield f"(option) {name} = {value!r}"
    if example.sender != _PLAIN.sender:
        yield f"MAIL FROM:{escape(example.sender, WIDTH)}{' SMTPUTF8' if example.smtputf8 else ''}"
    elif example.smtputf8:
        yield "(SMTPUTF8)"
    if example.recipients != _PLAIN.recipients:
        for each in example.recipients[:MOST_LINES]:
            yield f"RCPT TO:{escape(each, WIDTH)}"


def _lines(text: bytes) -> list[str]:
    if not text:
        return []
    lines = text.removesuffix(b"\n").split(b"\n")
    shown = [escape(line.removesuffix(b"\r"), WIDTH) for line in lines[:MOST_LINES]]
    more = len(lines) - MOST_LINES
    return [*shown, f"... and {more:,} more lines"] if more > 0 else shown
