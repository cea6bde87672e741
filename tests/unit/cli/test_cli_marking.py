"""Marks: the right line, the right columns, whatever the bytes are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.api import Envelope, Finding
from forebay.cli.marking import CUT, WIDTH, Source, mark


def marked(value: bytes, start: int, end: int, name: bytes = b"To") -> tuple[str, str]:
    """The line of a field and the sign below it."""
    found = mark(Finding("x", name, 0, start, end, ""), Source(((name, value),), Envelope(), b""))
    assert found
    assert found.number == 1
    return found.line, found.indent + found.sign


@pytest.mark.parametrize(
    ("value", "start", "end", "line", "sign"),
    [
        (b" a b", 1, 2, "To: a b", "    ^"),
        (b" a bcd", 3, 6, "To: a bcd", "      ^~~"),
        (b" a <", 4, 4, "To: a <", "       ^"),
        (b" a,\n\tb <c\n d", 7, 9, r"\tb <c", "    ^~"),
        (b" a\x1b\xffb", 2, 3, r"To: a\x1b\xffb", "     ^~~~"),
        (b" a\x1b\xffb", 4, 5, r"To: a\x1b\xffb", "             ^"),
        (b" \\", 1, 2, r"To: \\", "    ^~"),
        (b" two\n lines", 1, 11, "To: two", "    ^~~"),
        (b" whole", 0, 0, "To: whole", "^~"),
        (b"\n folded", 0, 8, "To:", "^~"),
        (b"", 0, 0, "To:", "^~"),
    ],
)
def test_the_place_is_marked(value: bytes, start: int, end: int, line: str, sign: str) -> None:
    """In the line that it is in, below what the bytes have become."""
    assert marked(value, start, end) == (line, sign)


def test_a_long_line_is_cut_to_a_window() -> None:
    """Around the place, at both ends."""
    value = b" " + b"a" * 5000 + b"<>" + b"z" * 5000
    line, sign = marked(value, 5001, 5003)
    assert line == CUT + "a" * 32 + "<>" + "z" * (WIDTH - 34) + CUT
    assert sign == " " * 35 + "^~"


def test_a_long_place_is_marked_as_far_as_it_is_shown() -> None:
    """The sign never goes beyond the line."""
    line, sign = marked(b"x" * 10_000, 10, 10_000)
    assert len(sign) <= len(line)
    assert sign.lstrip() == "^" + "~" * (len(sign.lstrip()) - 1)


@pytest.mark.parametrize(("field", "text"), [(b"MAIL FROM", "<s@x>"), (b"RCPT TO", "<r@y>"), (b"body", "first")])
def test_what_is_in_no_field_is_shown_too(field: bytes, text: str) -> None:
    """The paths of the envelope, and the start of the body."""
    source = Source((), Envelope(b"<s@x>", (b"<r@y>",)), b"first\nsecond")
    found = mark(Finding("x", field, -1, 1, 2, ""), source)
    assert found
    assert (found.number, found.line, found.indent + found.sign) == (0, text, " ^")


def test_what_has_no_place_has_no_mark() -> None:
    """A finding of the header as a whole; or of one of several recipients, nobody knows which."""
    source = Source((), Envelope(b"<s@x>", (b"<r@y>", b"<q@z>")), b"")
    for field in (b"", b"RCPT TO", b"body"):
        assert mark(Finding("x", field, -1, 0, 0, ""), source) is None


@given(
    value=st.binary(max_size=300) | st.binary(max_size=6).map(lambda each: each * 100),
    name=st.binary(min_size=1, max_size=200),
    place=st.tuples(st.integers(0, 600), st.integers(0, 600)),
)
def test_every_mark_is_printable_and_stands_below_its_line(value: bytes, name: bytes, place: tuple[int, int]) -> None:
    """Whatever the bytes and the place are."""
    start, end = sorted(min(each, len(value)) for each in place)
    line, sign = marked(value, start, end, name)
    assert line.isascii()
    assert not line or line.isprintable()
    assert len(line) <= WIDTH + 2 * len(CUT)
    assert len(sign) <= len(line) + 1
