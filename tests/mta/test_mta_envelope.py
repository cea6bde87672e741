"""Envelope addresses on a real Postfix: judged with the header, or alone where they are to be refused alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mta.private_site import DEADLINE, GOOD, RECIPIENT, REFUSED, SENDER, Site, message
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator

# What Postfix lets through, and what we make of it.
EVIL = [
    (b"<joe@[192.0.2.1>", "address-unbalanced-bracket"),
    (b"<joe(@example.com>", "comment-unterminated"),
]
REPLY = '550 5.1.3 RCPT TO: unbalanced "[" at byte 6 (address-unbalanced-bracket)'


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Envelope findings come with the verdict on the header, as is the default."""
    with private_site() as where:
        yield where


@pytest.fixture(scope="module")
def strict_site() -> Iterator[Site]:
    """Bad recipients are refused alone."""
    with private_site("[policy]\nreject_at_rcpt = true\n") as where:
        yield where


@pytest.mark.parametrize(("address", "validator"), EVIL)
def test_an_evil_recipient_is_refused_with_the_message(site: Site, address: bytes, validator: str) -> None:
    """RCPT itself is answered without asking us; the message is refused for all."""
    answers = site.send(GOOD, recipients=(RECIPIENT, address))
    assert [each.code for each in answers.rcpt] == [250, 250]
    assert answers.last.code == 550
    assert answers.last.text.startswith("550 5.1.3 RCPT TO: ")
    assert answers.last.text.endswith(f"({validator})")


@pytest.mark.parametrize(("address", "validator"), EVIL)
def test_an_evil_sender_is_refused_with_the_message(site: Site, address: bytes, validator: str) -> None:
    """The same for MAIL, with the status for senders."""
    reply = site.reply(GOOD, sender=address)
    assert reply.startswith("550 5.1.7 MAIL FROM: ")
    assert reply.endswith(f"({validator})")


def test_a_lesser_evil_in_the_envelope_is_held(site: Site) -> None:
    """A source route is quarantined, wherever it stands."""
    last = site.send(GOOD, recipients=(b"<@a.example,@b.example:joe@example.com>",)).last
    assert last.queue_id in site.postfix.held()
    assert f"{last.queue_id}: quarantine: obs-route: RCPT TO: " in site.milter.log()


def test_an_evil_recipient_is_refused_alone(strict_site: Site) -> None:
    """With reject_at_rcpt the others get their message, and the log names whom."""
    answers = strict_site.send(GOOD, recipients=(RECIPIENT, b"<joe@[192.0.2.1>", b"<ann@example.com>"))
    assert [each.code for each in answers.rcpt] == [250, 550, 250]
    assert answers.rcpt[1].text == REPLY
    assert answers.last.code == 250
    assert b"Hello" in strict_site.postfix.delivered(answers.last.queue_id, DEADLINE)
    assert "to=<joe@[192.0.2.1>" in strict_site.milter.log()
    assert strict_site.milter.metrics()["forebay_recipients_rejected_total"] >= 1


def test_a_message_without_a_good_recipient_ends_at_rcpt(strict_site: Site) -> None:
    """No DATA then; and the connection goes on."""
    with strict_site.client() as client:
        answers = client.send(SENDER, (b"<joe@[192.0.2.1>", b"<joe@[192.0.2.1>"), GOOD)
        assert answers.data is None
        assert answers.last.text == REPLY
        assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250


def test_at_rcpt_nothing_but_a_refusal_is_answered(strict_site: Site) -> None:
    """What is held or tagged is so with the whole message; the sender is judged there too."""
    answers = strict_site.send(GOOD, recipients=(b"<@a.example:joe@example.com>",))
    assert answers.rcpt[0].code == 250
    assert answers.last.queue_id in strict_site.postfix.held()
    assert strict_site.reply(GOOD, sender=b"<jane@[192.0.2.1>").startswith("550 5.1.7 MAIL FROM: ")


def test_the_null_sender_is_no_defect(site: Site) -> None:
    """Bounces pass, and are judged like other mail where their header is evil."""
    assert site.reply(GOOD, sender=b"<>").startswith("250 ")
    assert site.reply(message(REFUSED[0]), sender=b"<>").startswith("550 ")


def test_addresses_in_utf8_pass_with_smtputf8(site: Site) -> None:
    """RFC 6531: what was negotiated at MAIL is no defect, in the envelope and in the header."""
    utf8 = message({b"From": " Jürgen <jürgen@exämple.org>".encode(), b"Subject": " Grüße".encode()})
    with site.client() as client:
        assert client.command("MAIL FROM:<jürgen@exämple.org> SMTPUTF8".encode()).code == 250
        assert client.command("RCPT TO:<jörg@example.com>".encode()).code == 250
        assert client.command(b"DATA").code == 354
        client.raw(utf8)
        last = client.command(b".")
    assert last.code == 250
    assert last.queue_id not in site.postfix.held()
    assert b"X-Forebay" not in site.postfix.delivered(last.queue_id, DEADLINE)


def test_the_same_bytes_without_smtputf8_are_held(site: Site) -> None:
    """Raw eight-bit bytes in an address that nothing announced."""
    last = site.send(message({b"From": b" J\xfcrgen <j\xfcrgen@example.org>"})).last
    assert last.queue_id in site.postfix.held()
    assert f"{last.queue_id}: quarantine: raw-8bit-address: From: " in site.milter.log()


def test_a_client_that_cannot_bounce_has_its_evil_mail_held() -> None:
    """exempt.networks, by the address that Postfix tells: printers ignore a refusal, so theirs is a quarantine."""
    with private_site('[policy.exempt]\nnetworks = ["127.0.0.0/8"]\n') as site:
        last = site.send(message(REFUSED[0])).last
        assert last.queue_id in site.postfix.held()
    with private_site('[policy.exempt]\nfull = ["127.0.0.1"]\n') as site:
        assert b"X-Forebay" not in site.delivered(message(REFUSED[0]))


def test_observe_refuses_nothing_and_says_what_it_would_do() -> None:
    """The preset to begin with: all mail is delivered, evil mail with a line in the log and a count."""
    with private_site('[policy]\npreset = "observe"\n') as site:
        last = site.send(message(REFUSED[0])).last
        assert b"Hello" in site.postfix.delivered(last.queue_id, DEADLINE)
        assert f"{last.queue_id}: accept: address-unbalanced-quote: " in site.milter.log()
        assert "would=reject" in site.milter.log()
        assert site.milter.metrics()['forebay_messages_observed_total{action="reject"}'] == 1
