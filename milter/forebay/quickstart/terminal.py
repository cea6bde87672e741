"""Lines for a person: within 80 columns, in colour on a terminal that wants it, and plain elsewhere."""

from __future__ import annotations

import os
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 79
_STEP: Final = 66
"""Columns of what a step does, before how it ended; milter/prepare has the same."""
_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35"}


class Terminal:
    """Where the show is printed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "", style: str = "", indent: int = 0) -> None:
        """Print one line; a longer one goes on below, except for words that no line has room for."""
        lines = textwrap.wrap(
            text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        for each in lines or [""]:
            self._print(each, style)

    def cut(self, text: str, style: str = "", indent: int = 0) -> None:
        """Print as much of a line as there is room for."""
        room = WIDTH - indent
        shown = text if len(text) <= room else f"{text[: room - 3]}..."
        self._print(" " * indent + shown, style)

    def failure(self, text: str) -> None:
        """Print why it cannot go on, in as many lines as the text has."""
        self._print(f"\n{text}", "red")

    def pair(self, name: str, value: str) -> None:
        """Print what something is called and what it is; a path is never broken, so that it can be copied."""
        self._out.write(f"  {self._styled(f'{name:<15}', 'dim')} {value}\n")
        self._out.flush()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print what is being done, then `ok` and how long it took; nothing more where it fails."""
        began = time.monotonic()
        self._out.write(f"  {what:<{_STEP}}")
        self._out.flush()
        try:
            yield
        except BaseException:
            self._out.write("\n")
            raise
        self._out.write(f"{self._styled('ok', 'green')}  {time.monotonic() - began:4.1f} s\n")
        self._out.flush()

    def _print(self, text: str, style: str) -> None:
        self._out.write(self._styled(text, style) + "\n")
        self._out.flush()

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._colours and style and text else text
