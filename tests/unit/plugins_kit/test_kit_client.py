"""The milter client of the test kit, against the real libmilter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, Action
from forebay.testing import Answer, Message, MilterClient
from forebay.testing import milter_protocol as protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = 0
LITTLE = (
    protocol.NOCONNECT | protocol.NOHELO | protocol.NODATA | protocol.NOBODY | protocol.NR_HDR | protocol.NR_MAIL
    | protocol.HDR_LEADSPC
)  # fmt: skip


@contextmanager
def small_milter(steps: int) -> Iterator[str]:
    """A milter that asks for these protocol steps; its address."""
    with tempfile.TemporaryDirectory(prefix="forebay-", dir="/tmp") as folder:
        address = f"unix:{folder}/milter.sock"
        command = (sys.executable, str(Path(__file__).with_name("small_milter.py")), address, str(steps))
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield address
            process.kill()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A milter that wants all there is, and answers everything."""
    with small_milter(EVERYTHING) as where:
        yield where


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("nothing", Answer(ACCEPT)),
        ("reject", Answer(REJECT, "550 5.6.0 100% no")),
        ("tempfail", Answer(Action.TEMPFAIL)),
        ("hold", Answer(QUARANTINE, reason="to be looked at")),
        ("remove", Answer(ACCEPT, removed=(b"X-Old",))),
    ],
)
def test_every_answer_is_understood(address: str, subject: str, answer: Answer) -> None:
    """What a milter does with a message comes back as one value."""
    with MilterClient(address) as client:
        assert client.send(f"Subject: {subject}\nX-Old: x".encode()) == answer


def test_messages_follow_one_another(address: str) -> None:
    """A connection goes on after any answer."""
    with MilterClient(address) as client:
        answers = [client.send(b"Subject: " + each).action for each in (b"reject", b"x", b"hold", b"reject", b"y")]
    assert answers == [REJECT, ACCEPT, QUARANTINE, REJECT, ACCEPT]


MESSAGE = Message(
    ((b"Subject", b" say"), (b"X", b"  two\n blanks")), b"z" * 70_000, b"<a@example.org>", (b"<b@example.org>", b"<c>"),
    client="192.0.2.7", authenticated=True, smtputf8=True,
)  # fmt: skip


def test_all_of_a_message_is_told(address: str) -> None:
    """Envelope, macros, fields (less one blank, as MTAs send them) and the body in chunks reach the milter."""
    with MilterClient(address) as client:
        (added,) = client.send(MESSAGE).added
    said = (
        b"mail=<a@example.org> SMTPUTF8 client=192.0.2.7 login=someone rcpt=<b@example.org> rcpt=<c> "
        b"Subject=b'say' X=b' two\\n blanks' body=70000"
    )
    assert added == (b"X-Said", said)


def test_what_is_not_wanted_is_not_sent() -> None:
    """A milter that declines the body and answers is not sent the one and not waited for."""
    with small_milter(LITTLE) as where, MilterClient(where) as client:
        assert client.steps == LITTLE
        answer = client.send(MESSAGE)
        assert answer.action is TAG
        assert answer.added[0][1].endswith(b"Subject=b' say' X=b'  two\\n blanks' body=0")


def test_a_body_that_is_skipped_is_not_sent_on(address: str) -> None:
    """After SKIP no further chunk is sent."""
    with MilterClient(address) as client:
        answer = client.send(Message.parse(b"Subject: skip").with_body(b"z" * 200_000))
    assert answer.added[0][1].endswith(b"body=65535")


def test_a_refused_sender_or_recipient_ends_the_message(address: str) -> None:
    """One refused recipient of several is left out; the last one takes the message with it."""
    with MilterClient(address) as client:
        assert client.send(Message(sender=b"<evil>")) == Answer(REJECT)
        assert client.send(Message().sent_to(b"<evil>", b"<evil>")) == Answer(REJECT, "550 5.1.1 no such user")
        assert client.send(Message.parse(b"Subject: x").sent_to(b"<evil>", b"<good>")).action is ACCEPT
        assert client.send(Message.parse(b"Subject: x").sent_to(b"<good>", b"<evil>")).action is ACCEPT


def test_a_milter_that_dies_leaves_the_default_action() -> None:
    """The MTA's default action is a temporary error here; a further connection is refused."""
    with small_milter(EVERYTHING) as where:
        with MilterClient(where) as client:
            assert client.send(b"Subject: die") == Answer(Action.TEMPFAIL, is_cut=True)
            assert client.send(b"Subject: again").is_cut
        with pytest.raises(OSError, match=r"refused|reset|closed|Broken pipe"):
            MilterClient(where)
