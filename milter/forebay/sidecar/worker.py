"""One worker of the router: who it is, where it is kept, what it holds, and what was seen of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from forebay.api.process import state

if TYPE_CHECKING:
    from forebay.api.process import Process
    from forebay.api.router import Holding, Message
    from forebay.sidecar.bounding import Times
    from forebay.sidecar.limits.leaf import Bounds, Counters, Leaf


class Worker:
    """Kept from its first sight to its end.

    `starts_workers`: whether it starts processes that are workers by themselves; `only_answers`: whether it never has a
    message. `bounds` and `times` are its limits.
    `launched` is the message that it was started for, if it was. `since` is when it took what it holds (seconds,
    monotonic), `cpu` its CPU time then, or at its last rest (None until that is looked at), `counters` those of its leaf then, `latest`
    those last read, `looked_at` those that were counted. `order` is why we ended it; `near_limit` whether its memory
    was seen near its brake; `is_logged` whether the log of opened files has all that it has open. `open_since` is when
    it was first seen to have what it has open; `looks_at` what of it others keep, or nobody; `keeps` what it has locked.
    """

    def __init__(
        self, process: Process, leaf: Leaf, pidfd: int, limits: tuple[Bounds, Times], launched: Holding | None = None
    ) -> None:
        self.process = process
        self.leaf = leaf
        self.pidfd = pidfd
        self.bounds, self.times = limits
        self.launched = launched
        self.starts_workers = self.only_answers = False
        self.order = ""
        self.near_limit = False
        self.has_held = launched is not None
        self.is_logged = False
        self.holdings: list[Holding] = [launched] if launched else []
        self.since = time.monotonic()
        self.cpu: float | None = None
        self.counters: Counters = leaf.counters
        self.latest: Counters = self.counters
        self.looked_at: Counters = self.counters
        self.evidence: dict[str, object] = {}
        self.near_since = 0.0
        self.stalled_since = 0.0
        self.stalled_cpu = 0.0
        self.open_since: dict[bytes, float] = {}
        self.looks_at: set[bytes] = set()
        self.keeps: set[bytes] = set()
        self.peak = 0

    @property
    def message(self) -> Message | None:
        """The one message that it holds, or None for none or several."""
        return self.holdings[0].message if len(self.holdings) == 1 else None

    @property
    def is_doubtful(self) -> bool:
        """Whether nothing has shown yet that it is a worker: it may be the router's first process as well."""
        return not (self.has_held or self.launched or self.starts_workers)

    @property
    def lives(self) -> bool:
        """Whether it lives still: a dead one is in the roster until its end is dealt with."""
        found = state(self.process.pid)
        return found is not None and found.started == self.process.started and not found.exiting

    def hold(self, holdings: list[Holding]) -> list[Message]:
        """Take down what it holds now; what it held before, and does not hold any more."""
        now = {each.message.identity: each for each in holdings}
        before = {each.message.identity: each for each in self.holdings}
        if now.keys() == before.keys():
            self.holdings = [max(each, before[identity], key=_confidence) for identity, each in now.items()]
            return []
        self.holdings = list(now.values())
        if holdings:
            self.has_held = True
            self.since = time.monotonic()
            self.cpu = None
            self.counters = self.latest
            self.near_limit = False
            self.near_since = self.stalled_since = 0.0
            self.evidence = {}
        return [each.message for identity, each in before.items() if identity not in now]

    def read_counters(self) -> None:
        """Read the counters of its leaf, for what it takes next: not those of its own end."""
        counters = self.leaf.counters
        found = state(self.process.pid)
        if found and not found.exiting:
            self.latest = counters

    def note_memory(self) -> None:
        """Take down what it uses, as evidence."""
        usage, anonymous = self.leaf.usage, self.leaf.anonymous
        self.peak = max(self.peak, usage)
        self.evidence |= {"memory_at_brake": usage, "anonymous_at_brake": anonymous}

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)


def _confidence(holding: Holding) -> int:
    return holding.confidence
