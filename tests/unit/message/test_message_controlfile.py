"""Sendmail's queue files: what was written is read, nothing else is believed, and hostile ones cost their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.message.controlfile import parse
from unit.growth import check_time, memory

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_ID: Final = b"6AQCDTnN007260"
HEAD: Final = b"V8\nT1764158400\nK0\nN0\nS<jane@example.org>\nRPFD:<joe@example.com>\n"
SIZE: Final = 200_000
FIELD: Final = 6
"""Bytes of the shortest field."""

PLAIN: Final = st.binary(max_size=40).map(lambda text: text.translate(None, b"\n"))
NAMES: Final = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True).filter(lambda name: name != b"Received")
VALUES: Final = st.lists(PLAIN, min_size=1, max_size=3).map(b"\n\t".join)
FIELDS: Final = st.lists(st.tuples(NAMES, VALUES), max_size=8)

CONSTRUCTS: Final[dict[str, Callable[[int], bytes]]] = {
    "fields of nothing": lambda size: b"H??a:\n" * (size // FIELD),
    "flags without an end": lambda size: b"H?" + b"P" * size,
    "a name without an end": lambda size: b"H??" + b"x" * size,
    "a field of folds": lambda size: b"H??To: x" + b"\n\t" * (size // 2),
    "empty lines": lambda size: b"\n" * size,
    "quoted bytes": lambda size: b"H??To: " + b"\xff\x81" * (size // 2),
    "recipients": lambda size: b"R:a\n" * (size // 4),
}


def written(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A control file with these fields, and two that Sendmail has added."""
    own = b"H??Received: from x by y id " + QUEUE_ID + b"\n\tThu, 26 Nov 2026\nH?M?Message-Id: <z@y>\n"
    return HEAD + own + b"".join(b"H??%b:%b\n" % (name, quoted(value)) for name, value in fields) + b".\n"


def quoted(value: bytes) -> bytes:
    """As Sendmail writes it: bytes from 0x80 to 0x9f, and 0xff, after one of 0xff."""
    return b"".join(b"\xff%c" % each if 0x80 <= each <= 0x9F or each == 0xFF else b"%c" % each for each in value)


@given(FIELDS)
def test_what_the_client_wrote_is_read(fields: list[tuple[bytes, bytes]]) -> None:
    """Its fields in their order with their folds, and not those that Sendmail has added; who wrote to whom."""
    found = parse(written(fields), QUEUE_ID)
    assert found
    assert list(found.fields) == fields
    assert (found.sender, found.recipients) == (b"<jane@example.org>", (b"<joe@example.com>",))
    assert found.header == b"".join(b"%b:%b\n" % each for each in fields)


@given(st.binary(max_size=400), st.integers(0, 60))
def test_no_bytes_are_too_strange(noise: bytes, place: int) -> None:
    """Anything at all, alone and within a file that is in order, is read or refused, and nothing is raised."""
    whole = written([(b"To", b" a@b")])
    for data in (noise, whole[:place] + noise + whole[place:]):
        found = parse(data, QUEUE_ID)
        assert found is None or found.arrival >= 0


@pytest.mark.parametrize("cut", [b"\n.\n", b"T1764158400\n", b"S<jane@example.org>\n"])
def test_what_is_not_whole_is_refused(cut: bytes) -> None:
    """Without its end, its time or its sender it is still being written, or none."""
    assert parse(written([]).replace(cut, b""), QUEUE_ID) is None


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_time_and_memory_double_with_the_size(name: str) -> None:
    """As many fields as fit are objects each; a file of more than are kept costs no more for that."""
    small, large = (HEAD + CONSTRUCTS[name](size) + b"\n.\n" for size in (SIZE, 2 * SIZE))
    fields = 2 * SIZE // FIELD if name == "fields of nothing" else 0
    check_time(lambda: parse(small, QUEUE_ID), lambda: parse(large, QUEUE_ID), 2 * SIZE, fields)
    _, most = memory(lambda: parse(large, QUEUE_ID))
    assert most < 4 * 2 * SIZE + 300 * fields + 100_000


def test_no_more_is_kept_than_is_needed() -> None:
    """A file as long as one may be: the first fields and recipients."""
    found = parse(HEAD + b"H??a:\n" * 200_000 + b"R:b\n" * 2_000 + b".\n", QUEUE_ID)
    assert found
    assert (len(found.fields), len(found.recipients)) == (100_000, 1_000)
