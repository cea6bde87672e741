"""Ctrl-C and its kin as an exception, at moments when nothing is half made; and children that hear them."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the show."""


class StoppedError(BaseException):
    """Somebody wants us to end. Like KeyboardInterrupt it is no Exception, so that nothing catches it by the way."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(by)
        self.by = by


class Stop:
    """Notes the first signal that ends us. It is raised inside `may_interrupt` and by `check`, and never otherwise."""

    def __init__(self) -> None:
        self._by: signal.Signals | None = None
        self._is_open = False

    def listen(self) -> None:
        """Hear the signals, even where the parent has them ignored or blocked; but SIGHUP not under nohup(1)."""
        for each in ENDS:
            if each != signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)

    @contextmanager
    def may_interrupt(self) -> Iterator[None]:
        """Let a signal end the block at any point of it: nothing in it may need to be put away."""
        self._is_open = True
        try:
            self.check()
            yield
        finally:
            self._is_open = False

    def check(self) -> None:
        """Raise StoppedError if there was a signal."""
        if self._by is not None:
            raise StoppedError(self._by)

    def _note(self, number: int, _: FrameType | None) -> None:
        first = self._by is None
        self._by = self._by or signal.Signals(number)
        if first and self._is_open:
            raise StoppedError(self._by)


@contextmanager
def deaf_to_nothing() -> Iterator[None]:
    """Unblock all signals for the block, so that a child started in it hears them whatever our parent has blocked."""
    before = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
