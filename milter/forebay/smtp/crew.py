"""The workers: started into free slots, replaced one by one, drained, and buried with the reason of their end."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from forebay.logs import LOGGER
from forebay.smtp import postmortem
from forebay.smtp.channel import Channel
from forebay.smtp.page import SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.config import Milter
    from forebay.metrics import SupervisorMetrics
    from forebay.smtp.page import Page
    from forebay.smtp.postmortem import Cause

    Fork = Callable[["Hand", int], bool]
    """Asks the template for a worker that holds this end of a line; false where it does not listen."""

GRACE: Final = 5.0
"""Seconds that a worker has beyond `drain_time`, or without a line to us, before it is killed."""
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
_PEACE: Final = 60.0
"""Seconds after which a death no longer slows down the next start."""


@dataclass(slots=True)
class Hand:
    """One worker. `ordered` says why it was told to drain."""

    slot: int
    generation: int
    line: Channel
    trace: int
    pid: int = 0
    state: str = "starting"
    ordered: str = ""
    deadline: float = float("inf")
    benched: frozenset[str] = field(default_factory=frozenset)


class Crew:
    """All workers, of the configuration in use and of earlier ones. `settings` and `wanted` are set by each reload."""

    def __init__(self, page: Page, metrics: SupervisorMetrics, on_cause: Callable[[Cause], None]) -> None:
        self.settings: Milter
        self.wanted = 0
        self.generation = 0
        self.errors: dict[str, int] = {}
        self.hangs: dict[str, int] = {}
        self._page = page
        self._metrics = metrics
        self._on_cause = on_cause
        self._hands: dict[int, Hand] = {}
        self._deaths: deque[float] = deque(maxlen=16)
        self._not_before = 0.0
        self._log = logging.getLogger(LOGGER)

    @property
    def hands(self) -> list[Hand]:
        """All of them."""
        return list(self._hands.values())

    def count(self, state: str) -> int:
        """How many are in this state."""
        return sum(each.state == state for each in self._hands.values())

    @property
    def is_complete(self) -> bool:
        """Whether as many as wanted serve, all by the configuration in use, and nobody else."""
        current = sum(each.generation == self.generation and each.state == "serving" for each in self.hands)
        return 0 < self.wanted <= current and not self.count("starting") and current == self.count("serving")

    def benched(self) -> frozenset[str]:
        """The validators that sit out in some worker."""
        return frozenset().union(*(each.benched for each in self.hands))

    def tend(self, fork: Fork | None, now: float) -> None:
        """Start who is missing, drain who is of an earlier configuration, kill who is too late.

        `fork` asks the template for a worker, and is None while there is none.
        """
        for each in self.hands:
            if now > each.deadline and each.pid:
                each.deadline = float("inf")
                os.kill(each.pid, signal.SIGKILL)
        current = [each for each in self.hands if each.generation == self.generation and not each.ordered]
        old = [each for each in self.hands if each.generation != self.generation and not each.ordered]
        serving = sum(each.state == "serving" for each in current)
        missing = self.wanted - len(current)
        # Where others serve meanwhile, one at a time: twice the memory is not needed.
        at_once = 1 - sum(each.state == "starting" for each in current) if old else missing
        for _ in range(min(missing, at_once)):
            if fork is None or now < self._not_before or not self._start(fork):
                break
        if serving:
            for each in old[: max(0, serving + len(old) - self.wanted)]:
                self.drain(each, "replaced")

    def drain(self, hand: Hand, why: str) -> None:
        """Tell a worker to end when its sessions have ended."""
        if hand.ordered:
            return
        hand.ordered = why
        hand.state = "draining"
        hand.deadline = time.monotonic() + self.settings.drain_time + GRACE
        hand.line.send("drain")

    def drain_all(self, why: str) -> None:
        """Tell all of them."""
        self.wanted = 0
        for each in self.hands:
            self.drain(each, why)

    def heirloom(self) -> tuple[tuple[int, int], ...]:
        """The pids of all who serve or drain, each with our end of its line; who only begins is told to end."""
        for each in self.hands:
            if not each.pid:
                self.drain(each, "replaced")
        return tuple((each.pid, each.line.fileno()) for each in self.hands if each.pid and each.state != "lost")

    def kill_all(self) -> None:
        """End all of them, and their sessions, now."""
        for each in self.hands:
            each.deadline = 0.0

    def tell_all(self, verb: str, **given: str) -> None:
        """Send a message to each."""
        for each in self.hands:
            each.line.send(verb, (), **given)

    def hear(self, hand: Hand) -> None:
        """Take what a worker says, or the end of its line."""
        message = hand.line.receive()
        if message is None:
            self._lost(hand)
        elif message.verb == "ready":
            hand.pid = message.given["pid"]
            hand.state = "draining" if hand.ordered else "serving"
        elif message.verb == "spent":
            self._log.warning(
                "worker %d (pid %d): %d bytes of memory, more than milter.worker_memory; it drains and is replaced",
                hand.slot, hand.pid, message.given["bytes"],
            )  # fmt: skip
            self.drain(hand, "memory")
        elif message.verb == "report":
            self._take_report(hand, message.given)

    def reap(self, pid: int, status: int) -> bool:
        """Bury a dead worker; False where it was none of ours."""
        hand = next((each for each in self.hands if pid in {each.pid, self._page.slot(each.slot).head()[0]}), None)
        if hand is None:
            return False
        self._bury(hand, status)
        return True

    def _take_report(self, hand: Hand, given: dict[str, Any]) -> None:
        hand.benched = frozenset(given["benched"])
        for validator, count in given["errors"].items():
            self.errors[validator] = self.errors.get(validator, 0) + count

    def _start(self, fork: Fork) -> bool:
        slot = next((each for each in range(SLOTS) if each not in self._hands), None)
        if slot is None:
            return False
        self._page.slot(slot).clear()
        ours, theirs = Channel.pair()
        hand = Hand(slot, self.generation, ours, os.memfd_create(f"forebay-trace-{slot}"))
        asked = fork(hand, theirs.fileno())
        theirs.close()
        if asked:
            self._hands[slot] = hand
        else:
            ours.close()
            os.close(hand.trace)
        return asked

    def _lost(self, hand: Hand) -> None:
        """The line has ended: the worker has ended too, or has lost its descriptors and must be ended."""
        hand.line.close()
        hand.state = "lost"
        hand.pid = hand.pid or self._page.slot(hand.slot).head()[0]
        if hand.pid:
            hand.deadline = time.monotonic() + (0 if not hand.ordered else GRACE)
        else:
            self._bury(hand, os.EX_SOFTWARE)

    def _bury(self, hand: Hand, status: int) -> None:
        slot = self._page.slot(hand.slot)
        while hand.state != "lost" and (last_words := hand.line.receive_now()) is not None:
            if last_words.verb == "report":
                self._take_report(hand, last_words.given)
        _, sessions, _ = slot.head()
        trace = postmortem.read_trace(hand.trace)
        cause = postmortem.examine(status, hand.ordered, slot.records(), trace, self.settings.hang_time)
        self._count(hand, cause, sessions)
        slot.clear()
        os.close(hand.trace)
        if hand.state != "lost":
            hand.line.close()
        del self._hands[hand.slot]
        self._on_cause(cause)

    def _count(self, hand: Hand, cause: Cause, sessions: int) -> None:
        if sessions:  # before the end itself: whoever sees that asks for these
            self._metrics.sessions_cut.inc(sessions)
        self._metrics.worker_ends[cause.reason].inc()
        self._metrics.forget_worker(hand.slot)
        cut = f"; {sessions} sessions were cut" if sessions else ""
        if cause.reason == hand.ordered:
            level = logging.WARNING if sessions else logging.DEBUG
        else:
            level = logging.ERROR
            self._slow_down()
        self._log.log(level, "worker %d (pid %d): %s%s", hand.slot, hand.pid, cause.text, cut)
        if cause.reason == "hang":
            self._metrics.hung(cause.validator)
            if cause.validator:
                self.hangs[cause.validator] = self.hangs.get(cause.validator, 0) + 1

    def _slow_down(self) -> None:
        """The first death is replaced at once, further ones within a minute later and later."""
        now = time.monotonic()
        while self._deaths and now - self._deaths[0] > _PEACE:
            self._deaths.popleft()
        if self._deaths:
            self._not_before = now + min(LONGEST_DELAY, FIRST_DELAY * 2 ** (len(self._deaths) - 1))
        self._deaths.append(now)
