"""Load that is to be quarantined, and what is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import sqlalchemy as sa

from forebay.store.schema import ENTRY
from forebay.testing.message import Message
from forebay.testing.service import FOREBAY
from mta.private_site import processes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from forebay.store.engine import Store
    from forebay.testing import MilterService

SENDERS: Final = 4
EVIL: Final = Message.parse(
    b"From: jane@example.org\nTo: joe@@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: hello\n"
)


class Load:
    """Messages that are to be quarantined, sent by several clients; `held` are the queue ids of those that were."""

    def __init__(self, service: MilterService, number: int, pause: float = 0.0) -> None:
        self.held: list[str] = []
        self.slowest = 0.0
        self.failed = 0
        self._service = service
        self._pause = pause
        self._left = iter(range(number))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()

    def join(self) -> None:
        """Wait until all are sent."""
        for each in self._threads:
            each.join()

    @property
    def is_over(self) -> bool:
        """Whether all are sent."""
        return not any(each.is_alive() for each in self._threads)

    def _send(self) -> None:
        while True:
            with self._lock:
                number = next(self._left, None)
            if number is None:
                return
            while not self._try(f"Q{number}"):
                time.sleep(0.01)
            time.sleep(self._pause)

    def _try(self, queue_id: str) -> bool:
        """Send one message, as an MTA would: when the connection breaks, the message is not held, and comes again."""
        began = time.monotonic()
        try:
            with self._service.client() as client:
                answer = client.send(EVIL, queue_id)
        except (OSError, EOFError, ValueError, RuntimeError):
            self.failed += 1
            return False
        if answer.is_cut or answer.action.word != "quarantine":
            self.failed += 1
            return False
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.held.append(queue_id)
        return True


def indexed(store: Store) -> Counter[str]:
    """How often each queue id is in the index."""
    with store.read() as db:
        return Counter(db.execute(sa.select(ENTRY.c.place)).scalars())


def await_all(store: Store, load: Load, told: Callable[[], str]) -> Counter[str]:
    """Wait until every message that was held is in the index."""
    until = time.monotonic() + 90
    while not set(load.held) <= set(found := indexed(store)):
        assert time.monotonic() < until, (len(load.held), len(found), told()[-3000:])
        time.sleep(0.1)
    return found


def kill(service: MilterService, kind: str, chance: random.Random) -> None:
    """SIGKILL for one of the milter's children."""
    running = processes(service, kind)
    if running:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(running).pid, signal.SIGKILL)


def restart(service: MilterService) -> None:
    """Kill the supervisor, and start another one in its place, as a service manager does."""
    old = service.process
    old.kill()
    old.wait()
    with (service.folder / "log").open("ab") as log:
        command = (*FOREBAY, "milter", "--config", str(service.config))
        until = time.monotonic() + 30
        while True:
            new = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            time.sleep(1.0)
            if new.poll() is None:
                break
            assert time.monotonic() < until
    object.__setattr__(service, "process", new)
