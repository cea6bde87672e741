"""What a milter behind Postfix is told of a message, and what it cannot see: each row of milter/README.md's table.

A recording plugin writes down fields and body as they come out at the far end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from forebay.quickstart.raw_smtp import RawClient
from mta.private_site import GOOD, RECIPIENT, SENDER, Recording, message, recording

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["From", "To", "Date", "Message-ID", "Subject"]


@pytest.fixture(scope="module")
def seen() -> Iterator[Recording]:
    """A Postfix whose milter writes down what it sees."""
    with recording() as where:
        yield where


def values(told: dict[str, Any], name: str) -> list[str]:
    """The values of a field."""
    return [value for each, value in told["fields"] if each == name]


def names(told: dict[str, Any]) -> list[str]:
    """The names of all fields but those of the good message."""
    return [name for name, _ in told["fields"] if name not in NAMES]


@pytest.mark.parametrize(
    "line",
    [b"no colon here", b"X Name: x", b"X-\xe9: x", b"X-\x00: x", b"X-\x01: x", b": x"],
    ids=["no-colon", "space-in-name", "8-bit-name", "nul-in-name", "control-in-name", "empty-name"],
)
def test_a_line_that_is_no_field_ends_the_header(seen: Recording, line: bytes) -> None:
    """It and all below are the beginning of the body, where the validators of the body's start look for it."""
    told = seen.of(message(more=line + b"\r\nX-After: x\r\n"))
    assert names(told) == []
    assert told["body"].encode("latin-1") == line + b"\r\nX-After: x\r\n\r\nHello\r\n"


def test_a_continuation_without_a_field_ends_the_header_before_it_begins(seen: Recording) -> None:
    """A message that begins with a blank has no header at all."""
    told = seen.of(b" leading\r\n" + GOOD)
    assert told["fields"] == []
    assert told["body"].startswith(" leading\r\nFrom: ")


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t "])
def test_blanks_before_the_colon_are_gone(seen: Recording, blank: bytes) -> None:
    """Cannot be seen: Postfix takes them off."""
    assert values(seen.of(message(more=b"X-Blank" + blank + b": x\r\n")), "X-Blank") == [" x"]


@pytest.mark.parametrize("value", [b"", b"v", b" v", b"  v", b"\tv", b" v ", b" \xff\x01\x1b[31m v"])
def test_a_value_comes_as_it_was_written(seen: Recording, value: bytes) -> None:
    """The leading blank is kept (P_HDR_LEADSPC), and so are eight-bit bytes, control characters and trailing blanks."""
    (told,) = values(seen.of(message(more=b"X-Value:" + value + b"\r\n")), "X-Value")
    assert told.encode("latin-1") == value


def test_folds_come_as_lf(seen: Recording) -> None:
    """With the white space as it was; a line of blanks only stays."""
    assert values(seen.of(message(more=b"X-Fold: a\r\n b\r\n\tc\r\n \r\n d\r\n")), "X-Fold") == [" a\n b\n\tc\n \n d"]


def test_a_nul_ends_a_line(seen: Recording) -> None:
    """Cannot be seen, and is not delivered either: Postfix cuts each line of a field at its NUL before it is stored."""
    nul = message(more=b"X-Nul: a\x00b\r\n c\x00\r\n")
    assert values(seen.of(nul), "X-Nul") == [" a\n c"]
    assert b"\nX-Nul: a\n c\n" in seen.site.delivered(nul)
    assert seen.of(message(body=b"a\x00b\r\n"))["body"] == "a\x00b\r\n"


def test_a_bare_cr_is_a_blank(seen: Recording) -> None:
    """Cannot be seen: Postfix 3.7.9 and later replace it before we are asked."""
    assert values(seen.of(message(more=b"X-Cr: a\rb\r\n")), "X-Cr") == [" a b"]


def test_a_bare_lf_is_a_line_end(seen: Recording) -> None:
    """Cannot be seen where Postfix takes it for one (the default before 3.9)."""
    told = seen.of(message(more=b"X-Lf: a\nX-Second: b\r\n"))
    assert (values(told, "X-Lf"), values(told, "X-Second")) == ([" a"], [" b"])


def test_the_line_of_an_mbox_is_renamed(seen: Recording) -> None:
    """A first line `From ` comes as a field X-Mailbox-Line."""
    assert names(seen.of(b"From jane@example.org Tue Nov 25 10:00:00 2025\r\n" + GOOD)) == ["X-Mailbox-Line"]


def test_fields_that_postfix_drops(seen: Recording) -> None:
    """Cannot be seen: message_drop_headers takes them off before we are asked."""
    dropped = b"Bcc: x\r\nResent-Bcc: x\r\nReturn-Path: x\r\nContent-Length: x\r\nX-Kept: x\r\n"
    told = seen.of(message(more=dropped))
    assert [each for each in names(told) if not each.startswith("Resent-")] == ["X-Kept"]


def test_duplicates_and_spelling_are_kept(seen: Recording) -> None:
    """Order, case and number of the fields are the sender's."""
    told = seen.of(message(more=b"x-ONE: 1\r\nX-Two: 2\r\nx-one: 3\r\n"))
    assert told["fields"][-3:] == [["x-ONE", " 1"], ["X-Two", " 2"], ["x-one", " 3"]]


@pytest.mark.parametrize(("lines", "is_cut"), [(500, False), (800, False), (900, True), (4000, True)])
def test_a_long_field_is_cut_below_60000_bytes(seen: Recording, lines: int, is_cut: bool) -> None:
    """At a line end; what is longer is not shown (and is over a budget of ours long before)."""
    value = "\n".join(f" {number:070}" for number in range(lines))
    (told,) = values(seen.of(message({b"X-Long": value.replace("\n", "\r\n").encode()})), "X-Long")
    assert value.startswith(told)
    assert len(told) < 60_000
    assert (told != value) == is_cut
    assert value[len(told) :][:1] in {"", "\n"}


def test_a_long_line_is_one_value(seen: Recording) -> None:
    """Postfix stores long lines in pieces (line_length_limit), and shows one field all the same."""
    (told,) = values(seen.of(message(more=b"X-Line: " + b"x" * 30_000 + b"\r\n")), "X-Line")
    assert told == " " + "x" * 30_000


def test_a_mail_loop_is_refused_without_asking(seen: Recording) -> None:
    """More than 50 fields Received are Postfix's own business."""
    reply = seen.site.reply(message(more=b"Received: from a by b; Tue, 25 Nov 2025 10:00:00 +0000\r\n" * 60))
    assert reply.startswith("554 5.4.0 Error: too many hops")


def test_a_message_without_a_header_is_seen_as_one(seen: Recording) -> None:
    """No field; nothing is added for a client that is not this host."""
    told = seen.of(b"\r\nx\r\n")
    assert (told["fields"], told["body"]) == ([], "x\r\n")


def test_the_received_field_of_postfix_is_not_shown(seen: Recording) -> None:
    """We see the client's header, and no line of the MTA's own."""
    assert [name for name, _ in seen.of(GOOD)["fields"]] == NAMES


def test_only_the_first_chunk_of_the_body_is_read(seen: Recording) -> None:
    """At most 65,535 bytes; the rest is skipped, and delivered."""
    body = b"0123456789abcde\r\n" * 20_000
    assert len(seen.of(message(body=body))["body"]) <= 65_535


def test_the_envelope_is_told(seen: Recording) -> None:
    """Sender, recipients and the client's address, without asking for HELO or the connection."""
    told = seen.of(GOOD, b"<>", (b"<a@example.com>", b"<b@example.com>"))
    assert told["sender"] == "<>"
    assert told["recipients"] == ["<a@example.com>", "<b@example.com>"]
    assert (told["client"], told["authenticated"], told["smtputf8"]) == ("127.0.0.1", False, False)


def test_bytes_in_helo_do_not_matter(seen: Recording) -> None:
    """The name would be decoded as UTF-8 in C before our code runs, so HELO is not asked for."""
    with RawClient(seen.site.postfix.port, helo=b"\xff\xfe\x80.example") as client:
        assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250


@pytest.mark.parametrize("missing", [b"From", b"Date", b"Message-ID"])
def test_what_is_missing_is_missing_for_clients_from_outside(seen: Recording, missing: bytes) -> None:
    """Nothing is added to their mail before we are asked."""
    assert missing.decode() not in [name for name, _ in seen.of(message({missing: None}))["fields"]]


def test_mail_of_this_host_is_repaired_before_it_is_seen() -> None:
    """Cannot be seen: what is missing or broken in mail of clients in local_header_rewrite_clients (by default, this host)."""
    with recording(local_header_rewrite_clients="permit_inet_interfaces") as inside:
        for missing in (b"From", b"Date", b"Message-ID"):
            told = inside.of(message({missing: None}))
            assert missing.decode().lower() in [name.lower() for name, _ in told["fields"]]
        told = inside.of(message({b"To": b" Joe Blow <joe@example.com"}))
        assert values(told, "To") != [" Joe Blow <joe@example.com"]
