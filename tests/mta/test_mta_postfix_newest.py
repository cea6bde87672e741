"""A newer Postfix than the host's Debian has: every action, what is shown to a milter, and local mail."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

import pytest

from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.newer_postfix import SETTINGS, unpack_newer
from mta.postfix_services import postfix_with
from mta.private_site import (
    DEADLINE,
    GOOD,
    HELD,
    RECIPIENT,
    REFUSED,
    SENDER,
    TAGGED,
    eventually,
    message,
    recording,
    tag_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.quickstart.raw_smtp import Answers
    from forebay.testing import MilterService
    from mta.postfix_services import ServicePostfix
    from mta.private_site import Recording

# The next stable Debian; with --long the one that is never finished as well, whatever it has today.
SUITES: Final = ["trixie", "sid"] if os.environ.get("FOREBAY_TESTS_LONG") else ["trixie"]


@pytest.fixture(scope="module")
def milter() -> Iterator[MilterService]:
    """A milter that protects, and refuses a bad recipient alone."""
    with milter_service("[policy]\nreject_at_rcpt = true\n", milter='socket_mode = "0666"\nworkers = 1') as service:
        yield service


@pytest.fixture(scope="module", params=SUITES)
def postfix(request: pytest.FixtureRequest, milter: MilterService) -> Iterator[ServicePostfix]:
    """The Postfix of a newer Debian, with that milter."""
    settings = SETTINGS | {"smtpd_milters": milter.address, "non_smtpd_milters": milter.address}
    with private_folder() as folder, postfix_with(folder, settings, tree=unpack_newer(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recording]:
    """A milter that writes down what it sees."""
    with recording() as where:
        yield where


def send(postfix: ServicePostfix, data: bytes, recipients: tuple[bytes, ...] = (RECIPIENT,)) -> Answers:
    """Send one message."""
    with RawClient(postfix.port, DEADLINE) as client:
        return client.send(SENDER, recipients, data)


def test_it_is_newer(postfix: ServicePostfix) -> None:
    """And not the host's."""
    major, minor, *_ = postfix.version.split(".")
    assert (int(major), int(minor)) >= (3, 10)


def test_every_action(postfix: ServicePostfix) -> None:
    """Accepted byte for byte, tagged, held and refused, as by the older one."""
    delivered = postfix.delivered(send(postfix, GOOD).last.queue_id, DEADLINE)
    assert delivered.endswith(GOOD.replace(b"\r\n", b"\n"))
    tagged = postfix.delivered(send(postfix, message(TAGGED[0])).last.queue_id, DEADLINE)
    assert tag_of(tagged) == f" mx.example.org; tag; {TAGGED[1]}"
    assert send(postfix, message(REFUSED[0])).last.text == f"550 5.6.0 To: unbalanced '\"' at byte 2 ({REFUSED[1]})"
    held = send(postfix, message(HELD[0])).last
    assert held.queue_id in postfix.held()
    assert tag_of(postfix.held_message(held.queue_id)) == f" mx.example.org; quarantine; {HELD[1]}"


def test_it_logs_why_a_message_is_held(postfix: ServicePostfix) -> None:
    """Which Postfix before 3.10 does not."""
    held = send(postfix, message(HELD[0])).last
    reason = f"To: second @ in an address at byte 6 ({HELD[1]})"
    eventually(
        lambda: any(held.queue_id in line and reason in line for line in postfix.log().splitlines()), postfix.log
    )


def test_a_held_message_is_released(postfix: ServicePostfix, milter: MilterService) -> None:
    """By `postsuper -H`; the milter is not asked again."""
    held = send(postfix, message(HELD[0])).last
    metric = 'forebay_messages_total{action="quarantine"}'
    before = milter.metrics()[metric]
    postfix.tool("postsuper", "-H", held.queue_id, "hold")
    postfix.tool("postqueue", "-f")
    assert b"Hello" in postfix.delivered(held.queue_id, DEADLINE)
    assert milter.metrics()[metric] == before


def test_a_bad_recipient_is_refused_alone(postfix: ServicePostfix) -> None:
    """With reject_at_rcpt."""
    answers = send(postfix, GOOD, (RECIPIENT, b"<joe@[192.0.2.1>"))
    assert [each.code for each in answers.rcpt] == [250, 550]
    assert answers.last.code == 250


@pytest.mark.parametrize("suite", SUITES)
def test_what_it_shows(suite: str, recorder: Recording) -> None:
    """Header lines, folds, NUL, CR, LF and dropped fields: as 3.7 shows them."""
    lines = (
        b"X-Fold: a\r\n b\r\n\tc\r\nX-Nul: a\0b\r\nX-Cr: a\rb\r\nX-Lf: a\nX-Next: b\r\nBcc: x\r\nX-Raw: \xff\x01 \r\n"
    )
    shown = [["X-Fold", " a\n b\n\tc"], ["X-Nul", " a"], ["X-Cr", " a b"], ["X-Lf", " a"], ["X-Next", " b"],
             ["X-Raw", " \xff\x01 "]]  # fmt: skip
    settings = SETTINGS | {"smtpd_milters": recorder.site.milter.address}
    with private_folder() as folder, postfix_with(folder, settings, tree=unpack_newer(suite)) as postfix:
        send(postfix, message(more=lines))
        told = json.loads(recorder._file.read_text())
        assert [each for each in told["fields"] if each[0].startswith("X-")] == shown
        assert "Bcc" not in [name for name, _ in told["fields"]]
        send(postfix, message(more=b"no colon\r\nX-After: x\r\n"))
        assert json.loads(recorder._file.read_text())["body"] == "no colon\r\nX-After: x\r\n\r\nHello\r\n"


@pytest.mark.parametrize("suite", SUITES)
def test_while_the_milter_is_away(suite: str) -> None:
    """default_action of one milter, in the form that the guide has."""
    with private_folder() as folder:
        one = f"{{ unix:{folder}/nobody.sock, default_action=tempfail }}"
        settings = SETTINGS | {"smtpd_milters": one}
        with postfix_with(folder, settings, tree=unpack_newer(suite)) as postfix:
            assert send(postfix, GOOD).mail.text.startswith("451 4.7.1 Service unavailable")
