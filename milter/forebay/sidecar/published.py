"""The fingerprints that the store has published, this host's and the others': what the milter matches, matched in the spool.

Who follows the store writes them into a file, which is read again when it has changed. An exact fingerprint that more
messages have than `suspend_after` is no killer's: a newsletter that was replayed. What people have said counts here
too: what was revoked, and what was released from a quarantine of this host or of another.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from forebay.judge import fingerprints, passes
from forebay.logs import LOGGER

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.config import Config
    from forebay.sidecar.examine import Examined

_log = logging.getLogger(LOGGER)
_MOST_COUNTED: Final = 1000
"""Exact fingerprints whose messages are counted; beyond, the oldest is forgotten."""


class Published:
    """What is known, as it was when `refresh` was last called. `state` is the milter's directory."""

    def __init__(self, state: Path, config: Config) -> None:
        self._state = state
        self._snapshot = fingerprints.NOTHING
        self._seen = (0, 0)
        self._most = config.fingerprints.suspend_after
        self._acts = config.fingerprints.action != "tag" and config.policy.preset != "observe"
        self._matched: dict[bytes, set[bytes]] = {}

    def refresh(self) -> bool:
        """Read the file if it has changed; whether it had."""
        try:
            status = (self._state / fingerprints.NAME).lstat()
            seen = (status.st_ino, status.st_mtime_ns)
        except OSError:
            seen = (0, 0)
        if seen == self._seen:
            return False
        self._seen = seen
        self._snapshot = fingerprints.read(self._state)
        return True

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be compared with it."""
        return not self._acts or not (self._snapshot.shape or self._snapshot.exact)

    def matches(self, examined: Examined, identity: bytes) -> str:
        """The kind of the fingerprint that this message has of those that are known, else nothing."""
        if self.is_empty:
            return ""
        now = time.time()
        if examined.shape and self._snapshot.shape.get(examined.shape, 0.0) > now:
            return "shape"
        exact = examined.exact
        if not exact or self._snapshot.exact.get(exact, 0.0) <= now or self._has_too_many(exact, identity):
            return ""
        return "exact"

    def is_dropped(self, digest: bytes) -> bool:
        """Whether a person has revoked it, or it was suspended: then this host's own convictions do not match either."""
        return digest in self._snapshot.dropped

    def released(self, examined: Examined) -> str:
        """The entry as which a message like this was released from a quarantine, once; else nothing."""
        return passes.take(self._state, passes.SPOOL, examined.exact)

    def _has_too_many(self, exact: bytes, identity: bytes) -> bool:
        if not self._most:
            return False
        matched = self._matched.setdefault(exact, set())
        if len(matched) <= self._most and identity not in matched:
            matched.add(identity)
            if len(matched) > self._most:
                _log.warning(
                    "the exact fingerprint %s is not matched in the spool any more: more than %d messages have it",
                    exact.hex()[:12], self._most,
                )  # fmt: skip
        while len(self._matched) > _MOST_COUNTED:
            del self._matched[next(iter(self._matched))]
        return len(matched) > self._most
