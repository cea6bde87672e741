"""A bar that says how far a long command has come: on a terminal only, and gone when the command ends."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from forebay.cli.messages import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self, TextIO

INTERVAL = 0.1
"""Seconds between two drawings."""
WIDTH = 30


class Progress:
    """Counts messages, and bytes of files, of which it takes the sum before it begins. Elsewhere it does nothing."""

    def __init__(self, stream: TextIO, paths: Sequence[str]) -> None:
        self._stream = stream
        self._is_shown = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._total = sum(map(_size, paths)) if self._is_shown else 0
        self._messages = 0
        self._bytes = 0  # of the files that are done
        self._here = 0  # of the one that is not
        self._started = self._drawn = time.monotonic()
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.clear()

    def message(self, end: int) -> None:
        """A message is done; its file has been read up to `end`."""
        if self._is_shown:
            self._messages += 1
            self._here = end
            now = time.monotonic()
            if now - self._drawn >= INTERVAL:
                self._draw(now)

    def file(self, path: str) -> None:
        """A file is done."""
        if self._is_shown:
            self._bytes += _size_of_file(path)
            self._here = 0

    def clear(self) -> None:
        """Take the bar away, so that something else can be written."""
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False
            self._drawn = 0.0  # to be back soon

    def _draw(self, now: float) -> None:
        rate = self._messages / (now - self._started)
        text = f"{self._messages:,} messages, {rate:,.0f} a second"
        if self._total:
            part = min((self._bytes + self._here) / self._total, 1.0)
            text = f"[{'#' * int(part * WIDTH):{WIDTH}}] {part:4.0%}  {text}"
        self._stream.write(f"\r{text}\x1b[K")
        self._stream.flush()
        self._drawn = now
        self._is_drawn = True


def _size(path: str) -> int:
    return sum(map(_size_of_file, files(path, lambda _: None)))


def _size_of_file(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - ten thousand of them: no Path each
    except OSError:
        return 0
