"""What the scanner keeps and counts of an address list, whether anything is wrong with it or not."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.message import rfc5322_address

if TYPE_CHECKING:
    from forebay.message.rfc5322_address import AddressList

CASES = Path(__file__).with_name("address_parts.txt")


def cases() -> list[tuple[bytes, str, str]]:
    lines = [line for line in CASES.read_text(encoding="ascii").splitlines() if not line.startswith("#")]
    split = [line.rsplit(" | ", 2) for line in lines]
    return [(ast.literal_eval(value), mailboxes.strip(), measures.strip()) for value, mailboxes, measures in split]


def told(found: AddressList) -> tuple[str, str]:
    """Mailboxes and measures as the file has them."""
    boxes = [
        " ".join(repr(part)[1:] for part in (box.phrase, box.local_part, box.domain)) + f" {box.start} {box.end}"
        for box in found.mailboxes
    ]
    peaks = [
        f"{peak.measure} {peak.value} {peak.start} {peak.end}"
        for peak in found.diagnosis.peaks.values()
        if peak.measure != "address-tokens"
    ]
    return "; ".join(boxes), "; ".join(peaks)


@pytest.mark.parametrize(("value", "mailboxes", "measures"), cases())
def test_each_list_has_its_mailboxes_and_measures(value: bytes, mailboxes: str, measures: str) -> None:
    """Each mailbox with its parts and its place, each measure with its greatest value and where that was."""
    assert told(rfc5322_address.scan(value)) == (mailboxes, measures)


def test_only_where_one_author_is_expected_a_second_mailbox_or_a_group_is_told() -> None:
    """A To of two mailboxes and a group is nothing to note."""
    value = b" a@b, c@d, friends: e@f;"
    assert rfc5322_address.scan(value).diagnosis.defects == []
    told = [defect.kind for defect in rfc5322_address.scan(value, author=True).diagnosis.defects]
    assert told == ["mailbox-multiple", "group"]


def test_a_list_that_may_be_empty_is_empty_without_a_defect() -> None:
    """Bcc needs no address (RFC 5322 section 3.6.3), whether it has nothing or a comment."""
    for value in (b"", b" ", b" (nobody)", b" \n "):
        assert rfc5322_address.scan(value, optional=True).diagnosis.defects == []
        told = [defect.kind for defect in rfc5322_address.scan(value).diagnosis.defects]
        assert told == ["list-empty"]


def test_a_thousand_lapses_end_the_reading_too() -> None:
    """What people's programs write is no attack in dozens, but nobody reads a thousand of it."""
    defects = rfc5322_address.scan(b"a," + b"," * 1500).diagnosis
    assert defects.peaks["address-errors"].value == rfc5322_address.MOST_ERRORS
    few = rfc5322_address.scan(b"a@b" + b"," * 999).diagnosis
    assert "address-errors" not in few.peaks
