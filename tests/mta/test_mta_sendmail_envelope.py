"""Envelope addresses on a real Sendmail: what it refuses by itself, and what we refuse with the message or at RCPT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mta.private_sendmail import SendmailSite, queue_id, sendmail_site
from mta.private_site import GOOD, RECIPIENT, REFUSED, SENDER, message

if TYPE_CHECKING:
    from collections.abc import Iterator

EVIL = b"<joe@[192.0.2.1>"
REPLY = 'RCPT TO: unbalanced "[" at byte 6 (address-unbalanced-bracket)'


@pytest.fixture(scope="module")
def site() -> Iterator[SendmailSite]:
    """Envelope findings come with the verdict on the header, as is the default."""
    with sendmail_site() as where:
        yield where


@pytest.fixture(scope="module")
def strict_site() -> Iterator[SendmailSite]:
    """Bad recipients are refused alone."""
    with sendmail_site("[policy]\nreject_at_rcpt = true\n") as where:
        yield where


@pytest.mark.parametrize(
    "address",
    [b'<bob@[127.0.0."1]>', b'<"joe@example.com>', b"<joe(@example.com>", b"<joe@example.com", b"<joe@@example.com>"],
)
def test_sendmail_refuses_some_by_itself(site: SendmailSite, address: bytes) -> None:
    """Unbalanced quotes, comments and angles, and two @, are refused before we are asked, in both places."""
    for answers in (site.send(GOOD, recipients=(address,)), site.send(GOOD, sender=address)):
        assert answers.data is None
        assert answers.last.code == 553


def test_an_evil_recipient_is_refused_with_the_message(site: SendmailSite) -> None:
    """RCPT itself is answered without asking us; the message is refused for all."""
    answers = site.send(GOOD, recipients=(RECIPIENT, EVIL))
    assert [each.code for each in answers.rcpt] == [250, 250]
    assert answers.last.text == f"550 5.1.3 {REPLY}"


def test_an_evil_sender_is_refused_with_the_message(site: SendmailSite) -> None:
    """The same for MAIL, with the status for senders."""
    assert site.send(GOOD, sender=EVIL).last.text.startswith("550 5.1.7 MAIL FROM: ")


def test_a_lesser_evil_in_the_envelope_is_held(site: SendmailSite) -> None:
    """A source route is quarantined."""
    last = site.send(GOOD, recipients=(b"<@a.example,@b.example:joe@example.com>",)).last
    assert queue_id(last) in site.sendmail.queued("hf")
    assert f"{queue_id(last)}: quarantine: obs-route: RCPT TO: " in site.milter.log()


def test_an_evil_recipient_is_refused_alone(strict_site: SendmailSite) -> None:
    """With reject_at_rcpt the others get their message; Sendmail puts the address before the text."""
    answers = strict_site.send(GOOD, recipients=(RECIPIENT, EVIL, b"<ann@example.com>"))
    assert [each.code for each in answers.rcpt] == [250, 550, 250]
    assert answers.rcpt[1].text == f"550 5.1.3 {EVIL.decode()}... {REPLY}"
    assert answers.last.code == 250
    assert b"Hello" in strict_site.sendmail.delivered(queue_id(answers.last))
    assert strict_site.milter.metrics()["forebay_recipients_rejected_total"] >= 1


def test_a_message_without_a_good_recipient_ends_at_rcpt(strict_site: SendmailSite) -> None:
    """No DATA then; and the connection goes on."""
    with strict_site.client() as client:
        assert client.send(SENDER, (EVIL, EVIL), GOOD).data is None
        assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250


def test_the_null_sender_is_no_defect(site: SendmailSite) -> None:
    """Bounces pass, and are judged like other mail where their header is evil."""
    assert site.send(GOOD, sender=b"<>").last.code == 250
    assert site.send(message(REFUSED[0]), sender=b"<>").last.code == 550


def test_a_client_that_cannot_bounce_has_its_evil_mail_held() -> None:
    """exempt.networks, by the address that Sendmail tells."""
    with sendmail_site('[policy.exempt]\nnetworks = ["127.0.0.0/8"]\n') as site:
        last = site.send(message(REFUSED[0])).last
        assert queue_id(last) in site.sendmail.queued("hf")
