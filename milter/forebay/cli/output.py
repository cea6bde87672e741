"""What commands write: escaped, coloured only on a terminal, JSON Lines where asked for."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

COLOURS = {"reject": "31", "quarantine": "33", "tempfail": "33", "tag": "36", "accept": "32", "mark": "32", "path": "1"}
"""ANSI colours by what is shown."""


def printable(text: str) -> str:
    r"""Text that may have come from anywhere, without anything that a terminal obeys: `\x1b`, `\udc80`."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def colours(stream: TextIO) -> bool:
    """Whether this stream is a terminal of somebody who wants colours."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def paint(text: str, kind: str, *, coloured: bool) -> str:
    """Text in the colour of its kind, or as it is."""
    return f"\x1b[{COLOURS[kind]}m{text}\x1b[0m" if coloured else text


def error_line(text: str) -> None:
    """A message to the operator on standard error, each line under the program's name."""
    for line in text.splitlines() or [""]:
        sys.stderr.write(f"forebay: {printable(line)}\n")


def json_line(value: object) -> str:
    """One object of JSON Lines, in ASCII."""
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))


def json_document(value: object) -> str:
    """One JSON value over many lines, in ASCII."""
    return json.dumps(value, ensure_ascii=True, indent=2)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells, each column as wide as its widest cell, the last as long as it is."""
    lines = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
