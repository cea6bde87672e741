"""The circuit breaker of a third-party validator: who burns too much CPU time again and again is benched for a while.

CPU time of the thread is what counts, not time on the clock: a machine under load, or one that was paused, benches
nobody. Validators that forebay brings along have no breaker.
"""

from __future__ import annotations

from collections import deque

BUDGET = 50_000_000
"""Nanoseconds of CPU time that one call may take."""
OVERRUNS = 5
"""Calls over the budget ..."""
WINDOW = 60.0
"""... within so many seconds bench a validator ..."""
BENCH = 300.0
"""... for so many."""


class Breaker:
    """One for each third-party validator. Times are those of `time.monotonic`."""

    __slots__ = ("_benched_until", "_overruns")

    def __init__(self) -> None:
        self._overruns: deque[float] = deque(maxlen=OVERRUNS)
        self._benched_until = 0.0

    @property
    def tripped(self) -> bool:
        """Whether it was ever benched, so that the clock must be looked at."""
        return self._benched_until > 0

    def is_benched(self, now: float) -> bool:
        """Whether the validator sits out."""
        return now < self._benched_until

    def overran(self, now: float) -> bool:
        """Count a call over the budget; true where that benches the validator."""
        self._overruns.append(now)
        if len(self._overruns) < OVERRUNS or now - self._overruns[0] > WINDOW:
            return False
        self._overruns.clear()
        self._benched_until = now + BENCH
        return True
