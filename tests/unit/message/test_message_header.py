"""Lines, sizes and presence: what can be said of a header without any grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.message import lines, measures, presence
from forebay.message.diagnosis import Diagnosis
from forebay.message.field import Field
from forebay.message.header import Header

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = ((b"From", b" a@b"), (b"To", b" c@d"), (b"Date", b" x"), (b"Message-ID", b" <x@y>"), (b"Subject", b" hi"))


def columns(fields: Sequence[tuple[bytes, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """Lower-case names, and values."""
    return [name.lower() for name, _ in fields], [value for _, value in fields]


def noted(*fields: tuple[bytes, bytes]) -> list[tuple[str, int]]:
    return [(defect.kind, defect.field_index) for defect in presence.diagnose(Header.of(fields)).defects]


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (b" plain\n\tfolded", []),
        (b" a\0b", ["nul"]),
        (b" a\rb", ["bare-cr"]),
        (b" \x1b[2J", ["control"]),
        (b" caf\xc3\xa9", ["8bit"]),
        (b" caf\xe9", ["8bit", "utf8-invalid"]),
        (b" a\n \n b", ["blank-fold"]),
        (b" a\n\t", ["blank-fold"]),
    ],
)
def test_defects_of_bytes(value: bytes, kinds: list[str]) -> None:
    """Each wrong byte is noted; a plain value is plain."""
    assert [defect.kind for defect in lines.diagnose(Field(0, b"X", value)).defects] == kinds
    assert lines.plain([b" x", value, b" y"]) == (not kinds)


def test_utf8_is_no_defect_under_smtputf8() -> None:
    """RFC 6532: letters above 127 are letters, but they have to be UTF-8."""
    assert lines.diagnose(Field(0, b"X", b" caf\xc3\xa9", smtputf8=True)).defects == []
    assert [d.kind for d in lines.diagnose(Field(0, b"X", b"\xe9", smtputf8=True)).defects] == ["smtputf8-invalid"]


def test_sizes_of_a_field() -> None:
    """The longest line counts with the name before the first; lines are counted."""
    peaks = lines.diagnose(Field(0, b"Name", b" 12\n 4567890\n 1")).peaks
    assert {name: peak.value for name, peak in peaks.items()} == {"field-bytes": 15, "line-bytes": 8, "fold-lines": 3}
    assert lines.diagnose(Field(0, b"Long-Name", b" 1")).peaks["line-bytes"].value == 12


@given(st.lists(st.binary(max_size=30)))
def test_plain_means_nothing_to_note(values: list[bytes]) -> None:
    """The quick look over all values errs on the side of looking closely."""
    if lines.plain(values):
        assert all(lines.diagnose(Field(0, b"X", value)).defects == [] for value in values)


def test_measures_of_a_header() -> None:
    """Bytes, fields, and the repeats of address fields, with the field that is the largest."""
    fields = [(b"To", b" a"), (b"to", b" b"), (b"From", b" 12345"), (b"Received", b" x"), (b"X-Longer", b" 1234567")]
    peaks = measures.measure(*columns(fields)).peaks
    values = {name: (peak.value, peak.field_index) for name, peak in peaks.items()}
    assert values == {
        "header-bytes": (sum(len(name) + len(value) + 2 for name, value in fields), -1),
        "header-fields": (5, -1),
        "field-bytes": (8, 4),
        "author-field-bytes": (6, 2),
        "name-bytes": (8, 3),
        "address-field-repeats": (2, 1),
        "received-fields": (1, -1),
    }


@pytest.mark.parametrize("name", [b"", b"a b", b"a:b", b"\xe9", b"a\x00"])
def test_a_wrong_name_is_noted(name: bytes) -> None:
    """A field name is visible ASCII without a colon."""
    (defect,) = measures.measure([b"to", name], [b"", b""]).defects
    assert (defect.kind, defect.field_index) == ("name-invalid", 1)


def test_a_usual_header_has_nothing_to_note() -> None:
    """From, To, Date, Message-ID, once each."""
    assert presence.usual(*columns(GOOD))
    assert noted(*GOOD) == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (GOOD[1:], [("from-missing", -1)]),
        (GOOD[:1] + GOOD[2:], [("destination-missing", -1)]),
        (GOOD[:2] + GOOD[3:], [("date-missing", -1)]),
        (GOOD[:3] + GOOD[4:], [("message-id-missing", -1)]),
        ((*GOOD, (b"FROM", b" a@b")), [("from-repeated", 5)]),
        ((*GOOD, (b"Subject", b"  hi ")), [("singleton-repeated", 5)]),
        ((*GOOD, (b"Subject", b" ho")), [("singleton-differs", 5)]),
        ((*GOOD, (b"References", b" <a@b>"), (b"References", b" <c@d>")), [("singleton-repeated", 6)]),
        ((*GOOD, (b"Content-Type", b" text/plain")), [("mime-version-missing", -1)]),
        ((*GOOD, (b"MIME-Version", b" 1.0"), (b"MIME-Version", b" 1.0")), [("mime-repeated", 6)]),
        (
            (*GOOD, (b"MIME-Version", b" 1.0"), (b"Content-Type", b" a/b"), (b"Content-Type", b" a/c")),
            [("mime-differs", 7)],
        ),
        ((*GOOD, (b"List-Id", b" <x>"), (b"List-Id", b" <x>")), [("list-repeated", 6)]),
        ((*GOOD, (b"Resent-To", b" x@y")), [("resent-incomplete", -1)]),
        ((*GOOD, (b"Cc", b" ")), [("value-empty", 5)]),
        (((b"From", b" a@b, c@d"), *GOOD[1:]), [("sender-missing", 0)]),
    ],
)
def test_what_is_missing_or_repeated(fields: tuple[tuple[bytes, bytes], ...], wanted: list[tuple[str, int]]) -> None:
    """Each kind of missing, repeated or empty field is noted; the quick look does not call such a header usual."""
    assert noted(*fields) == wanted
    assert not presence.usual(*columns(fields))


@pytest.mark.parametrize(("name", "kind"), [(b"Return-Path", "return-path-present"), (b"X-Mailbox-Line", "mbox-from")])
def test_what_only_a_delivery_writes(name: bytes, kind: str) -> None:
    """Such fields are noted without sending the whole header the long way."""
    fields = (*GOOD, (name, b" <x@y>"))
    names, values = columns(fields)
    diagnosis = Diagnosis()
    presence.look_for_strays(names, diagnosis)
    assert noted(*fields) == [(each.kind, each.field_index) for each in diagnosis.defects] == [(kind, 5)]
    assert presence.usual(names, values)


@given(st.lists(st.sampled_from([*(name for name, _ in GOOD), b"Cc", b"Sender", b"Content-Type", b"MIME-Version"])))
def test_usual_means_nothing_to_note(names: list[bytes]) -> None:
    """The quick look errs on the side of looking closely."""
    fields = [(name, b" a@b") for name in names]
    if presence.usual(*columns(fields)):
        assert noted(*fields) == []
