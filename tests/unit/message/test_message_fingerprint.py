"""Fingerprints: the same for every view of a message, another for another message."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from forebay.message.fingerprint import ENVELOPE, LONGEST, Trait, canonical, exact, shape

FIELDS = [
    (b"From", b" a@example.org"),
    (b"Date", b" Thu, 26 Nov 2026 01:00:00 +0000"),
    (b"Message-ID", b" <1@example.org>"),
    (b"Subject", b" hello\n world"),
]
SENDER = b"<a@example.org>"


def test_canonical_is_what_all_views_have() -> None:
    """Unfolded, blanks collapsed, cut at a NUL and at 60,000 bytes."""
    assert canonical(b"  a \t b\r\n\t c\n d  ") == b"a b c d"
    assert canonical(b"a\0b") == b"a"
    assert len(canonical(b"x" * 100_000)) == LONGEST


@given(st.binary(max_size=200))
def test_canonical_of_canonical_is_the_same(value: bytes) -> None:
    """It is one form."""
    assert canonical(canonical(value)) == canonical(value)


def test_the_exact_fingerprint_needs_all_five() -> None:
    """A message that lacks one of them has none: it could be anybody's."""
    assert exact(FIELDS, SENDER) is not None
    for index in range(len(FIELDS)):
        assert exact(FIELDS[:index] + FIELDS[index + 1 :], SENDER) is None
    assert exact(FIELDS, b"") is None
    assert exact(FIELDS, b"<>") is not None


def test_the_exact_fingerprint_is_blind_to_views() -> None:
    """Folding, blanks, the case of names, and other fields do not matter; another value does."""
    seen = [(name.upper(), re.sub(rb"\s+", b"\r\n\t", value)) for name, value in FIELDS]
    assert exact([*seen, (b"X-Other", b"1")], SENDER) == exact(FIELDS, SENDER)
    for index, (name, value) in enumerate(FIELDS):
        other = [*FIELDS[:index], (name, value + b"x"), *FIELDS[index + 1 :]]
        assert exact(other, SENDER) != exact(FIELDS, SENDER)
    assert exact(FIELDS, b"<b@example.org>") != exact(FIELDS, SENDER)


def test_no_boundary_can_be_moved() -> None:
    """What ends one value and begins the next counts."""
    one = [(b"From", b"a"), (b"Date", b"b1"), (b"Message-ID", b"c"), (b"Subject", b"d")]
    two = [(b"From", b"ab"), (b"Date", b"1"), (b"Message-ID", b"c"), (b"Subject", b"d")]
    assert exact(one, SENDER) != exact(two, SENDER)


def test_a_shape_is_of_defects_only() -> None:
    """Nothing has no shape; the words around a defect do not matter, its kind, place and size class do."""
    assert shape([]) is None
    one = shape([Trait(b"To", "address-bracket", b"Ann " + b"[[] " * 100, 4)])
    assert one == shape([Trait(b"to", "address-bracket", b"Robert " + b"[[] " * 110, 7)])
    assert one != shape([Trait(b"Cc", "address-bracket", b"Ann " + b"[[] " * 100, 4)])
    assert one != shape([Trait(b"To", "address-quote", b"Ann " + b"[[] " * 100, 4)])
    assert one != shape([Trait(b"To", "address-bracket", b"Ann " + b"[[] " * 1000, 4)])
    assert one != shape([Trait(ENVELOPE, "address-bracket", b"Ann " + b"[[] " * 100, 4)])


def test_a_shape_is_blind_to_views() -> None:
    """Folded or not, it is the same shape."""
    plain = Trait(b"To", "address-bracket", b"Ann " + b"[[] " * 50, 4)
    folded = Trait(b"To", "address-bracket", b" Ann\r\n\t" + b"[[]\r\n " * 50, 7)
    assert shape([plain]) == shape([folded])


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 40)), max_size=5))
def test_the_order_of_traits_does_not_matter(made: list[tuple[bytes, int]]) -> None:
    """A shape is of a set."""
    traits = [Trait(b"f%d" % index, "v", value, start) for index, (value, start) in enumerate(made)]
    assert shape(traits) == shape(traits[::-1])
