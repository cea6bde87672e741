"""Targets of the whole way from a message's bytes to a verdict, with all that is said and written of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from forebay import records
from forebay.cli import marking
from forebay.config import Config, Milter, Policy
from forebay.judge import wording
from forebay.judge.fingerprints import load_judge_and_matcher
from forebay.message import fingerprint, lines, rfc2047, rfc5321
from forebay.message.envelope import Envelope
from forebay.message.field import Field
from forebay.message.finding import Action
from forebay.message.grammars import GRAMMARS
from forebay.message.split import split
from forebay.smtp.desk import Desk
from forebay.smtp.session import Session
from forebay.testing import Message, Runner
from fuzz.message_targets import NAMES
from fuzz.source import Source

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

PROTECT: Final = Runner((), Config(), builtin=True)
STRICT: Final = Runner((), Config(policy=Policy(preset="strict")), builtin=True)
OBSERVE: Final = Runner((), Config(policy=Policy(preset="observe")), builtin=True)
DESK: Final = Desk(
    Config(milter=Milter(state="/nonexistent")),
    load_judge_and_matcher(Config())[1],
)
_FULL: Final = 60
"""With so many findings, two presets list others of them."""


def verdicts(data: bytes) -> None:
    """A flag, a line with the paths of the envelope, and a message: no validator fails, and all that is said has its place."""
    head, _, raw = data[1:].partition(b"\n")
    sender, *recipients = head.split(b" ")[:4]
    cut = split(raw)
    flags = data[0] if data else 0
    message = Message(
        cut.fields, cut.body, sender, tuple(recipients),
        authenticated=bool(flags & 1), smtputf8=bool(flags & 2), noted=cut.diagnosis,
    )  # fmt: skip
    found, strict, observed = (each.verdict(message) for each in (PROTECT, STRICT, OBSERVE))
    assert strict.action >= found.action
    assert observed.action is Action.ACCEPT
    assert observed.would <= found.action or message.authenticated
    if len(strict.findings) < _FULL and len(recipients) < 2:  # of several recipients those before a refusal are read
        assert {(each.id, each.start) for each in found.findings} == {(each.id, each.start) for each in strict.findings}
    for verdict in (found, strict, observed):
        assert not verdict.errors
        check_findings(verdict, message)
        check_words(verdict)
        check_record(verdict, message)
    check_fingerprints(message)


def check_findings(verdict: Verdict, message: Message) -> None:
    """Each in its place, and shown in a line that fits, without a byte that a terminal obeys."""
    source = marking.Source(message.fields, message.envelope, message.body)
    for each in verdict.findings:
        assert each.message.isascii()
        assert each.message.isprintable()
        assert 0 <= each.start <= each.end
        if each.field_index >= 0:
            assert each.field == message.fields[each.field_index][0]
        if each.field_index >= 0 or each.field in {b"MAIL FROM", b"body"}:
            beyond = each.id == "nul-byte" and message.noted  # an MTA cuts a value there
            assert each.end <= len(message.source(each)) + bool(beyond), each
        shown = marking.mark(each, source)
        if shown:
            assert shown.line.isascii()
            assert shown.line.isprintable()
            assert max(len(shown.line), len(shown.indent + shown.sign)) <= marking.WIDTH + 8, shown


def check_words(verdict: Verdict) -> None:
    """The reply, the tag and the reason are single short lines of ASCII."""
    reply = wording.reply(verdict, "https://example.org/why")
    line = f"{reply.code} {reply.enhanced} {reply.text}\r\n"
    assert len(line) <= wording.MOST_REPLY
    reason = wording.quarantine_reason(verdict)
    assert len(reason) <= wording.MOST_REASON
    tag = wording.tag_value(verdict, "mx.example.org").decode("ascii")
    for text in (line[:-2], reason, tag):
        assert text.isascii()
        assert text.isprintable()
    assert wording.is_own_tag(tag.encode(), "MX.example.org")


def check_record(verdict: Verdict, message: Message) -> None:
    """What is written down of it is read back as it was."""
    session = Session()
    session.begin_message(message.sender)
    session.recipients, session.fields = list(message.recipients), list(message.fields)
    session.authenticated, session.smtputf8 = message.authenticated, message.smtputf8
    session.body = message.body
    written = DESK.record(session, verdict)
    assert records.parse(json.dumps(records._plain(written)).encode(), written.id) == written


def check_fingerprints(message: Message) -> None:
    """Of a message folded elsewhere they are the same: an MTA may write it so into the spool."""
    unfolded = [(name, value.replace(b"\n", b"")) for name, value in message.fields]
    assert fingerprint.exact(message.fields, message.sender) == fingerprint.exact(unfolded, message.sender)
    nobody = Envelope(message.sender, message.recipients)
    digests = DESK.matcher.digests(message.fields, message.envelope, message.body)
    assert digests == DESK.matcher.digests(message.fields, nobody, message.body) or message.smtputf8


# -- time --

_SMALL, _LARGE = 14_000, 28_000
_SUSPICIOUS: Final = 0.12
"""Seconds of CPU time from which on growth is looked at: with what the fuzzer adds, hostile bytes may take that."""
_GROWTH: Final = 3.0
_TURNS: Final = 5


def growth(data: bytes) -> None:
    """A piece again and again in a field: twice as many of it take about twice the time, whatever the piece is."""
    source = Source(data)
    name, is_folded = source.pick(NAMES), bool(source.number() & 1)
    start, end = source.take(source.number() % 16), source.take(source.number() % 16)
    piece = source.take(64) or b"x"
    if is_folded:
        piece = piece * (60 // len(piece) + 1) + b"\n "

    def taken(size: int) -> float:
        return seconds(name, start + piece * (size // len(piece)) + end)

    if taken(_LARGE) < _SUSPICIOUS:
        return
    least_small = least_large = float("inf")
    for _ in range(_TURNS):
        least_small, least_large = min(least_small, taken(_SMALL)), min(least_large, taken(_LARGE))
        if least_large < _GROWTH * least_small:
            return
    raise AssertionError(f"{least_large:.3f} s, {least_large / least_small:.1f} times as long as for half of it")


def seconds(name: bytes, value: bytes) -> float:
    """CPU time of all scanners that may meet such a value, and of a verdict on a header with it."""
    message = Message(((name, value), (b"Subject", value)), b"", b"<" + value + b">", (value,))
    field = Field(0, name, value)
    began = time.process_time()
    GRAMMARS[name].recognise(value)
    GRAMMARS[name].diagnose(field)
    rfc2047.scan(value)
    rfc5321.diagnose(value)
    lines.diagnose(field)
    STRICT.verdict(message)
    return time.process_time() - began
