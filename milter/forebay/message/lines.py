"""What can be wrong with the bytes of any field, whatever its grammar (RFC 5322 sections 2.1.1 and 2.2, RFC 6532)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.diagnosis import MOST_KEPT, Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.message.field import Field

_HARMLESS: Final = bytes(range(32, 127)) + b"\t\n"
_CONTROL: Final = pattern.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_EIGHT: Final = pattern.compile(rb"[\x80-\xff]++")
_BLANK_FOLD: Final = pattern.compile(rb"\n[ \t]*+(?=\n|\Z)")
_CONTROL_NAME: Final = ("control", "control character")
_NAMES: Final = {0: ("nul", "NUL byte"), 13: ("bare-cr", "CR inside a line")}


def plain(values: Iterable[bytes]) -> bool:
    """Whether none of these values has a defect of its bytes: one pass at the speed of C over all of them."""
    return plain_joined(join(values))


def join(values: Iterable[bytes]) -> bytes:
    """Values one after the other, for `plain_joined`: no fold reaches from one into the next."""
    return b"\n.".join(values)


def plain_joined(joined: bytes) -> bool:
    """As `plain`, for values that are joined already."""
    return not joined.translate(None, _HARMLESS) and not _BLANK_FOLD.search(joined)


def diagnose(field: Field) -> Diagnosis:
    """The defects of a field's bytes, and the measures that any field has."""
    diagnosis = look(field.value, smtputf8=field.smtputf8)
    measure(field.value, len(field.name) + 1, diagnosis)
    return diagnosis


def look(value: bytes, *, smtputf8: bool = False) -> Diagnosis:
    """The defects of a value's bytes alone."""
    diagnosis = Diagnosis()
    if value.translate(None, _HARMLESS):
        _octets(value, diagnosis, smtputf8=smtputf8)
    for fold in islice(_BLANK_FOLD.finditer(value), MOST_KEPT) if b"\n" in value else ():
        diagnosis.note("blank-fold", fold.start() + 1, fold.end(), "folded line of blanks only")
    return diagnosis


def measure(value: bytes, first_line: int, diagnosis: Diagnosis) -> None:
    """Sizes of one value; the name and its colon, `first_line` bytes, stand before its first line."""
    end = len(value)
    diagnosis.measure("field-bytes", end, 0, end)
    start = longest = place = 0
    lines = 0
    while start <= end:
        stop = value.find(b"\n", start)
        stop = end if stop < 0 else stop
        size = stop - start + (0 if lines else first_line)
        if size > longest:
            longest, place = size, start
        lines += 1
        start = stop + 1
    diagnosis.measure("line-bytes", longest, place, min(place + longest, end))
    diagnosis.measure("fold-lines", lines, 0, end)


def _octets(value: bytes, diagnosis: Diagnosis, *, smtputf8: bool) -> None:
    for match in islice(_CONTROL.finditer(value), MOST_KEPT):
        start = match.start()
        kind, text = _NAMES.get(value[start], _CONTROL_NAME)
        diagnosis.note(kind, start, start + 1, text)
    if value.isascii():
        return
    if not smtputf8:
        for match in islice(_EIGHT.finditer(value), MOST_KEPT):
            diagnosis.note("8bit", match.start(), match.end(), "byte above 127")
    try:
        value.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        kind = "smtputf8-invalid" if smtputf8 else "utf8-invalid"
        diagnosis.note(kind, error.start, error.end, "bytes above 127 that are not UTF-8")
