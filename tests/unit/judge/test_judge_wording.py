"""A verdict in words: exact, one line, bounded, and never with bytes of the mail as they came."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, Action, Finding
from forebay.judge import wording
from forebay.judge.verdict import CLEAN, Verdict
from forebay.testing import Message, verdict

HOST: Final = "mx1.example.org"


def refusal(*findings: Finding, action: Action = REJECT) -> Verdict:
    return Verdict(action, action, findings)


def finding(
    field: bytes = b"To", text: str = "wrong at byte 1", name: str = "some-id", action: Action = REJECT
) -> Finding:
    return Finding(name, field, 0, 0, 1, text, action)


def line(given: Verdict, url: str = "") -> str:
    told = wording.reply(given, url)
    return f"{told.code} {told.enhanced} {told.text}"


def test_the_reply_names_field_defect_place_and_validator() -> None:
    """As the design has it, from the bytes of a message on."""
    message = Message.parse(b"From: a@example.org\nTo: some.one@a.b.c <x\nDate: Mon, 3 Nov 2025 10:00:00 +0000")
    told = line(verdict(message, builtin=True))
    assert told == '550 5.6.0 To: unbalanced "<" at byte 17 (address-unbalanced-angle)'


@pytest.mark.parametrize(
    ("field", "status"), [(b"MAIL FROM", "5.1.7"), (b"RCPT TO", "5.1.3"), (b"To", "5.6.0"), (b"", "5.6.0")]
)
def test_the_status_tells_of_header_and_envelope(field: bytes, status: str) -> None:
    """RFC 3463: a bad sender's address, a bad destination address, a media error."""
    assert wording.reply(refusal(finding(field))).enhanced == status


def test_a_finding_without_a_field_is_told_without_one() -> None:
    """What is wrong with the header as a whole has no name before it."""
    assert line(refusal(finding(b"", "no From", "header-missing-from"))) == "550 5.6.0 no From (header-missing-from)"


def test_a_url_stands_at_the_end() -> None:
    """The sender can read there what to do."""
    assert line(refusal(finding()), "https://example.org/mail").endswith(" (some-id); see https://example.org/mail")


def test_what_failed_is_asked_for_again() -> None:
    """A failure of our own is a 451 that says nothing of the message."""
    told = line(refusal(finding(text="this check failed"), action=Action.TEMPFAIL))
    assert told == "451 4.3.0 a check of this message failed; try again later"
    assert line(CLEAN).startswith("451 ")


@given(
    field=st.binary(max_size=600),
    text=st.text(max_size=600),
    url=st.text(" -~é", max_size=600),
    name=st.text("abc-", max_size=60),
)
def test_a_reply_is_one_bounded_line_of_printable_ascii(field: bytes, text: str, url: str, name: str) -> None:
    """Whatever a plugin writes and whatever the mail is."""
    given = refusal(finding(field, text, name))
    told = line(given, url) + "\r\n"
    assert len(told.encode("ascii", "replace")) <= wording.MOST_REPLY
    for each in (wording.sentence(given.findings[0]), wording.quarantine_reason(given)):
        assert each.isascii()
        assert each.isprintable()
    assert len(wording.quarantine_reason(given)) <= wording.MOST_REASON
    assert wording.sentence(given.findings[0]).endswith(f" ({name})")


def test_bytes_of_the_mail_are_escaped() -> None:
    """A field name is the sender's: controls, bytes above 127 and backslashes do not reach a log as they are."""
    assert wording.escape(b"a\x1b[2J\r\n\xe9\\", 40) == r"a\x1b[2J\x0d\x0a\xe9\x5c"
    assert wording.escape(b"x" * 50, 40) == "x" * 40 + "..."
    assert wording.sentence(finding(b"X\x1b", "a\u202eb")) == r"X\x1b: a\u202eb (some-id)"


def test_a_quarantine_has_its_reason() -> None:
    """The MTA logs it."""
    held = refusal(finding(action=QUARANTINE), action=QUARANTINE)
    assert wording.quarantine_reason(held) == "To: wrong at byte 1 (some-id)"
    assert wording.quarantine_reason(CLEAN) == "held"


def test_a_tag_has_host_action_and_ids() -> None:
    """Each id once, in the order of severity; what was found and accepted is not told."""
    given = refusal(
        finding(name="b", action=QUARANTINE), finding(name="a", action=TAG), finding(name="b"), finding(name="c", action=ACCEPT),
        action=TAG,
    )  # fmt: skip
    assert wording.tag_value(given, HOST) == b"mx1.example.org; tag; b, a"


def test_a_tag_is_bounded() -> None:
    """A hundred ids are a dozen and a number."""
    many = refusal(*(finding(name=f"id-{number}", action=TAG) for number in range(100)), action=TAG)
    value = wording.tag_value(many, HOST)
    assert value.endswith(b", id-11 and 88 more")
    assert wording.tag_value(many, "h\xe9\n").startswith(b"h\\xe9\\n; tag; id-0, ")


@pytest.mark.parametrize(
    ("value", "own"),
    [
        (b" mx1.example.org; tag; a", True),
        (b"\n MX1.Example.ORG ; reject; a", True),
        (b" mx1.example.org", True),
        (b" mx2.example.org; tag; a", False),
        (b" mx1.example.org.evil; tag; a", False),
        (b" (c) mx1.example.org; tag; a", False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_only_a_tag_in_this_hosts_name_is_its_own(value: bytes, own: bool) -> None:
    """Others came from other hosts, and stay."""
    assert wording.is_own_tag(value, HOST) is own


def test_what_this_host_writes_it_knows_again() -> None:
    """So that nobody can bring in a tag that looks like ours, names with strange characters included."""
    for host in (HOST, "h\xe9", "UPPER"):
        assert wording.is_own_tag(b" " + wording.tag_value(refusal(finding()), host), host)
