"""The fuse, its memory and its alert: what it was blown by counts on after a restart, and is told once.

Whatever way it is blown, it is told: by the strike that did it, else by who looks at it a second later.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from forebay.errors import JournalError
from forebay.logs import LOGGER
from forebay.sidecar.fuse import WINDOW

if TYPE_CHECKING:
    from forebay.sidecar.fuse import Fuse
    from forebay.sidecar.journal import Journal
    from forebay.sidecar.metering import Meter

_log = logging.getLogger(LOGGER)
_SETTING: Final = "fuse"


class FuseBox:
    """One fuse. Times are seconds of the clock."""

    def __init__(self, fuse: Fuse, journal: Journal, meter: Meter) -> None:
        self._fuse = fuse
        self._journal = journal
        self._meter = meter
        self._is_told = False

    @property
    def blown(self) -> float:
        """When it was blown, 0 where it is whole."""
        return self._fuse.blown

    def begin(self, convicted: list[tuple[float, bytes]]) -> None:
        """Take up what the last life of the sidecar knew, which has told what there was to tell."""
        blown, _, troubled = self._journal.setting(_SETTING).partition(" ")
        self._fuse.restore(float(blown or 0), float(troubled or 0), convicted)
        self._is_told = bool(self.blown)
        self._meter.fuse(blown=bool(self.blown))

    def struck(self, key: bytes, now: float) -> None:
        """A claim has ended in a strike against this fingerprint."""
        self._fuse.ended(key, now)

    def ended_well(self, messages: int) -> None:
        """So many claims have ended well."""
        for _ in range(min(messages, WINDOW)):
            self._fuse.ended(b"", time.time())

    def allows(self, key: bytes, now: float) -> bool:
        """Whether one more may be convicted; that blows it where it is one too many."""
        return self._fuse.allows(key, now)

    def convicted(self, key: bytes, now: float) -> None:
        """Count a conviction."""
        self._fuse.convicted(key, now)

    def tell(self) -> None:
        """Give the alert if it is blown, once."""
        if not self.blown or self._is_told:
            return
        self._is_told = True
        self._meter.fuse(blown=True)
        _log.critical(
            "the fuse has blown: so many different messages are struck that the router itself must be broken; "
            "nothing more is moved until an hour of peace, or: forebay sidecar --reset-fuse"
        )
        try:
            self._journal.keep(_SETTING, f"{self.blown} {time.time()}")
        except JournalError as error:  # it stays blown as long as we live
            _log.error("%s", error)
            self._meter.journal_failed()

    def settle(self) -> None:
        """Tell that it is blown, or reset it after an hour of peace. Raises JournalError."""
        if self._fuse.settle(time.time()):
            _log.warning("the fuse is reset after an hour of peace")
            self.reset()
        self.tell()

    def reset(self) -> None:
        """Somebody says that the router is well again. Raises JournalError."""
        self._fuse.reset()
        self._is_told = False
        self._meter.fuse(blown=False)
        self._journal.keep(_SETTING, "0 0")
