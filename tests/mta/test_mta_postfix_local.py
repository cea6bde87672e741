"""Mail that a real Postfix gets otherwise than from a stranger by SMTP: from programs of its host, from users, from filters."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from forebay.quickstart.ports import free_port
from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.postfix_services import logins, plain, postfix_with, smtpd
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
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterService
    from mta.postfix_services import ServicePostfix
    from mta.private_site import Recording

OPEN = 'socket_mode = "0666"\nworkers = 1\n'
LOCAL = {"smtpd_milters": "", "internal_mail_filter_classes": ""}


@pytest.fixture(scope="module")
def milter() -> Iterator[MilterService]:
    """A milter that protects."""
    with milter_service(milter=OPEN) as service:
        yield service


@pytest.fixture(scope="module")
def host(milter: MilterService) -> Iterator[ServicePostfix]:
    """A host whose programs' mail is shown to forebay: non_smtpd_milters."""
    with private_folder() as folder, postfix_with(folder, LOCAL | {"non_smtpd_milters": milter.address}) as postfix:
        yield postfix


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recording]:
    """A milter that writes down what it sees."""
    with recording() as where:
        yield where


def last(recorder: Recording) -> dict[str, Any]:
    """What the recorder was told of the message that came last, through whichever Postfix."""
    file = recorder._file
    eventually(lambda: file.exists() and file.read_text().endswith("}"))
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def submit(postfix: ServicePostfix, data: bytes, sender: str = "jane@example.org") -> None:
    """As a program of this host does: lines end with LF, and the recipients are in the header or given."""
    postfix.submit(data.replace(b"\r\n", b"\n"), "-f", sender, "joe@example.com")


def numbered(data: bytes, number: int) -> tuple[bytes, bytes]:
    """A message with a mark of its own, and the mark."""
    mark = b"mark-%d" % number
    return data.replace(b"Hello", mark), mark


def arrived(postfix: ServicePostfix, mark: bytes) -> bytes:
    """The message with this mark as it was delivered, once it is."""
    eventually(lambda: any(mark in each for each in postfix.files()), postfix.log)
    return next(each for each in postfix.files() if mark in each)


def test_local_mail_is_tagged(host: ServicePostfix) -> None:
    """What a program hands to sendmail(1) meets forebay through pickup."""
    data, mark = numbered(message({b"Subject": b" \xe9"}), 1)
    submit(host, data)
    assert tag_of(arrived(host, mark)).startswith(" mx.example.org; tag; ")


def test_local_mail_is_held(host: ServicePostfix) -> None:
    """A quarantine is the hold queue for it as well."""
    assert host.held() == {}
    submit(host, message(more=b"Reply-To: a@example.org\r\nReply-To: b@example.org\r\n"))
    eventually(lambda: len(host.held()) == 1, host.log)


def test_a_refusal_of_local_mail_is_a_bounce(host: ServicePostfix, milter: MilterService) -> None:
    """There is no client to be told: the sender gets a bounce with our text, and forebay is not asked about that."""
    before = judged(milter)
    submit(host, message(more=b"From: second@example.org\r\n"))
    eventually(lambda: any(b"second From" in each for each in host.files()), host.log)
    bounce = next(each for each in host.files() if b"second From" in each)
    assert b"To: jane@example.org" in bounce
    assert b"<joe@example.com>: From: second From (header-duplicate-from)\n" in bounce
    assert b"Status: 5.6.0\n" in bounce
    assert judged(milter) == before + 1


def judged(milter: MilterService) -> float:
    """How many messages a milter has judged."""
    return sum(value for name, value in milter.metrics().items() if name.startswith("forebay_messages_total{"))


def test_postfix_adds_what_is_missing_before_forebay_sees_local_mail(recorder: Recording) -> None:
    """From, Date and Message-ID of mail by sendmail(1) are always there; -t takes the recipients from the header."""
    settings = LOCAL | {"non_smtpd_milters": recorder.site.milter.address}
    with private_folder() as folder, postfix_with(folder, settings) as postfix:
        recorder._file.unlink(missing_ok=True)
        postfix.submit(
            b"To: joe@example.com\nBcc: ann@example.com\nSubject: x\n\nHello\n", "-t", "-f", "jane@example.org"
        )
        told = last(recorder)
        names = {name.lower() for name, _ in told["fields"]}
        assert {"from", "date", "message-id", "to", "subject"} <= names
        assert "bcc" not in names
        assert set(told["recipients"]) == {"joe@example.com", "ann@example.com"}


def test_postfix_repairs_addresses_before_forebay_sees_local_mail(recorder: Recording) -> None:
    """A source route is gone, as for clients in local_header_rewrite_clients."""
    settings = LOCAL | {"non_smtpd_milters": recorder.site.milter.address}
    with private_folder() as folder, postfix_with(folder, settings) as postfix:
        recorder._file.unlink(missing_ok=True)
        submit(postfix, message({b"To": b" <@a.example,@b.example:joe@example.com>"}))
        assert ["To", " <joe@example.com>"] in last(recorder)["fields"]


def test_without_non_smtpd_milters_local_mail_is_not_seen(milter: MilterService) -> None:
    """Postfix's default: smtpd_milters alone does not show it."""
    with private_folder() as folder, postfix_with(folder, {"smtpd_milters": milter.address}) as postfix:
        before = judged(milter)
        data, mark = numbered(message(REFUSED[0]), 5)
        submit(postfix, data)
        arrived(postfix, mark)
        assert judged(milter) == before


@contextmanager
def submission(milter: str, folder_settings: dict[str, str] | None = None) -> Iterator[tuple[ServicePostfix, int]]:
    """A Postfix with a port for users who log in, and the port."""
    with private_folder() as folder, logins(folder / "auth"):
        port = free_port()
        own = {
            "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"{folder}/auth",
            "smtpd_sasl_security_options": "noanonymous", "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject",
            "milter_macro_daemon_name": "ORIGINATING",
        }  # fmt: skip
        settings = {"smtpd_milters": milter} | (folder_settings or {})
        with postfix_with(folder, settings, smtpd(port, **own)) as postfix:
            yield postfix, port


def test_a_user_who_logged_in_is_known_as_one(recorder: Recording) -> None:
    """By the macro {auth_authen}, at MAIL; who did not log in, is not, on any port."""
    with submission(recorder.site.milter.address) as (postfix, port):
        for each, command in ((port, plain()), (postfix.port, b"NOOP")):
            with RawClient(each, DEADLINE) as client:
                assert client.command(command).code in {235, 250}
                assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
            assert last(recorder)["authenticated"] == (each == port)


def test_a_wrong_password_is_not_let_in(milter: MilterService) -> None:
    """The port for users takes mail from nobody else."""
    with submission(milter.address) as (_, port), RawClient(port, DEADLINE) as client:
        assert client.command(plain(password="guessed")).code == 535
        assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 554


def test_what_a_user_may_send(milter: MilterService) -> None:
    """Who logged in has mail held that a stranger has refused; with exempt.authenticated false there is no difference."""
    with submission(milter.address) as (postfix, port):
        assert in_session(port, message(REFUSED[0]), postfix) == "held"
        assert in_session(postfix.port, message(REFUSED[0]), postfix, login=False) == "550"
    with (
        milter_service("[policy.exempt]\nauthenticated = false\n", milter=OPEN) as severe,
        submission(severe.address) as (postfix, port),
    ):
        assert in_session(port, message(REFUSED[0]), postfix) == "550"


def in_session(port: int, data: bytes, postfix: ServicePostfix, *, login: bool = True) -> str:
    """What becomes of a message: the code of the reply, or `held`."""
    with RawClient(port, DEADLINE) as client:
        if login:
            assert client.command(plain()).code == 235
        last = client.send(SENDER, (RECIPIENT,), data).last
    return "held" if last.queue_id in postfix.held() else str(last.code)


def test_what_a_filter_gives_back_is_not_judged_again(milter: MilterService) -> None:
    """A content filter's way back in, with receive_override_options=no_milters: once is enough, and one tag."""
    back = free_port()
    services = smtpd(back, receive_override_options="no_milters", content_filter="") + "smtp unix - - n - - smtp\n"
    settings = {"smtpd_milters": milter.address, "content_filter": f"smtp:[127.0.0.1]:{back}"}
    with private_folder() as folder, postfix_with(folder, settings, services) as postfix:
        before = judged(milter)
        data, mark = numbered(message(TAGGED[0]), 7)
        with RawClient(postfix.port, DEADLINE) as client:
            assert client.send(SENDER, (RECIPIENT,), data).last.code == 250
            assert client.send(SENDER, (RECIPIENT,), message(REFUSED[0])).last.code == 550
            assert client.send(SENDER, (RECIPIENT,), message(HELD[0])).last.queue_id in postfix.held()
        assert tag_of(arrived(postfix, mark)) == f" mx.example.org; tag; {TAGGED[1]}"
        assert judged(milter) == before + 3


def test_without_no_milters_a_message_is_judged_twice(milter: MilterService) -> None:
    """It costs the time, and does no harm: the tag of the first time is taken off, and put again."""
    back = free_port()
    services = smtpd(back, content_filter="") + "smtp unix - - n - - smtp\n"
    settings = {"smtpd_milters": milter.address, "content_filter": f"smtp:[127.0.0.1]:{back}"}
    with private_folder() as folder, postfix_with(folder, settings, services) as postfix:
        before = judged(milter)
        data, mark = numbered(message(TAGGED[0]), 8)
        with RawClient(postfix.port, DEADLINE) as client:
            assert client.send(SENDER, (RECIPIENT,), data).last.code == 250
        assert tag_of(arrived(postfix, mark)).count("mx.example.org;") == 1
        assert judged(milter) == before + 2
