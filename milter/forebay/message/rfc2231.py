"""Parameters in sections and in character sets: `name*0=`, `name*=`, `name*1*=` (RFC 2231 sections 3 and 4)."""

from __future__ import annotations

from binascii import unhexlify
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.rfc2047 import decode_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forebay.message.diagnosis import Diagnosis
    from forebay.message.parameter import Parameter

HIGHEST_INDEX: Final = 999_999_999
"""What a section number with more digits counts as."""

FILE_NAMES: Final = frozenset({b"name", b"filename"})
"""The parameters that name a file: programs judge it by its extension."""

_HARMLESS = frozenset({b"title", b"description", *FILE_NAMES})

# attribute ["*" section] ["*"]
_NAME = pattern.compile(rb"([^*]++)(?:\*([0-9]++))?+(\*)?+").fullmatch
_ESCAPES = pattern.compile(rb"(?:%[0-9A-Fa-f]{2})++")
_BAD_ESCAPE = pattern.compile(rb"%(?![0-9A-Fa-f]{2})").search


@dataclass(slots=True)
class _Written:
    """One parameter in all the ways that it is written in a field."""

    plain: Parameter | None = None
    extended: Parameter | None = None
    sections: list[tuple[int, bool, Parameter]] = field(default_factory=list)
    """Number, whether its value is extended, and the parameter."""


def join(parameters: Iterable[Parameter], name: bytes) -> bytes | None:
    """The value of a parameter: its sections joined, escapes decoded, else its plain value; None if there is none."""
    found = _written(parameters).get(name)
    return _value(found) if found else None


def check(parameters: Sequence[Parameter], diagnosis: Diagnosis) -> None:
    """Say what is wrong with the sections of all parameters, and where two ways to write one contradict each other."""
    if not any(b"*" in parameter.name for parameter in parameters):
        return
    for parameter in parameters:
        match = _NAME(parameter.name)
        if not match:
            diagnosis.note("continuation-malformed", parameter.start, parameter.end, "section that is no number")
        elif match[2] and match[2][:1] == b"0" and len(match[2]) > 1:
            diagnosis.note(
                "continuation-malformed", parameter.start, parameter.end, "section number with a leading zero"
            )
    for name, written in _written(parameters).items():
        if written.sections:
            _check_sections(written, diagnosis)
        if written.extended:
            _check_extended(written.extended, True, diagnosis)
        if written.plain and (written.extended or written.sections):
            _check_conflict(name, written, written.plain, diagnosis)


def _written(parameters: Iterable[Parameter]) -> dict[bytes, _Written]:
    found: dict[bytes, _Written] = {}
    for parameter in parameters:
        match = _NAME(parameter.name)
        if not match:
            continue
        written = found.setdefault(match[1], _Written())
        if match[2] is not None:
            number = int(match[2]) if len(match[2]) <= 9 else HIGHEST_INDEX
            written.sections.append((number, match[3] is not None, parameter))
        elif match[3]:
            written.extended = written.extended or parameter
        else:
            written.plain = written.plain or parameter
    return found


def _value(written: _Written) -> bytes | None:
    if written.sections:
        sections = {number: (extended, parameter) for number, extended, parameter in reversed(written.sections)}
        parts = []
        for number in range(len(sections)):
            if number not in sections:
                break
            extended, parameter = sections[number]
            parts.append(_decoded(parameter.value, number == 0) if extended else parameter.value)
        return b"".join(parts)
    if written.extended:
        return _decoded(written.extended.value, True)
    return written.plain.value if written.plain else None


def _decoded(value: bytes, initial: bool) -> bytes:
    """The bytes of an extended value; the first one begins with charset and language: `utf-8'en'...`."""
    if initial and value.count(b"'") >= 2:
        value = value.split(b"'", 2)[2]
    return _ESCAPES.sub(lambda run: unhexlify(run[0].replace(b"%", b"")), value)


def _check_sections(written: _Written, diagnosis: Diagnosis) -> None:
    sections = written.sections
    first, last = sections[0][2], sections[-1][2]
    place = first.start, last.end
    diagnosis.measure("continuations", len(sections), *place)
    diagnosis.measure("parameter-bytes", sum(len(section.value) for _, _, section in sections), *place)
    for number, extended, parameter in sections:
        diagnosis.measure("continuation-index", number, parameter.start, parameter.end)
        if extended:
            _check_extended(parameter, number == 0, diagnosis)
    numbers = {number for number, _, _ in sections}
    fault = ""
    if len(numbers) < len(sections):
        fault = "two sections of one number"
    elif 0 not in numbers:
        fault = "no section 0"
    elif max(numbers) >= len(sections):
        fault = "gap between sections"
    elif written.extended:
        fault = "value both whole and in sections"
    if fault:
        diagnosis.note("continuation-malformed", *place, fault)


def _check_extended(parameter: Parameter, initial: bool, diagnosis: Diagnosis) -> None:
    if initial and parameter.value.count(b"'") < 2:
        diagnosis.note(
            "parameter-malformed", parameter.start, parameter.end, "no charset and language before the value"
        )
    elif _BAD_ESCAPE(parameter.value):
        diagnosis.note("parameter-malformed", parameter.start, parameter.end, '"%" without two hexadecimal digits')


def _check_conflict(name: bytes, written: _Written, plain: Parameter, diagnosis: Diagnosis) -> None:
    """Programs disagree on which of the two counts. A plain file name for old programs is usual, and may be simpler."""
    joined, simple = _value(written) or b"", decode_all(plain.value)
    place = plain.start, plain.end
    if joined == simple:
        diagnosis.note("parameter-conflict", *place, "parameter written in two ways")
    elif name in _HARMLESS and (name not in FILE_NAMES or _extension(joined) == _extension(simple) or b"=?" in simple):
        diagnosis.note("parameter-conflict", *place, "parameter written in two ways that differ a little")
    else:
        diagnosis.note("parameter-conflict-differs", *place, "parameter written in two ways that contradict each other")


def _extension(name: bytes) -> bytes:
    return name.rpartition(b".")[2].strip().lower() if b"." in name else b""
