"""What a linear scanner says of some bytes: each defect with its place, and the largest of each measure.

A scanner goes on after a defect. It keeps the first few places and counts the rest, so that what is kept stays small
however hostile the bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_KEPT = 16
"""Defects kept with their place, for one field; the others are counted only."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A grammar error and its place: `value[start:end]`, 0-based and half-open.

    `kind` is one of `message.kinds.DEFECTS`; `text` names the error in a few words and never holds bytes of the mail.
    `field_index` is -1 where the place is known from the context, as in the diagnosis of one field.
    """

    kind: str
    start: int
    end: int
    text: str
    field_index: int = -1


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest value of one measure in these bytes, and where it was met."""

    measure: str
    value: int
    start: int
    end: int
    field_index: int = -1


class Diagnosis:
    """Filled by one scanner, then only read.

    `defects` holds the first `MOST_KEPT`, in the order of the bytes, the first of a kind always among them; `counts`
    tells how many of each kind there were; `peaks` has the largest value of each measure that is not 0. `effort` is
    how many steps it took to read, the same on every machine: one for a byte that means something in an address list, a
    quotation mark or a parenthesis elsewhere; two for a message identifier, three for a usual mailbox, four for an
    encoded-word.
    """

    __slots__ = ("counts", "defects", "effort", "peaks")

    def __init__(self) -> None:
        self.effort = 0
        self.defects: list[Defect] = []
        self.counts: dict[str, int] = {}
        self.peaks: dict[str, Peak] = {}

    def note(self, kind: str, start: int, end: int, text: str, field_index: int = -1) -> None:
        """Count one defect; keep its place while there is room, and always for the first of its kind."""
        seen = self.counts.get(kind, 0)
        self.counts[kind] = seen + 1
        if not seen or len(self.defects) < MOST_KEPT:
            self.defects.append(Defect(kind, start, end, text, field_index))

    def count(self, kind: str, times: int, start: int, end: int, text: str) -> None:
        """Count `times` defects of a kind at once, and keep the place of the first."""
        if times > 0:
            self.note(kind, start, end, text)
            self.counts[kind] += times - 1

    def measure(self, measure: str, value: int, start: int, end: int, field_index: int = -1) -> None:
        """Keep the largest value of a measure."""
        best = self.peaks.get(measure)
        if value > (best.value if best else 0):
            self.peaks[measure] = Peak(measure, value, start, end, field_index)
