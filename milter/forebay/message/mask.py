"""Comments and quoted strings out of the way, so that plain regular expressions can read the rest of a value.

Comments nest (RFC 5322 section 3.2.2), and a semicolon inside a quoted string separates nothing: no regular
expression can tell. One pass over the bytes can, whatever they are. It is the first step of the scanners of MIME
fields, dates, identifiers and trace fields; a value without quotation marks and parentheses does without it.
"""

from __future__ import annotations

from dataclasses import dataclass

COMMENT = 0x01
"""Stands for every byte of a comment, its parentheses included."""

QUOTED = 0x02
"""Stands for every byte inside a quoted string; the quotation marks around it stay."""

BLANKS = b" \t\r\n"

OTHER = 0x03
"""Stands for what must not be taken for one of the two above."""

_STRANGE = bytes.maketrans(bytes((COMMENT, QUOTED)), bytes((OTHER, OTHER)))
_QUOTE, _OPEN, _CLOSE, _BACKSLASH = 1, 2, 3, 4
_CLASSES = bytes({0x22: _QUOTE, 0x28: _OPEN, 0x29: _CLOSE, 0x5C: _BACKSLASH}.get(byte, 0) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Masked:
    """A value whose comments and quoted text are masked; offsets are those of the value.

    `comments` counts them, `depth` is that of the deepest, from 1 (`(a(b))` has 2), and begins at `deepest`.
    `open_quote` and `open_comment` are where one begins that does not end, else -1: it takes the rest of the value.
    `effort` counts quotation marks and parentheses: see `Diagnosis`.
    """

    text: bytes
    comments: int = 0
    depth: int = 0
    deepest: int = 0
    open_quote: int = -1
    open_comment: int = -1
    effort: int = 0


def mask(value: bytes) -> Masked:  # noqa: C901, PLR0912 - one pass, a branch for each state: hot and plain
    """Mask the comments and quoted strings of a structured value (RFC 5322 sections 3.2.2 and 3.2.4).

    A parenthesis that closes nothing and a backslash outside of both are left as they are.
    """
    text = value.translate(_STRANGE)
    if b'"' not in text and b"(" not in text:
        return Masked(text)
    masked = bytearray(text)
    quote = comment = skip = -1
    comments = level = depth = deepest = 0
    for pos, byte in enumerate(value.translate(_CLASSES)):
        if not byte or pos == skip:
            continue
        if byte == _BACKSLASH:
            if quote >= 0 or level:  # a quoted-pair: the next byte means nothing
                skip = pos + 1
        elif quote >= 0:
            if byte == _QUOTE:
                masked[quote + 1 : pos] = bytes((QUOTED,)) * (pos - quote - 1)
                quote = -1
        elif byte == _OPEN:
            level += 1
            if level == 1:
                comment = pos
                comments += 1
            if level > depth:
                depth, deepest = level, comment
        elif not level:
            if byte == _QUOTE:
                quote = pos
        elif byte == _CLOSE:
            level -= 1
            if not level:
                masked[comment : pos + 1] = bytes((COMMENT,)) * (pos + 1 - comment)
    if quote >= 0:
        masked[quote + 1 :] = bytes((QUOTED,)) * (len(masked) - quote - 1)
    if level:
        masked[comment:] = bytes((COMMENT,)) * (len(masked) - comment)
    effort = value.count(b'"') + value.count(b"(") + value.count(b")")
    return Masked(bytes(masked), comments, depth, deepest, quote, comment if level else -1, effort)


def extent(value: bytes) -> tuple[int, int]:
    """Where a value begins and ends without the blanks around it."""
    end = len(value.rstrip(BLANKS))
    return min(end, len(value) - len(value.lstrip(BLANKS))), end


def unquote(text: bytes) -> bytes:
    """The content of a quoted string without the backslashes of its quoted-pairs (RFC 5322 section 3.2.1)."""
    if b"\\" not in text:
        return text
    return b"\\".join(part.replace(b"\\", b"") for part in text.split(b"\\\\"))
