"""What is said of validators that fail: each counted, one line a minute for each of them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from forebay.logs import describe_error

if TYPE_CHECKING:
    import logging

INTERVAL: Final = 60.0
"""Seconds between two lines of one validator."""


class Complaints:
    """Those of one worker."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._silent_until: dict[str, float] = {}

    def note(self, validator: str, error: BaseException) -> None:
        """Count a failure, and log it if nothing was said of this validator lately."""
        now = time.monotonic()
        with self._lock:
            self._counts[validator] = self._counts.get(validator, 0) + 1
            if now < self._silent_until.get(validator, 0.0):
                return
            self._silent_until[validator] = now + INTERVAL
        self._log.error("validator %s failed: %s", validator, describe_error(error))

    def take(self) -> dict[str, int]:
        """The failures since the last call, by validator."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken
