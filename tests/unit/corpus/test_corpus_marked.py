"""The precision of diagnosis: findings point to the bytes to which a person would point.

`tests/corpus/marked` has an id, a field, and under it the mark that a person would set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.config import Config
from forebay.testing import Message
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKED = Path(__file__).resolve().parents[2] / "corpus" / "marked"

_ENVELOPE = ("MAIL FROM:", "RCPT TO:")
_DECLARED = "SMTPUTF8 "


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person says of one field: this id, `value[start:end]`. `place` is where it stands in the corpus."""

    place: str
    id: str
    field: str
    message: Message
    start: int
    end: int


def marks() -> Iterator[Mark]:
    """Every mark of every file."""
    for path in sorted(MARKED.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
        line = 1
        for block in blocks:
            yield _mark(f"{path.name}:{line}", block)
            line += block.count("\n") + 2


def _mark(place: str, block: str) -> Mark:
    head, shown, *rest = block.split("\n")
    if len(rest) > 1:
        raise ValueError(f"{place}: a block has two or three lines")
    smtputf8 = head.startswith(_DECLARED)
    name = next((each for each in _ENVELOPE if shown.startswith(each)), shown[: shown.index(":") + 1])
    message = _message(name, _bytes(shown), smtputf8=smtputf8)
    start, end = _span(rest[0]) if rest else (len(name), len(name))
    return Mark(place, head.removeprefix(_DECLARED), name[:-1], message, start - len(name), end - len(name))


def _message(name: str, raw: bytes, *, smtputf8: bool) -> Message:
    value = raw[len(name) :]
    if name == "MAIL FROM:":
        return Message(sender=value, smtputf8=smtputf8)
    if name == "RCPT TO:":
        return Message(recipients=(value,), smtputf8=smtputf8)
    return Message(((name[:-1].encode(), value),), smtputf8=smtputf8)


def _bytes(shown: str) -> bytes:
    """One character is one byte: the pictures of control characters stand for these."""
    return b"".join(bytes((_byte(char),)) for char in shown)


def _byte(char: str) -> int:
    code = ord(char)
    if 0x2400 <= code < 0x2420:
        return code - 0x2400
    return 0x7F if char == "␡" else code


def _span(mark: str) -> tuple[int, int]:
    start = mark.index("^")
    if mark != " " * start + "^" + "~" * (len(mark) - start - 1):
        raise ValueError(f"{mark!r} is no mark")
    return start, len(mark)


MARKS = tuple(marks())
RUNNER = Runner((), Config(), builtin=True)


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"{mark.place} {mark.id}")
def test_place(mark: Mark) -> None:
    """The finding of this id is in the marked field, at the marked bytes, and nowhere else."""
    found = [each for each in RUNNER.run(mark.message) if each.id == mark.id]
    assert [(each.field.decode(), each.start, each.end) for each in found] == [(mark.field, mark.start, mark.end)]


def test_enough() -> None:
    """There are at least 60 marks, each another field."""
    assert len({(mark.id, mark.message) for mark in MARKS}) == len(MARKS) >= 60
