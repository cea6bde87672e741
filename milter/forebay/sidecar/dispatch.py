"""The adapter `command`: takes messages from the spool itself and starts one process for each, in a leaf of its own."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from forebay.api.router import Confidence, Holding
from forebay.logs import LOGGER, printable
from forebay.sidecar.spawn import spawn
from forebay.sidecar.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.api.router import Adapter
    from forebay.sidecar.limits.leaf import Enforcement
    from forebay.sidecar.roster import Roster
    from forebay.sidecar.spawn import Heritage
    from forebay.sidecar.worker import Worker

_log = logging.getLogger(LOGGER)
_PLACE: Final = "{}"
_FIRST_PAUSE: Final = 60.0
_LONGEST_PAUSE: Final = 3600.0


class Dispatch:
    """At most `most` processes at once; a message that was deferred waits longer each time."""

    def __init__(
        self,
        command: Sequence[str],
        adapter: Adapter,
        enforcement: Enforcement,
        roster: Roster,
        most: int,
        heritage: Heritage,
    ) -> None:
        self._command = command
        self._adapter = adapter
        self._enforcement = enforcement
        self._roster = roster
        self._most = most
        self._heritage = heritage
        self._deferred: dict[bytes, tuple[float, float]] = {}
        self._broken_until = 0.0
        self.is_held = False

    def fill(self) -> None:
        """Start processes for messages that wait, as far as there is room."""
        now = time.monotonic()
        if self.is_held or now < self._broken_until or len(self._roster.workers) >= self._most:
            return
        held = {each.message.identity for worker in self._roster.workers.values() for each in worker.holdings}
        there = set()
        for path in sorted(self._adapter.paths()):
            if len(self._roster.workers) >= self._most:
                return
            message = self._adapter.message(path)
            if message:
                there.add(message.identity)
            if not message or message.identity in held or self._deferred.get(message.identity, (0.0, 0.0))[0] > now:
                continue
            self._start(Holding(message, Confidence.CERTAIN, "launched"))
            if time.monotonic() < self._broken_until:
                return
        for identity in self._deferred.keys() - there:  # somebody else took it away
            del self._deferred[identity]

    def finished(self, worker: Worker, verdict: Verdict) -> None:
        """A process has ended: what it did not finish, and was not struck for, waits."""
        if not worker.launched:
            return
        identity = worker.launched.message.identity
        if verdict in {Verdict.DEFERRED, Verdict.LOST, Verdict.WAITING} and self._adapter.find(worker.launched.message):
            pause = min(_LONGEST_PAUSE, 2 * self._deferred.get(identity, (0.0, _FIRST_PAUSE / 2))[1])
            self._deferred[identity] = (time.monotonic() + pause, pause)
        else:
            self._deferred.pop(identity, None)

    def _start(self, holding: Holding) -> None:
        slot = self._roster.free_slot()
        self._enforcement.leaf(slot)
        words = [word.replace(_PLACE, holding.message.path) for word in self._command]
        try:
            pid = spawn(words, lambda: self._enforcement.enter(slot), self._heritage)
        except OSError as error:
            self._broken_until = time.monotonic() + _FIRST_PAUSE
            _log.critical(
                "cannot start %s: %s: %s", printable(words[0]), printable(str(error.filename)), error.strerror
            )
            self._roster.drop(slot)
            return
        self._roster.launched(pid, slot, holding)
