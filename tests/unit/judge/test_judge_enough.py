"""How much of a hostile message is read: enough to keep it from the router, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from forebay.api import QUARANTINE, REJECT, TAG
from forebay.config import Config
from forebay.judge.load import load_judge
from forebay.message import rfc5322_address
from forebay.message.envelope import Envelope

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

ENVELOPE: Final = Envelope(b"<jane@example.org>", (b"<joe@example.com>",))
GOOD: Final = (
    (b"From", b" jane@example.org"),
    (b"Date", b" Mon, 3 Nov 2025 10:00:00 +0000"),
    (b"Message-ID", b" <1@example.org>"),
)
UNBALANCED: Final = b"\n ".join([b' "a b" <c@d.example'] * 20)
LONG_LINES: Final = b"\n ".join([b"x@y.example," * 60] * 12)
"""Twelve lines of sixty addresses: more than 8 KB."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the values that are read as addresses."""
    lengths: list[int] = []
    scan = rfc5322_address.scan

    def noted(value: bytes, **how: bool) -> rfc5322_address.AddressList:
        lengths.append(len(value))
        return scan(value, **how)

    monkeypatch.setattr(rfc5322_address, "scan", noted)
    return lengths


def verdict(*fields: tuple[bytes, bytes]) -> Verdict:
    return load_judge(Config()).judge(GOOD + fields, ENVELOPE)


def test_of_a_short_message_everything_is_read(read: list[int]) -> None:
    """What is wrong is told field by field."""
    found = verdict((b"To", b" " + UNBALANCED), (b"Cc", b" " + UNBALANCED)).findings
    assert {each.field for each in found} == {b"To", b"Cc"}
    assert read == [1 + len(UNBALANCED)] * 2


def test_who_is_refused_is_not_read_on(read: list[int]) -> None:
    """After eight kilobytes that were looked at closely."""
    fields = [(name, b" " + LONG_LINES) for name in (b"Cc", b"Errors-To", b"Apparently-To")]
    assert verdict((b"To", b" " + UNBALANCED), *fields).action is REJECT
    assert read == [1 + len(UNBALANCED), 1 + len(LONG_LINES)]


def test_who_is_only_tagged_is_read_to_the_end(read: list[int]) -> None:
    """A field that is looked at late may hold what matters."""
    fields = [(name, b" " + LONG_LINES) for name in (b"To", b"Cc", b"Errors-To")]
    found = verdict(*fields, (b"Apparently-To", b" " + UNBALANCED))
    assert found.action is REJECT
    assert len(read) == 4
    assert verdict(*fields).action is TAG


def test_a_quarantine_is_enough(read: list[int]) -> None:
    """More than a thousand addresses are held; nobody looks for more."""
    many = b" " + b"\n ".join([b"a@b.c," * 120] * 12)
    assert verdict((b"To", many), (b"Cc", many)).action is QUARANTINE
    assert len(read) == 1
