"""Hostile fields cost their size and no more: time and memory of every scanner double when the value doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from forebay.message import (
    address_usual,
    body_start,
    rfc2045,
    rfc2047,
    rfc5322_address,
    rfc5322_date,
    rfc5322_id,
    trace,
)
from forebay.message.field import Field
from unit.growth import LONG, check_time, memory
from unit.message import hostile_addresses, hostile_mime

if TYPE_CHECKING:
    from collections.abc import Callable

Reader = tuple[bytes, "Callable[[bytes], object]", "Callable[[Field], object]"]

READERS: Final[tuple[Reader, ...]] = (
    (b"Content-Type", rfc2045.recognise_content_type, rfc2045.diagnose_content_type),
    (b"Content-Disposition", rfc2045.recognise_disposition, rfc2045.diagnose_disposition),
    (b"Content-Transfer-Encoding", rfc2045.recognise_encoding, rfc2045.diagnose_encoding),
    (b"MIME-Version", rfc2045.recognise_mime_version, rfc2045.diagnose_mime_version),
    (b"Subject", rfc2047.recognise, lambda field: rfc2047.scan(field.value)),
    (b"Date", rfc5322_date.recognise, lambda field: rfc5322_date.scan(field.value)),
    (b"Message-ID", rfc5322_id.recognise_one, rfc5322_id.diagnose_one),
    (b"References", rfc5322_id.recognise_many, rfc5322_id.diagnose_many),
    (b"Received", trace.recognise_received, trace.diagnose_received),
    (b"List-Unsubscribe", trace.recognise_list, trace.diagnose_list),
    (b"List-Id", trace.recognise_list_id, trace.diagnose_list),
    (b"DKIM-Signature", trace.recognise_dkim, trace.diagnose_dkim),
)
ADDRESSES: Final[Reader] = (b"To", address_usual.recognise_list, lambda field: rfc5322_address.scan(field.value))

SIZES: Final = (30_000, 500_000) if LONG else (15_000,)
"""Of the smaller one of each two that are compared. The test of the whole judge has larger ones."""

OPENED: Final = {
    name: make
    for name, make in hostile_addresses.CONSTRUCTS.items()
    if LONG or name.endswith(("-in-angle", "-in-domain", "-in-group"))
}
"""Those that begin inside something. The test of the whole judge has the others."""

HEADERS: Final = (1_000, 60_000) if LONG else (6_000,)


@pytest.fixture(autouse=True)
def reads_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bytes are read, where the budget of reading would end it."""
    monkeypatch.setattr(rfc5322_address, "MOST_EFFORT", 10**9)


def read(reader: Reader, value: bytes) -> object:
    name, recognise, diagnose = reader
    return recognise(value), diagnose(Field(0, name, value))


def check_times(readers: tuple[Reader, ...], make: Callable[[int], bytes]) -> None:
    for size in SIZES:
        small, large = make(size), make(2 * size)

        def reading(value: bytes) -> Callable[[], object]:
            return lambda: [read(reader, value) for reader in readers]

        check_time(reading(small), reading(large), 2 * size * len(readers))


def check_memory(readers: tuple[Reader, ...], value: bytes) -> None:
    for reader in readers:
        now, peak = memory(lambda reader=reader: read(reader, value))  # type: ignore[misc] # a default of a lambda
        assert now <= 8 * len(value) + 16_000, reader[0]
        assert peak <= 12 * len(value) + 64_000, reader[0]


@pytest.mark.parametrize("name", hostile_mime.CONSTRUCTS)
def test_time_of_mime_scanners_doubles_with_the_size(name: str) -> None:
    """All scanners but that of addresses read a hostile value in linear time, and faster than the product allows."""
    check_times(READERS, hostile_mime.CONSTRUCTS[name])


@pytest.mark.parametrize("name", OPENED)
def test_time_of_the_address_scanner_doubles_with_the_size(name: str) -> None:
    """So does the scanner of addresses."""
    check_times((ADDRESSES,), OPENED[name])


@pytest.mark.parametrize("blanks", [b" " * 700, b" " * 700 + b"\n" + b" " * 700, b" " * 300_000])
def test_blanks_between_usual_mailboxes_are_read_once(blanks: bytes) -> None:
    """What is skipped begins behind a comma: who looked for it at every blank would read the rest again and again."""

    def make(size: int) -> bytes:
        return (b"a@b," * 70 + (b"a@b," + blanks) * (size // len(blanks) + 1))[:size]

    small, large = make(120_000), make(240_000)
    for read_one in (rfc5322_address.read, rfc5322_address.measure_usual):
        check_time(lambda: read_one(small + b"a@b"), lambda: read_one(large + b"a@b"), len(large))  # noqa: B023 - at once


@pytest.mark.parametrize("name", hostile_mime.CONSTRUCTS)
@pytest.mark.parametrize("size", HEADERS)
def test_memory_of_mime_scanners_is_bounded_by_the_size(name: str, size: int) -> None:
    """What a scanner has allocated, at its peak and after it, is a few times the value."""
    check_memory(READERS, hostile_mime.CONSTRUCTS[name](size))


@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("size", HEADERS)
def test_memory_of_the_address_scanner_is_bounded_by_the_size(name: str, size: int) -> None:
    """The same of addresses."""
    check_memory((ADDRESSES,), OPENED[name](size))


@pytest.mark.parametrize("name", hostile_mime.BODIES)
def test_the_start_of_a_body_is_read_in_linear_time(name: str) -> None:
    """Whatever a body begins with, it costs less than the product allows, and doubles with the size."""
    small, large = (hostile_mime.BODIES[name](size) for size in (32_000, 64_000))
    names = frozenset((b"from", b"to"))
    check_time(lambda: body_start.diagnose(small, names), lambda: body_start.diagnose(large, names), len(large))
