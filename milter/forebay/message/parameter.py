"""The parameters of a MIME field: `*(";" attribute "=" value)` (RFC 2045 section 5.1, RFC 2183 section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern
from forebay.message.mask import COMMENT, Masked, unquote

if TYPE_CHECKING:
    from forebay.message.diagnosis import Diagnosis

MOST_READ: Final = 256
"""Parameters that are read one by one; of those behind them only the semicolons are counted."""

TCHAR: Final = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]"
"""A character of `token`: printable ASCII without blanks and tspecials (RFC 2045 section 5.1)."""

CFWS: Final = r"[ \t\r\n\x01]"
"""A blank, or a byte of a masked comment."""

# Separators, empty parameters among them.
_SEPARATOR = pattern.compile(rf";(?:;|{CFWS})*+".encode())

# parameter = attribute "=" value; value = token / quoted-string
_PARAMETER = pattern.compile(rf'({TCHAR}++)({CFWS}*+=){CFWS}*+(?:({TCHAR}++)|"(\x02*+)"){CFWS}*+(?=;|\Z)'.encode())
# What is no parameter, but may be read as one.
_LOOSE = pattern.compile(rf"({TCHAR}++){CFWS}*+=([^;]*+)".encode())
_REST = pattern.compile(rb"[^;]*+")
_BLANKS = b" \t\r\n\x01"
_COMMENT = bytes((COMMENT,))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, at `value[start:end]` of the field. `name` is in lower case, `value` without its quotes."""

    name: bytes
    value: bytes
    start: int
    end: int


def read(value: bytes, masked: Masked, pos: int, diagnosis: Diagnosis) -> list[Parameter]:
    """Read the parameters from the semicolon at `pos` to the end, and say what is wrong with them.

    At most `MOST_READ` are read. What is none, but has a name and a "=", is a defect and read all the same.
    """
    text = masked.text
    found: list[Parameter] = []
    number = empty = 0
    first_empty = pos
    while pos < len(text) and number < MOST_READ:
        separator = _SEPARATOR.match(text, pos)
        assert separator  # `pos` is at a semicolon: whatever stands before one has been read
        start = separator.end()
        semicolons = text.count(b";", pos, start)
        if semicolons > 1 or start == len(text):
            first_empty = first_empty if empty else pos
            empty += semicolons - (start < len(text))
        if start == len(text):
            pos = start
            break
        number += 1
        if _COMMENT in separator[0]:
            diagnosis.note("mime-comment", text.index(_COMMENT, pos), start, "comment before the name of a parameter")
        pos = _read_one(value, masked, start, found, diagnosis)
        diagnosis.measure("parameter-bytes", pos - start, start, pos)
    diagnosis.measure("parameters", number + text.count(b";", pos), 0, len(value))
    diagnosis.measure("empty-parameters", empty, first_empty, len(value))
    diagnosis.count("parameter-malformed", empty, first_empty, first_empty + 1, "semicolon without a parameter")
    return found


def _read_one(value: bytes, masked: Masked, start: int, found: list[Parameter], diagnosis: Diagnosis) -> int:
    """Read what stands between two semicolons, and return where it ends."""
    text = masked.text
    match = _PARAMETER.match(text, start)
    if match:
        token, quoted = match.span(3), match.span(4)
        content = value[slice(*token)] if token[0] >= 0 else unquote(value[slice(*quoted)])
        end = token[1] if token[0] >= 0 else quoted[1] + 1
        if _COMMENT in text[match.end(1) : max(token[0], quoted[0])]:
            at = text.index(_COMMENT, start)
            diagnosis.note("mime-comment", at, end, 'comment beside the "=" of a parameter')
        found.append(Parameter(match[1].lower(), content, start, end))
        return match.end()
    rest = _REST.match(text, start)
    assert rest  # it matches anything
    end = start + len(rest[0].rstrip(_BLANKS))
    loose = _LOOSE.match(text, start)
    kind, fault = "parameter-malformed", "text where a parameter belongs"
    if loose:
        found.append(Parameter(loose[1].lower(), value[loose.start(2) : end].strip(), start, end))
        fault = (
            "value with characters that need quotation marks"
            if loose[2].strip(_BLANKS)
            else "parameter without a value"
        )
        if loose[1].lower() == b"boundary":
            kind = "boundary-malformed"
    elif rest[0][:1] == b"=":
        fault = "parameter without a name"
    elif b"=" not in rest[0]:
        fault = 'parameter without a "="'
    if not start <= masked.open_quote < end:  # that one has a kind of its own
        diagnosis.note(kind, start, end, fault)
    return rest.end()
