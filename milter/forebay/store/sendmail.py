"""The quarantine of a Sendmail: its `hf` files, their release and their deletion by queue id.

Whoever acts compares sender, time, size and the inode of the body with what was seen before (`forebay.store.hands`).
How it is done, `forebay.api.router_sendmail` says.
"""

# ruff: noqa: S603 - runs Sendmail's own command, with a queue id that has letters and digits only

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from forebay import files
from forebay.api.router_sendmail import QUARANTINED, Found, Places, SendmailQueue, places_below
from forebay.errors import UnavailableError
from forebay.store.queues import HOLD, Queued

NAME: Final = "sendmail"
CONFIG: Final = "/etc/mail/sendmail.cf"
_TRIES, _PAUSE = 10, 0.2
_DIRECTORY: Final = re.compile(r"O[ \t]*QueueDirectory[ \t]*=[ \t]*(\S+)")
_GROUP: Final = re.compile(r"Q[^,]+,(?:.*,)?[ \t]*P(?:ath)?[ \t]*=[ \t]*([^, \t]+)")


class Quarantine:
    """The queue of the Sendmail whose sendmail.cf this is; empty for the default one.

    Its commands run with `environment`. `delivers`: whether what is released is tried at once, by a process of ours;
    where a sidecar guards Sendmail itself, the next queue run takes it, inside its limits.
    """

    def __init__(self, config: str = "", environment: dict[str, str] | None = None, *, delivers: bool = True) -> None:
        self._config = config or CONFIG
        self._environment = environment
        self._delivers = delivers
        self._runs: list[subprocess.Popen[bytes]] = []

    def listed(self) -> Mapping[str, Queued]:
        """What is in the queue, by queue id; only those that are asked for are looked at."""
        return _Listed(self._queue())

    def release(self, held: Queued) -> None:
        """Let a message go on: at once where that may be, else with Sendmail's next queue run."""
        queue = self._queue()
        with _told():
            for left in range(_TRIES, -1, -1):
                try:
                    queue.release(held.queue_id)
                    break
                except BlockingIOError:  # somebody lists the queue, or acts on it by hand
                    if not left:
                        raise
                time.sleep(_PAUSE)
        if self._delivers:
            self._deliver(queue, held.queue_id)

    def delete(self, held: Queued) -> None:
        """Remove a message for good."""
        queue = self._queue()
        with _told():
            queue.remove(_exactly(queue, held))

    def message(self, held: Queued) -> bytes:
        """The header, as the client wrote it and the milters changed it, and the body."""
        with _told():
            found = _exactly(self._queue(), held)
            with os.fdopen(files.open_regular(found.body), "rb") as body:
                return found.told.header + b"\n" + body.read()

    def _queue(self) -> SendmailQueue:
        return SendmailQueue(places(self._config), self._config, self._environment)

    def _deliver(self, queue: SendmailQueue, queue_id: str) -> None:
        """Begin to deliver it, and do not wait: that may take long."""
        self._runs = [each for each in self._runs if each.poll() is None]
        with suppress(OSError):
            self._runs.append(
                subprocess.Popen(
                    queue.command("-q", f"-qI{queue_id}"), env=queue.environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                )
            )  # fmt: skip


class _Listed(Mapping[str, Queued]):
    """The queue, read where it is asked for. Iteration is over what is quarantined."""

    def __init__(self, queue: SendmailQueue) -> None:
        self._queue = queue

    def __getitem__(self, queue_id: str) -> Queued:
        found = self._queue.find(queue_id)
        if not found:
            raise KeyError(queue_id)
        return _queued(found)

    def __iter__(self) -> Iterator[str]:
        return self._queue.quarantined()

    def __len__(self) -> int:
        return sum(1 for _ in self)


def places(config: str) -> Places:
    """Where the queue is that this sendmail.cf names. Raises UnavailableError.

    A last `*` stands for all directories whose names begin so (op.me, "Queue groups and queue directories").
    """
    try:
        lines = Path(config).read_text("ascii", "replace").splitlines()
    except OSError as error:
        raise UnavailableError(f"{config}: {error.strerror}: forebay reads there where Sendmail's queue is") from None
    main = next((found[1] for found in map(_DIRECTORY.match, lines) if found), "/var/spool/mqueue")
    base = Path(main).parent if main.endswith("*") else Path(main)
    named = [base / each for each in (main, *(found[1] for found in map(_GROUP.match, lines) if found))]
    queues = [
        queue
        for each in named
        for queue in (sorted(each.parent.glob(each.name)) if each.name.endswith("*") else [each])
        if queue.is_dir()
    ]
    if not queues:
        raise UnavailableError(f"{main}: there is no queue of Sendmail")
    return places_below(queues)


def _queued(found: Found) -> Queued:
    size = sum(len(name) + len(value) + 2 for name, value in found.told.fields) + found.body_size
    sender = found.told.sender.decode("utf-8", "backslashreplace")
    place = HOLD if found.kind == QUARANTINED else "queue"
    return Queued(place, found.queue_id, sender, found.told.arrival, size, f"{found.device}:{found.inode}")


def _exactly(queue: SendmailQueue, held: Queued) -> Found:
    """The quarantined message itself. Raises FileNotFoundError where it is another one, or gone."""
    found = queue.find(held.queue_id, QUARANTINED)
    if found is None or _queued(found) != held:
        raise FileNotFoundError(2, "another message has its queue id, or it is gone", held.queue_id)
    return found


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
