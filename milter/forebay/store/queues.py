"""An MTA's quarantine, whichever MTA it is: what the hands need of it.

Each kind of MTA has a module of its own (`forebay.store.postfix`, `forebay.store.sendmail`). Which of them holds a
message is what the milter was told by the MTA itself (`forebay.records.Record.mta`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from forebay.errors import NoQueueError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG: Final = re.compile(r"[0-9A-Za-z]{10,}z[0-9A-Za-y]+")
"""Seconds and microseconds in base 52, a `z`, the inode (postconf(5), enable_long_queue_ids)."""

HOLD: Final = "hold"
"""The queue of what is held; a message anywhere else is on its way."""


class Queued(NamedTuple):
    """A message as its MTA tells of it. All but `queue` is what it is known by; a queue id alone may be used again.

    `arrival` is in seconds since 1970, `size` in bytes. `identity` is what else tells it from another one, or nothing.
    """

    queue: str
    queue_id: str
    sender: str
    arrival: int
    size: int
    identity: str = ""


class Queue(Protocol):
    """The queue of one MTA. Every method raises UnavailableError where it cannot be used, or refuses."""

    def listed(self) -> Mapping[str, Queued]:
        """All messages that are held, and others as far as they are to be had, by queue id."""

    def release(self, held: Queued) -> None:
        """Let a message go on from where it was held."""

    def delete(self, held: Queued) -> None:
        """Remove a message for good."""

    def message(self, held: Queued) -> bytes:
        """The header and body of a message."""


class Glance:
    """The queues of a host at one moment: each MTA is asked once, and only if its answer is needed."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        self._queues = queues
        self._seen: dict[str, Mapping[str, Queued]] = {}

    def listed(self, mta: str) -> Mapping[str, Queued]:
        """What the queue of this MTA holds. Raises UnavailableError, NoQueueError where there is none."""
        if mta not in self._seen:
            self._seen[mta] = self.queue(mta).listed()
        return self._seen[mta]

    def queue(self, mta: str) -> Queue:
        """The queue of this MTA. Raises NoQueueError where there is none."""
        try:
            return self._queues[mta]
        except KeyError:
            raise NoQueueError(f"forebay cannot act on the queue of {mta}") from None


def bare(sender: bytes | str) -> str:
    """An envelope sender for comparing: without brackets, in lower case; the null sender as Postfix writes it."""
    text = sender.decode("utf-8", "replace") if isinstance(sender, bytes) else sender
    return text.strip().removeprefix("<").removesuffix(">").lower() or "mailer-daemon"


def is_unique(queue_id: str) -> bool:
    """Whether a queue id has its own time in it, so that it never comes again: a long one of Postfix has a `z`.

    Short ones are hexadecimal; they come again, and so does what Sendmail takes for one after sixty years.
    """
    return _LONG.fullmatch(queue_id) is not None


def is_same(known: Queued, there: Queued) -> bool:
    """Whether it is the message that was seen before, and not another one with its queue id."""
    return known[1:] == there[1:]
