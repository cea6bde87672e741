"""Load for a milter: sessions of a few messages each, from several clients at once, with the answers that are right."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, Action
from forebay.testing import Message
from mta.private_site import DEADLINE, GOOD, HELD, REFUSED, TAGGED, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.testing import MilterService

CLIENTS: Final = 6

KINDS: Final = {
    ACCEPT: Message.parse(GOOD.partition(b"\r\n\r\n")[0]),
    TAG: Message.parse(message(TAGGED[0]).partition(b"\r\n\r\n")[0]),
    QUARANTINE: Message.parse(message(HELD[0]).partition(b"\r\n\r\n")[0]),
    REJECT: Message.parse(message(REFUSED[0]).partition(b"\r\n\r\n")[0]),
}


@dataclass(slots=True)
class Load:
    """What came of it. `lost` are the times at which sessions began that were cut."""

    answered: int = 0
    refused: int = 0
    lost: list[float] = field(default_factory=list)
    wrong: list[tuple[Action, Action]] = field(default_factory=list)
    accepted_evil: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_over: bool = False

    def run(self, service: MilterService, messages: int, during: Callable[[], None]) -> Load:
        """Send so many messages at least; after a quarter of them do what is to be done, and go on until it is done."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._client, service, number) for number in range(CLIENTS)]
            try:
                self._await(messages // 4)
                during()
                self._await(messages)
            finally:
                self._is_over = True
            for each in clients:
                each.result()
        return self

    def _await(self, answers: int) -> None:
        until = time.monotonic() + 10 * DEADLINE
        while self.answered < answers and not self.refused:
            assert time.monotonic() < until
            time.sleep(0.01)

    def _client(self, service: MilterService, number: int) -> None:
        dice = random.Random(number)
        while not self._is_over:
            began = time.monotonic()
            try:
                client = service.client()
            except BlockingIOError:
                continue  # the queue of connections is full: an MTA waits
            except (FileNotFoundError, ConnectionRefusedError):
                with self._lock:
                    self.refused += 1
                return  # there is no milter any more
            except ConnectionError:
                self._note_lost(began)
                continue
            with client:
                for _ in range(dice.randint(1, 5)):
                    kind = dice.choice(list(KINDS))
                    answer = client.send(KINDS[kind])
                    if answer.is_cut:
                        self._note_lost(began)
                        break
                    self._note(kind, answer.action)

    def _note(self, kind: Action, action: Action) -> None:
        with self._lock:
            self.answered += 1
            self.accepted_evil += kind is REJECT and action in {ACCEPT, TAG}
            if kind is not action:
                self.wrong.append((kind, action))

    def _note_lost(self, began: float) -> None:
        with self._lock:
            self.lost.append(began)
