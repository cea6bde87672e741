"""Who has a message, among the router's processes: who works on it for all that is known, and who may be about to.

A verdict asks for the first, for nobody is to be excused by what he has only looked at. Whoever is about to take a
message away, from somebody who would go on and deliver it all the same, asks for the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.api.process import opened

if TYPE_CHECKING:
    from forebay.api.router import Message
    from forebay.sidecar.keeping import Keeping
    from forebay.sidecar.listening import Listening
    from forebay.sidecar.roster import Roster


class Holders:
    """Asked about one message at a time."""

    def __init__(self, listening: Listening, keeping: Keeping) -> None:
        self.roster: Roster
        self._listening = listening
        self._keeping = keeping

    def is_held(self, message: Message) -> bool:
        """Whether a live worker keeps a message: one that was recorded as its holder may be dead, and unburied."""
        openlog, workers = self._listening.openlog, self.roster.workers
        recorded = openlog.holders(message) if openlog else []
        noted = [
            each for pid, each in workers.items()
            if pid not in recorded and any(had.message.identity == message.identity for had in each.holdings)
        ]  # fmt: skip
        if openlog:  # what was noted may be done, or was opened before the log began
            noted = [each for each in noted if opened(each.process.pid, (message.path,))]
        holders = (*noted, *(workers[pid] for pid in recorded))
        return any(each.lives and self._keeping.keeps(each, message) for each in holders)

    def is_in_hand(self, message: Message) -> bool:
        """Whether somebody may work on a message, one that has opened it just now, or was only just forked, too."""
        if self.is_held(message):
            return True
        openlog = self._listening.openlog
        if openlog:
            openlog.read()
            pids = openlog.taken_up(message)
        else:
            processes = (*self.roster.workers, *self._listening.fresh)
            pids = [pid for pid in processes if opened(pid, (message.path,))]
        return any(not self._only_looks(pid, message) for pid in pids)

    def _only_looks(self, pid: int, message: Message) -> bool:
        """Whether it is known of a worker by now that this message is not what it works on."""
        worker = self.roster.workers.get(pid)
        return worker is not None and message.identity in worker.looks_at
