"""Log lines: one an event whatever is in it, in Postfix's shape or as JSON, to standard error or to syslog."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from forebay.judge.verdict import Verdict
from forebay.logs import JsonFormatter, PostfixFormatter, describe_error, printable
from forebay.message.envelope import Envelope
from forebay.message.finding import Action, Finding
from forebay.smtp.verdict_line import log_verdict, verdict_event

if TYPE_CHECKING:
    import pytest

FOUND = Finding("address-unbalanced-angle", b"To", 1, 16, 17, 'unbalanced "<" at byte 17', Action.REJECT)
ENVELOPE = Envelope(b"<a@example.org>", (b"<b@example.com>", b"<c@example.com>"), "192.0.2.1")


def record(text: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    """An event as the formatters get it."""
    made = logging.LogRecord("forebay", level, "x", 1, text, None, None)
    made.__dict__.update(extra)
    return made


def test_a_verdict_in_words(caplog: pytest.LogCaptureFixture) -> None:
    """The line that an administrator searches for by queue id, address or validator."""
    with caplog.at_level(logging.INFO, "forebay"):
        log_verdict(Verdict(Action.REJECT, Action.REJECT, (FOUND,)), ENVELOPE, "4Bq1Xn2x")
    assert caplog.records[0].getMessage() == (
        '4Bq1Xn2x: reject: address-unbalanced-angle: To: unbalanced "<" at byte 17; from=<a@example.org> '
        "to=<b@example.com> to=<c@example.com> client=192.0.2.1 recipients=2"
    )


def test_a_verdict_as_json() -> None:
    """The same event as an object, with the action that observe kept from being taken."""
    event = verdict_event(Verdict(Action.ACCEPT, Action.REJECT, (FOUND,), ("rogue",)), ENVELOPE, "")
    line = JsonFormatter().format(record("x", event=event))
    told = json.loads(line)
    assert (told["queue_id"], told["action"], told["would"], told["errors"]) == ("NOQUEUE", "accept", "reject", "rogue")
    assert told["to"] == ["<b@example.com>", "<c@example.com>"]
    assert told["time"].endswith("Z")


@given(st.text(max_size=5000))
def test_no_text_begins_a_line_of_its_own(text: str) -> None:
    """Whatever is logged, it is one line of printable ASCII, in both formats."""
    for line in (PostfixFormatter(named=True).format(record(text)), JsonFormatter().format(record(text))):
        assert line.isascii()
        assert line.isprintable()
    assert len(PostfixFormatter(named=True).format(record(text))) <= 2000


@given(st.binary(max_size=600), st.integers(10, 300))
def test_bytes_of_the_mail_are_escaped_and_cut(value: bytes, limit: int) -> None:
    """The result is printable, no longer than the limit, and says where it was cut."""
    shown = printable(value, limit)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= limit
    assert len(value) <= limit or shown.endswith("...")


@given(st.binary(max_size=300), st.binary(max_size=300), st.text(max_size=100))
def test_no_envelope_breaks_the_line(sender: bytes, recipient: bytes, queue_id: str) -> None:
    """Hostile addresses and queue ids make a long line at worst."""
    event = verdict_event(Verdict(Action.TAG, Action.TAG, (FOUND,)), Envelope(sender, (recipient,)), queue_id)
    assert PostfixFormatter(named=False).format(record(str(event))).isprintable()
    json.loads(JsonFormatter().format(record("x", event=event)))


def test_an_error_tells_where_it_was_raised() -> None:
    """The type, the text, and the innermost place."""
    try:
        Path("/no/such/file").read_bytes()
    except OSError as error:
        told = describe_error(error)
    assert told.startswith("FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file' (")
    assert ", line " in told


def test_what_cannot_be_written_stops_nobody() -> None:
    """A closed standard error and a syslog that is away cost the lines, and nothing else."""
    program = (
        "import logging, os; from forebay import logs; from forebay.config import Log\n"
        "logs.set_up(Log(target='stderr')); os.close(2); logging.getLogger('forebay').error('lost')\n"
        "logs.set_up(Log(target='syslog')); logging.getLogger('forebay').error('lost'); print('alive')"
    )
    done = subprocess.run((sys.executable, "-c", program), stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_syslog_gets_the_name_and_pid() -> None:
    """Lines go to the socket of the local syslog, facility mail, as Postfix's own do."""
    with (
        tempfile.TemporaryDirectory(prefix="forebay-", dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog,
    ):
        syslog.bind(f"{folder}/log")
        syslog.settimeout(30)
        program = (
            "import logging, sys; from forebay import logs; from forebay.config import Log\n"
            "logs._SYSLOG_SOCKETS = (sys.argv[1],)\n"
            "logs.set_up(Log(target='syslog')); logging.getLogger('forebay').warning('hello')"
        )
        with subprocess.Popen((sys.executable, "-c", program, f"{folder}/log")) as process:
            heard = syslog.recv(4096).decode()
            assert process.wait(30) == os.EX_OK
        assert heard == f"<20>forebay[{process.pid}]: warning: hello"
