"""Showing a finding as a compiler shows an error: the line it is in, and a mark below the bytes that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.message.envelope import Envelope
    from forebay.message.finding import Finding

WIDTH = 96
"""Columns of a line that are shown."""
CONTEXT = 32
"""Columns before the place, where a line is too long to be shown whole."""
CUT = "..."

_NAMED = {9: r"\t", 92: r"\\"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of printable ASCII, and the sign that belongs below it.

    `number` counts the fields from 1, and is 0 where the line is not of a field.
    """

    number: int
    line: str
    indent: str
    sign: str


@dataclass(frozen=True, slots=True)
class Source:
    """What the offsets of findings count in."""

    fields: Sequence[tuple[bytes, bytes]]
    envelope: Envelope
    body: bytes


def mark(finding: Finding, source: Source) -> Mark | None:
    """The place of a finding, or None where it has none that can be shown."""
    index = finding.field_index
    if index >= 0:
        name, value = source.fields[index]
        if finding.start == 0 and (finding.end == 0 or value[:1] == b"\n"):  # the whole field: its name stands for it
            return _mark(index + 1, name + b":", value, -len(name) - 1, -1)
        return _mark(index + 1, name + b":", value, finding.start, finding.end)
    text = _elsewhere(finding, source)
    if not text or finding.end > len(text):
        return None
    return _mark(0, b"", text, finding.start, finding.end)


def _elsewhere(finding: Finding, source: Source) -> bytes:
    if finding.field == b"MAIL FROM":
        return source.envelope.sender
    if finding.field == b"RCPT TO" and len(source.envelope.recipients) == 1:
        return source.envelope.recipients[0]
    return source.body if finding.field == b"body" else b""


def _mark(number: int, name: bytes, value: bytes, start: int, end: int) -> Mark:
    """Mark `value[start:end]` in its line; the name stands before the first line, at negative offsets.

    Of a line nothing is looked at that is too far from the place to be shown.
    """
    line_start = value.rfind(b"\n", 0, max(start, 0)) + 1
    line_end = value.find(b"\n", max(start, 0))
    line_end = len(value) if line_end < 0 else line_end
    if not line_start:
        value, shift = name + value[: max(start, 0) + WIDTH], len(name)
        start, end, line_end = start + shift, end + shift, line_end + shift
    low, high = max(line_start, start - CONTEXT), min(line_end, start + WIDTH)
    cells = [_cell(byte) for byte in value[low:high]]
    return _window(number, cells, start - low, end - low, (low > line_start, high < line_end))


def _window(number: int, cells: list[str], start: int, end: int, cut: tuple[bool, bool]) -> Mark:
    """Fit the cells into the width, around the place; `cut` tells whether the line goes on before and behind them."""
    cut_before, cut_behind = cut
    first = 0
    if cut_before or cut_behind or _columns(cells) > WIDTH:
        first = _reach_back(cells, start)
    last = _reach_on(cells, first)
    before = CUT if cut_before or first else ""
    behind = CUT if cut_behind or last < len(cells) else ""
    marked = _columns(cells[start : max(min(end, last), start + 1)])
    return Mark(
        number=number,
        line=before + "".join(cells[first:last]) + behind,
        indent=" " * (len(before) + _columns(cells[first:start])),
        sign="^" + "~" * (marked - 1),
    )


def _reach_back(cells: list[str], start: int) -> int:
    """The first cell to be shown: some of what stands before the place."""
    first, room = min(start, len(cells)), CONTEXT
    while first > 0 and len(cells[first - 1]) <= room:
        first -= 1
        room -= len(cells[first])
    return first


def _reach_on(cells: list[str], first: int) -> int:
    """The cell behind the last that still fits."""
    last, room = first, WIDTH
    while last < len(cells) and len(cells[last]) <= room:
        room -= len(cells[last])
        last += 1
    return last


def _columns(cells: list[str]) -> int:
    return sum(map(len, cells))


def _cell(byte: int) -> str:
    r"""One byte as it is shown: itself, or `\x1b`."""
    if byte in _NAMED:
        return _NAMED[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
