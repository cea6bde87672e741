"""`forebay check`: what would happen to these messages, and why.

A message is cut into fields as Postfix cuts it (what it drops is not counted), but a long field stays whole. The
envelope is what the options say, else the sender that an mbox line or Return-Path names, else an ordinary one.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from forebay.cli.marking import Source
from forebay.cli.messages import BODY_BYTES, files, read
from forebay.cli.output import error_line
from forebay.cli.progress import Progress
from forebay.cli.report import JsonReport, TextReport
from forebay.errors import ForebayError
from forebay.judge.load import load
from forebay.message.envelope import Envelope
from forebay.message.finding import Action
from forebay.message.split import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.cli.messages import Message
    from forebay.cli.report import Report
    from forebay.judge.runner import Judge
    from forebay.judge.verdict import Verdict

PRESETS = ("observe", "protect", "strict")
ORDINARY_SENDER = b"<sender@example.org>"
REFUSED = 1
"""The exit status where something would be quarantined or rejected."""
MOST_TEXT = 200


@click.command()
@click.option("--config", "path", metavar="FILE", help="The configuration.")
@click.option("--preset", type=click.Choice(PRESETS), help="The preset, instead of the configured one.")
@click.option("--sender", metavar="ADDRESS", help="The envelope sender; '<>' or '' for a bounce.")
@click.option("--recipient", "recipients", metavar="ADDRESS", multiple=True, help="An envelope recipient; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, one for each message.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def check(
    path: str | None,
    preset: str | None,
    sender: str | None,
    recipients: tuple[str, ...],
    as_json: bool,
    paths: tuple[str, ...],
) -> int:
    """Say what would happen to messages, and why.

    PATH is a file, a directory, an mbox, a Maildir, or - for standard input. A message without findings is only
    counted. The number before a line that is shown is that of the field, as the milter counts them.

    The exit status is 0 where nothing is refused, 1 where something would be quarantined or rejected, and one of
    sysexits(3) where something could not be read.
    """
    config, judge = load(path, preset)
    observe = (preset or config.policy.preset) == "observe"
    report: Report = (JsonReport if as_json else TextReport)(sys.stdout, observe=observe)
    gc.freeze()  # what is loaded stays, and need not be looked at again and again
    with Progress(sys.stderr, paths) as progress:
        checking = _Checking(judge, _envelope(sender, recipients), report, progress)
        for each in paths:
            checking.check(each)
    report.close()
    return checking.status


class _Checking:
    """Judges one message after the other, and keeps the exit status."""

    def __init__(
        self, judge: Judge, envelope: Callable[[bytes | None], Envelope], report: Report, progress: Progress
    ) -> None:
        self._judge = judge
        self._envelope = envelope
        self._report = report
        self._progress = progress
        self._is_seen = sys.stdout.isatty()  # where the bar is, perhaps
        self._refused = self._error = os.EX_OK
        self._path = ""
        self._failures: set[tuple[str, str]] = set()
        judge.failed = self._failed

    @property
    def status(self) -> int:
        """That of the first thing that could not be read, else whether something was refused."""
        return self._error or self._refused

    def check(self, path: str) -> None:
        """Judge every message at this path."""
        for file in files(path, self._unread):
            self._path = file
            try:
                for message in read(file):
                    self._judge_one(message)
            except ForebayError as error:
                self._unread(error)
            self._progress.file(file)

    def _judge_one(self, message: Message) -> None:
        cut = split(message.raw, longest_field=0)
        envelope = self._envelope(cut.sender if message.sender is None else message.sender)
        body = _as_sent(cut.body) if self._judge.needs_body else b""
        verdict = self._judge.judge(cut.fields, envelope, body, cut.diagnosis)
        if _is_refusal(verdict):
            self._refused = REFUSED
        if verdict.findings and self._is_seen:
            self._progress.clear()
        self._report.add(message, verdict, Source(cut.fields, envelope, body))
        self._progress.message(message.end)

    def _unread(self, error: ForebayError) -> None:
        self._progress.clear()
        error_line(str(error))
        self._error = self._error or error.exit_code

    def _failed(self, validator: str, error: BaseException) -> None:
        """Tell of a validator that failed: once for each kind of failure."""
        kind = type(error).__name__
        if (validator, kind) not in self._failures:
            self._failures.add((validator, kind))
            self._progress.clear()
            text = " ".join(str(error).split())[:MOST_TEXT]
            error_line(f"{self._path}: validator {validator} failed: {kind}: {text}")


def _is_refusal(verdict: Verdict) -> bool:
    return verdict.action > Action.TAG


def _envelope(sender: str | None, recipients: tuple[str, ...]) -> Callable[[bytes | None], Envelope]:
    """A function that gives the envelope of a message, from the sender that the message itself names."""
    paths = tuple(map(_bracketed, recipients))
    given = None if sender is None else _bracketed(sender)

    def envelope(named: bytes | None) -> Envelope:
        known = named if given is None else given
        return Envelope(ORDINARY_SENDER if known is None else known, paths)

    return envelope


def _bracketed(address: str) -> bytes:
    """An address as the MTA passes it on; what has brackets already stays as it is."""
    path = os.fsencode(address)
    return path if path.startswith(b"<") else b"<" + path + b">"


def _as_sent(body: bytes) -> bytes:
    """The first chunk of a body, as an MTA passes it on: lines end with CRLF."""
    start = body[:BODY_BYTES]
    ended = start.count(b"\r\n") if b"\r" in start else 0
    if ended and ended == start.count(b"\n"):
        return start
    return start.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")[:BODY_BYTES]
