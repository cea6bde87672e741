"""The fuse: when so much is convicted that the router itself must be broken, nothing more is moved.

More than `most` distinct fingerprints convicted within an hour, or more than half of the last 20 ended claims ending
in strikes with at least 8 distinct fingerprints among these. It stays blown until an operator resets it, or until an
hour has passed without a strike.
"""

from __future__ import annotations

from collections import deque
from typing import Final

HOUR: Final = 3600.0
WINDOW: Final = 20
DISTINCT: Final = 8


class Fuse:
    """What was convicted and how claims ended lately. Times are seconds of one clock. `most` 0 switches it off."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._convicted: deque[tuple[float, bytes]] = deque()
        self._ended: deque[bytes] = deque(maxlen=WINDOW)
        self._troubled = 0.0
        self.blown = 0.0

    def restore(self, blown: float, troubled: float, convicted: list[tuple[float, bytes]]) -> None:
        """Take up what the last life of the sidecar knew."""
        self.blown, self._troubled = blown, troubled
        self._convicted.extend(sorted(convicted))

    def ended(self, key: bytes, now: float) -> None:
        """A claim has ended: `key` is the fingerprint of what was struck, empty for a good end."""
        self._ended.append(key)
        if not key:
            return  # however much was struck before: what blows it is told as the strike that did it
        self._troubled = now
        struck = [each for each in self._ended if each]
        if self._most and len(self._ended) == WINDOW and 2 * len(struck) > WINDOW and len(set(struck)) >= DISTINCT:
            self._blow(now)

    def allows(self, key: bytes, now: float) -> bool:
        """Whether one more may be convicted; that blows the fuse where it is one too many."""
        self.settle(now)
        if not self._most:
            return True
        while self._convicted and self._convicted[0][0] < now - HOUR:
            self._convicted.popleft()
        if not self.blown and len({each for _, each in self._convicted} | {key}) > self._most:
            self._blow(now)
        return not self.blown

    def convicted(self, key: bytes, now: float) -> None:
        """Count a conviction; copies of one killer have one key."""
        self._convicted.append((now, key))

    def settle(self, now: float) -> bool:
        """Reset it after an hour of peace; whether that was now."""
        if self.blown and now - max(self._troubled, self.blown) > HOUR:
            self.reset()
            return True
        return False

    def reset(self) -> None:
        """Begin anew."""
        self.blown = 0.0
        self._convicted.clear()
        self._ended.clear()

    def _blow(self, now: float) -> None:
        self.blown = self.blown or now
