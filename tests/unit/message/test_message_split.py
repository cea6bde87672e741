"""A file is cut into fields and body as a milter behind Postfix would see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.message import split as split_module
from forebay.message.split import LONGEST_FIELD, split


def kinds(raw: bytes) -> list[str]:
    return [defect.kind for defect in split(raw).diagnosis.defects]


def test_fields_and_body() -> None:
    """Folds are LF, the blank after the colon is kept, the body begins after the empty line."""
    cut = split(b"From: a@b\r\nSubject:x\r\n  y\r\n\r\nbody\r\n")
    assert cut.fields == ((b"From", b" a@b"), (b"Subject", b"x\n  y"))
    assert cut.body == b"body\r\n"
    assert cut.diagnosis.defects == []


@pytest.mark.parametrize(
    "line", [b"no colon here", b"Na me: x", b": x", b"N\xe4me: x", b"N\x00: x", b"\x7f: x", b" continuation"]
)
def test_a_line_that_is_no_field_starts_the_body(line: bytes) -> None:
    """What Postfix takes for the body's first line is the body's first line."""
    head = b"" if line.startswith(b" ") else b"From: a@b\n"
    cut = split(head + line + b"\nTo: c@d\n\nbody\n")
    assert len(cut.fields) == head.count(b"\n")
    assert cut.body == line + b"\nTo: c@d\n\nbody\n"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"From: a\nSubject : x\n\n", "name-blank-before-colon"),
        (b"From: a\r\nTo: b\n\r\n", "bare-lf"),
        (b"From: a\nSubject: a\rb\n\n", "bare-cr"),
        (b"From: a\nSubject: a\0b\n\n", "nul"),
        (b"From: a\nSubject: b\n", "separator-missing"),
    ],
)
def test_what_the_mta_repairs_is_noted(raw: bytes, kind: str) -> None:
    """Wire defects that a milter behind Postfix never sees are told, with their field."""
    assert kinds(raw) == [kind]


def test_what_is_noted_has_its_place_in_what_is_left() -> None:
    """A CR is noted before the NUL that cuts the value, and not behind it."""
    (cr, nul) = split(b"To: a\rb\0c\n d\re\n\n").diagnosis.defects
    assert (cr.kind, cr.start, cr.end) == ("bare-cr", 2, 3)
    assert (nul.kind, nul.start, nul.end) == ("nul", 4, 5)
    assert kinds(b"To: a\0b\rc\n\n") == ["nul"]


def test_what_postfix_drops_is_dropped() -> None:
    """Bcc, Return-Path and Content-Length are not seen; the Return-Path gives the sender."""
    cut = split(b"Return-Path: <j@x>\nBcc: a\nContent-Length: 3\nTo: b@c\n\n")
    assert cut.fields == ((b"To", b" b@c"),)
    assert cut.sender == b"<j@x>"


def test_an_mbox_line_becomes_a_field() -> None:
    """As Postfix does it; it names the sender."""
    cut = split(b"From joe@x Mon Jan  1 00:00:00 2024\nTo: b@c\n\n")
    assert cut.fields[0][0] == b"X-Mailbox-Line"
    assert cut.sender == b"<joe@x>"


def test_a_nul_cuts_a_value_and_a_long_field_is_cut_at_a_line() -> None:
    """As Postfix does it."""
    assert split(b"Subject: a\0b\n\n").fields == ((b"Subject", b" a"),)
    value = split(b"To: a\n" + b" x\n" * 40_000 + b"\n").fields[0][1]
    assert len(value) <= LONGEST_FIELD
    assert value.endswith(b" x")
    assert len(split(b"To: a\n" + b" x\n" * 40_000 + b"\n", longest_field=0).fields[0][1]) > LONGEST_FIELD


@given(st.one_of(st.binary(max_size=200), st.text("aA: \t\r\n\0F", max_size=60).map(str.encode)))
def test_any_bytes_are_cut(raw: bytes) -> None:
    """No bytes make it raise, and no field has a line end that is not a fold."""
    for name, value in split(raw).fields:
        assert name
        assert b"\r" not in value
        assert all(line[:1] in {b" ", b"\t"} for line in value.split(b"\n")[1:])


_PIECE = st.sampled_from([
    b"From: a@b", b"X: ", b" folded", b"\t", b"\n", b"\r\n", b"\r", b"\0", b":", b"no field", b"Return-Path: <x@y>",
    b"Bcc: z", b"From x Mon 10:00", b"X :", b"\n\n", b"\xff",
])  # fmt: skip


@given(st.lists(_PIECE, max_size=12).map(b"".join), st.sampled_from([0, 20, 60_000]))
def test_the_quick_way_finds_what_the_long_one_finds(raw: bytes, longest: int) -> None:
    """A header in which nothing is to be repaired is cut at once, and cut alike."""
    quick, closely = split_module._split_plain(raw, longest), split_module._split_closely(raw, longest)
    if quick:
        assert (quick.fields, quick.body, quick.sender) == (closely.fields, closely.body, closely.sender)
        assert not closely.diagnosis.counts
