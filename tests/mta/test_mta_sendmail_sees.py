"""What Sendmail shows a milter that Postfix does not, and the reverse: each row of milter/README.md's table.

The same bytes go through both, and a recording plugin writes down what comes out at the far end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from mta.private_sendmail import SendmailRecording, queue_id, sendmail_recording
from mta.private_site import FIELDS, GOOD, Recording, message, recording

if TYPE_CHECKING:
    from collections.abc import Iterator

MBOX: Final = b"From jane@example.org Tue Nov 25 10:00:00 2025\r\n"
RECEIVED: Final = b"Received: from a by b; Tue, 25 Nov 2025 10:00:00 +0000\r\n"
NO_COLON: Final = b"no colon here\r\nX-After: x\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One message; of what each MTA shows, the fields beside those of the good message, and the body's beginning.

    A reply stands where the MTA refuses the message itself.
    """

    name: str
    sent: bytes
    postfix: list[tuple[str, str]] | str
    sendmail: list[tuple[str, str]] | str
    body: bytes = b"Hello\r\n"


def alike(name: str, lines: bytes, shown: list[tuple[str, str]], body: bytes = b"Hello\r\n") -> Row:
    """A row in which both show the same for lines at the end of the header."""
    return Row(name, message(more=lines), shown, shown, body)


FOLDED: Final = b"".join(b" %070d\r\n" % number for number in range(600))

ROWS: Final = [
    alike("no-colon", NO_COLON, [], NO_COLON + b"\r\nHello\r\n"),
    alike("space-in-name", b"X Name: x\r\n", [], b"X Name: x\r\n\r\nHello\r\n"),
    alike("8-bit-name", b"X-\xe9: x\r\n", [], b"X-\xe9: x\r\n\r\nHello\r\n"),
    alike("control-in-name", b"X-\x01: x\r\n", [], b"X-\x01: x\r\n\r\nHello\r\n"),
    alike("empty-name", b": x\r\n", [], b": x\r\n\r\nHello\r\n"),
    alike("blank-before-colon", b"X-Blank \t: x\r\n", [("X-Blank", " x")]),
    alike("blanks-of-a-value", b"X-A:\r\nX-B:\tv \r\nX-C:  v\r\n", [("X-A", ""), ("X-B", "\tv "), ("X-C", "  v")]),
    alike("8-bit-and-control", b"X-Raw: \xff\x01\x1b[31m\r\n", [("X-Raw", " \xff\x01\x1b[31m")]),
    alike("folds", b"X-Fold: a\r\n b\r\n\tc\r\n \r\n d\r\n", [("X-Fold", " a\n b\n\tc\n \n d")]),
    alike("duplicates", b"x-ONE: 1\r\nX-Two: 2\r\nx-one: 3\r\n", [("x-ONE", " 1"), ("X-Two", " 2"), ("x-one", " 3")]),
    alike("long-line", b"X-Line: " + b"x" * 30_000 + b"\r\n", [("X-Line", " " + "x" * 30_000)]),
    Row("nul-in-body", message(body=b"a\x00b\r\n"), [], [], b"a\x00b\r\n"),
    Row("no-header", b"\r\nx\r\n", [], [], b"x\r\n"),
    Row("leading-blank", b" leading\r\n" + GOOD, [], [], b" leading\r\n" + GOOD),
    # From here on they differ.
    Row("nul-in-value", message(more=b"X-Nul: a\0b\r\n c\0\r\n"), [("X-Nul", " a\n c")], [("X-Nul", " ab\n c")]),
    Row("bare-cr", message(more=b"X-Cr: a\rb\r\n"), [("X-Cr", " a b")], "421 4.5.0 Bare carriage return (CR) not allowed"),
    Row("bare-lf", message(more=b"X-A: a\nX-B: b\r\n"), [("X-A", " a"), ("X-B", " b")],
        "421 4.5.0 Bare linefeed (LF) not allowed"),
    Row("mbox-line", MBOX + GOOD, [("X-Mailbox-Line", " " + MBOX.decode()[:-2])], []),
    Row("dropped-fields", message(more=b"Bcc: x\r\nReturn-Path: x\r\nContent-Length: x\r\nX-Kept: x\r\n"),
        [("X-Kept", " x")], [("Bcc", " x"), ("Return-Path", " x"), ("Content-Length", " x"), ("X-Kept", " x")]),
    Row("resent-bcc", message(more=b"Resent-Bcc: x\r\n"), [], [("Resent-Bcc", " x")]),
    Row("too-large", message(more=b"X-Long:" + FOLDED), [("X-Long", FOLDED.decode().replace("\r\n", "\n")[:-1])],
        "552 5.6.0 Headers too large (32768 max)"),
    Row("received-loop", message(more=RECEIVED * 60), "554 5.4.0 Error: too many hops",
        [("Received", " from a by b; Tue, 25 Nov 2025 10:00:00 +0000")] * 60),
]  # fmt: skip


@pytest.fixture(scope="module")
def postfix() -> Iterator[Recording]:
    """A Postfix whose milter writes down what it sees."""
    with recording() as where:
        yield where


@pytest.fixture(scope="module")
def sendmail() -> Iterator[SendmailRecording]:
    """A Sendmail, likewise."""
    with sendmail_recording() as where:
        yield where


def more(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields but those of the good message."""
    return [(name, value) for name, value in told["fields"] if name.encode() not in FIELDS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_each_shows(row: Row, postfix: Recording, sendmail: SendmailRecording) -> None:
    """The same bytes, and what a milter behind either is told of them."""
    for where, expected in ((postfix, row.postfix), (sendmail, row.sendmail)):
        if isinstance(expected, str):
            assert where.site.send(row.sent).last.text == expected
            continue
        told = where.of(row.sent)
        assert more(told) == expected
        assert told["body"].encode("latin-1") == row.body


def test_a_nul_in_a_name(postfix: Recording, sendmail: SendmailRecording) -> None:
    """Ends the header for Postfix; Sendmail takes it out, and shows the field."""
    nul = message(more=b"X-\0N: x\r\nX-After: x\r\n")
    assert more(postfix.of(nul)) == []
    assert more(sendmail.of(nul)) == [("X-N", " x"), ("X-After", " x")]


@pytest.mark.parametrize("missing", [b"From", b"Date", b"Message-ID"])
def test_what_is_missing_is_missing(sendmail: SendmailRecording, missing: bytes) -> None:
    """Sendmail adds nothing before we are asked, for clients of this host neither."""
    assert missing.decode() not in [name for name, _ in sendmail.of(message({missing: None}))["fields"]]


@pytest.mark.parametrize("broken", [b" Joe Blow <joe@example.com", b" <@r1,@r2:a@example.com> (c)", b" a b@c, <"])
def test_sendmail_shows_addresses_of_this_host_as_written(sendmail: SendmailRecording, broken: bytes) -> None:
    """Postfix rewrites them for its own clients before we see them; Sendmail rewrites at delivery."""
    values = [value for name, value in sendmail.of(message({b"To": broken}))["fields"] if name == "To"]
    assert values == [broken.decode()]


@pytest.mark.parametrize("end", [b"\r", b"\n"])
def test_a_line_end_of_one_half_is_refused_in_the_body_too(sendmail: SendmailRecording, end: bytes) -> None:
    """By Sendmail itself; we are not asked."""
    assert sendmail.of(message(body=b"a" + end + b"b\r\n")) == {}


def test_an_empty_message_has_no_body_to_look_at(sendmail: SendmailRecording) -> None:
    """Nothing of a body is sent then, so that a validator of its start is not asked; the message is judged."""
    assert sendmail.of(b"\r\n") == {}
    assert queue_id(sendmail.site.send(b"\r\n").last)


def test_the_envelope_is_told(sendmail: SendmailRecording) -> None:
    """Sender, recipients and the client's address, as by Postfix."""
    told = sendmail.of(GOOD, b"<>", (b"<a@example.com>", b"<b@example.com>"))
    assert told["sender"] == "<>"
    assert told["recipients"] == ["<a@example.com>", "<b@example.com>"]
    assert (told["client"], told["authenticated"], told["smtputf8"]) == ("127.0.0.1", False, False)


def test_at_most_one_chunk_of_the_body_is_read(sendmail: SendmailRecording) -> None:
    """65,535 bytes; the rest is skipped, and delivered."""
    body = b"0123456789abcde\r\n" * 20_000
    assert len(sendmail.of(message(body=body))["body"]) == 65_535


def test_a_field_that_is_too_long_for_the_protocol_is_a_temporary_error() -> None:
    """With MaxHeadersLength raised, one field above 65,535 bytes cannot be sent to a milter: F=T answers then."""
    with sendmail_recording("define(`confMAX_HEADERS_LENGTH', `1048576')dnl") as raised:
        lines = b"".join(b" %070d\r\n" % number for number in range(1000))
        assert raised.site.send(message(more=b"X-Long:" + lines)).last.text == "451 4.3.2 Please try again later"
        assert more(raised.of(message(more=b"X-Long:" + FOLDED))) == [
            ("X-Long", FOLDED.decode().replace("\r\n", "\n")[:-1])
        ]
