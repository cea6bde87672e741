"""Mail for the campaign: clients that send every message until they have an answer for good, and write down each try."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from forebay.quickstart.raw_smtp import RawClient
from mta.private_site import HELD, RECIPIENT, REFUSED, SENDER, message

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS: Final = 3
GOOD, EVIL, DOUBTFUL, KILLER = "good", "evil", "doubtful", "killer"
"""To be delivered; refused; held; let in, since its header is good, and then killing the router."""
_TIMEOUT: Final = 45.0
_PAUSE: Final = 0.3


@dataclass(slots=True)
class Sent:
    """One message: what it is, the ids under which it was accepted, whether it was refused, and tries without an answer."""

    name: str
    kind: str
    queue_ids: list[str] = field(default_factory=list)
    is_refused: bool = False
    cut: int = 0
    deferred: int = 0


class Load:
    """Sends about so many messages a second, by several clients, until told to stop; only good ones without `kinds`.

    One in so many is a `killer`.
    """

    def __init__(self, port: Callable[[], int], rate: float, *, kinds: bool = True, killer: int = 40) -> None:
        self.sent: dict[str, Sent] = {}
        self.slowest = 0.0
        self._port, self._pause, self._kinds, self._killer = port, CLIENTS / rate, kinds, killer
        self._prefix = "m" if kinds else "g"
        self._numbers = iter(range(10_000_000))
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._must_end = threading.Event()
        self._threads = [threading.Thread(target=self._send_on, name=f"client {each}") for each in range(CLIENTS)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._must_end.set()
        self.stop()

    def stop(self) -> None:
        """Begin no new message, and wait until those that were begun are answered."""
        self._is_over.set()
        for each in self._threads:
            each.join()

    def _send_on(self) -> None:
        while not self._is_over.is_set():
            with self._lock:
                number = next(self._numbers)
                sent = Sent(f"{self._prefix}{number}", _kind(number, self._killer) if self._kinds else GOOD)
                self.sent[sent.name] = sent
            began = time.monotonic()
            while not self._try(sent) and not self._must_end.is_set():
                time.sleep(_PAUSE)
            took = time.monotonic() - began
            self.slowest = max(self.slowest, took)
            time.sleep(max(0.0, self._pause - took))

    def _try(self, sent: Sent) -> bool:
        """Send it once; whether that is answered for good."""
        try:
            with RawClient(self._port(), _TIMEOUT) as client:
                reply = client.send(SENDER, (RECIPIENT,), text(sent)).last
        except (OSError, ValueError):
            sent.cut += 1
            return False
        if reply.queue_id:
            sent.queue_ids.append(reply.queue_id)
        sent.is_refused = reply.code >= 500
        sent.deferred += 400 <= reply.code < 500
        return bool(reply.queue_id) or sent.is_refused


def text(sent: Sent) -> bytes:
    """The message itself."""
    named = {b"Message-ID": b" <" + sent.name.encode() + b"@example.org>", b"Subject": b" " + sent.name.encode()}
    if sent.kind == EVIL:
        return message(named | REFUSED[0])
    if sent.kind == DOUBTFUL:
        return message(named | HELD[0])
    return message(named, b"X-Do: crash\r\n" if sent.kind == KILLER else b"")


def _kind(number: int, killer: int) -> str:
    if number % killer == 25:
        return KILLER
    return {3: EVIL, 7: DOUBTFUL}.get(number % 10, GOOD)
