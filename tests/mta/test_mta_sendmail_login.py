"""Users who log in at a real Sendmail (RFC 4954): forebay knows them, and has mail of theirs held that it refuses strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.private_postfix import private_folder
from mta.postfix_services import plain
from mta.private_sendmail import queue_id, sendmail_recording, sendmail_site
from mta.private_site import GOOD, RECIPIENT, REFUSED, SENDER, message, tag_of
from mta.sendmail_logins import sendmail_logins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.quickstart.raw_smtp import Reply
    from mta.private_sendmail import SendmailSite

EVIL = message(REFUSED[0])
NOBODY = b"NOOP"


@pytest.fixture(scope="module")
def settings() -> Iterator[str]:
    """Lines of sendmail.mc that let users log in."""
    with private_folder() as folder, sendmail_logins(folder) as lines:
        yield lines


@pytest.fixture(scope="module")
def site(settings: str) -> Iterator[SendmailSite]:
    """A Sendmail with a milter that protects."""
    with sendmail_site(settings=settings) as where:
        yield where


def send(site: SendmailSite, data: bytes, login: bytes) -> Reply:
    """The reply to a message from somebody who logged in, or did not."""
    with site.client() as client:
        assert client.command(login).code == (250 if login == NOBODY else 235)
        return client.send(SENDER, (RECIPIENT,), data).last


def test_a_user_who_logged_in_is_known_as_one(settings: str) -> None:
    """By the macro {auth_authen}; who did not log in is not, in a session after it neither."""
    with sendmail_recording(settings) as recorder:
        for login in (plain(), NOBODY):
            recorder._file.unlink(missing_ok=True)
            assert send(recorder.site, GOOD, login).code == 250
            assert recorder.last()["authenticated"] == (login != NOBODY)


def test_a_wrong_password_makes_nobody_known(site: SendmailSite) -> None:
    """Sendmail refuses it, and mail that comes in the same session is a stranger's."""
    with site.client() as client:
        assert client.command(plain(password="guessed")).code == 535
        assert client.send(SENDER, (RECIPIENT,), EVIL).last.code == 550


def test_what_a_user_may_send(site: SendmailSite) -> None:
    """Who logged in has mail quarantined that a stranger has refused."""
    assert queue_id(send(site, EVIL, plain())) in site.sendmail.queued("hf")
    assert send(site, EVIL, NOBODY).code == 550


def test_a_user_need_not_mind_manners(site: SendmailSite) -> None:
    """What is mere hygiene is held for a stranger, and only tagged for who logged in."""
    twice = message(more=b"Reply-To: a@example.org\r\nReply-To: b@example.org\r\n")
    tagged = site.sendmail.delivered(queue_id(send(site, twice, plain())))
    assert tag_of(tagged) == " mx.example.org; tag; header-duplicate-reply-to"
    assert queue_id(send(site, twice, NOBODY)) in site.sendmail.queued("hf")


def test_a_user_may_be_treated_as_a_stranger(settings: str) -> None:
    """With exempt.authenticated false there is no difference."""
    with sendmail_site("[policy.exempt]\nauthenticated = false\n", settings=settings) as site:
        assert send(site, EVIL, plain()).code == 550
