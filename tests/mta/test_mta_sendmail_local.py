"""Mail that programs of the host hand to Sendmail's sendmail(1): it goes to the daemon by SMTP, and so meets forebay."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mta.private_sendmail import SendmailRecording, sendmail_recording, sendmail_site
from mta.private_site import eventually, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_sendmail import SendmailSite

TO = b"To: joe@example.com\n"
FROM_JANE = ("-f", "jane@example.org", "joe@example.com")


@pytest.fixture(scope="module")
def site() -> Iterator[SendmailSite]:
    """A Sendmail with a milter that protects."""
    with sendmail_site() as where:
        yield where


@pytest.fixture(scope="module")
def recorder() -> Iterator[SendmailRecording]:
    """A Sendmail whose milter writes down what it sees."""
    with sendmail_recording() as where:
        yield where


def arrived(site: SendmailSite, mark: bytes) -> bytes:
    """The message with this in it as it was delivered, once it is."""
    eventually(lambda: any(mark in each for each in site.sendmail.files()), site.sendmail.log)
    return next(each for each in site.sendmail.files() if mark in each)


def test_it_is_tagged(site: SendmailSite) -> None:
    """Without a setting for it."""
    assert site.sendmail.submit(TO + b"Subject: \xe9\n\nmark-1\n", *FROM_JANE) == os.EX_OK
    assert tag_of(arrived(site, b"mark-1")).startswith(" mx.example.org; tag; ")


def test_it_is_quarantined(site: SendmailSite) -> None:
    """The program is told that all is well."""
    assert site.sendmail.queued("hf") == set()
    data = TO + b"Reply-To: a@example.org\nReply-To: b@example.org\n\nx\n"
    assert site.sendmail.submit(data, *FROM_JANE) == os.EX_OK
    eventually(lambda: len(site.sendmail.queued("hf")) == 1, site.sendmail.log)


def test_a_refusal_is_a_bounce_and_a_status(site: SendmailSite) -> None:
    """The sender reads our text, and the program gets a status; the bounce is shown to forebay, and passes."""
    data = TO + b"From: a@example.org\nFrom: b@example.org\n\nx\n"
    assert site.sendmail.submit(data, *FROM_JANE) == os.EX_UNAVAILABLE
    bounce = arrived(site, b"second From")
    assert b"\nTo: jane@example.org\n" in bounce
    assert b"Diagnostic-Code: SMTP; 550 5.6.0 From: second From (header-duplicate-from)\n" in bounce


def shown(recorder: SendmailRecording, data: bytes, *arguments: str) -> tuple[dict[str, str], list[str]]:
    """What forebay is shown of a message that a program hands over: its fields, and the recipients."""
    recorder._file.unlink(missing_ok=True)
    assert recorder.site.sendmail.submit(data, *arguments) == os.EX_OK
    told = recorder.last()
    return {name.lower(): value for name, value in told["fields"]}, told["recipients"]


def test_sendmail_completes_it_before_forebay_sees_it(recorder: SendmailRecording) -> None:
    """From, Date and Message-Id are added, Bcc is taken off; -t takes the recipients from the header."""
    data = TO + b"Bcc: ann@example.com\nSubject: x\n\nx\n"
    fields, recipients = shown(recorder, data, "-t", "-f", "jane@example.org")
    assert {"from", "date", "message-id", "to", "subject"} == fields.keys() - {"received"}
    assert set(recipients) == {"<joe@example.com>", "<ann@example.com>"}


def test_sendmail_repairs_it_before_forebay_sees_it(recorder: SendmailRecording) -> None:
    """An unbalanced quote gets its twin, and what is an address then a domain."""
    fields, _ = shown(recorder, b'To: "joe@example.com\nSubject: x\n\nx\n', *FROM_JANE)
    assert fields["to"] == ' "joe@example.com"@mx.forebay.test'
