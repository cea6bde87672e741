"""Reloads, a stop and a restart of the milter while mail comes through a real Sendmail."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mta.private_sendmail import queue_id, sendmail_site
from mta.private_site import DEADLINE, GOOD, HELD, RECIPIENT, REFUSED, SENDER, eventually, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.testing import MilterService
    from mta.private_sendmail import SendmailSite

MESSAGES: Final = 10_000 if os.environ.get("FOREBAY_TESTS_LONG") else 120
CLIENTS: Final = 4
KINDS: Final = {"good": GOOD, "held": message(HELD[0]), "refused": message(REFUSED[0])}
RIGHT: Final = {"good": 250, "held": 250, "refused": 550}


@dataclass(slots=True)
class Load:
    """What was answered to whom: each a kind of message, and the reply's code and queue id."""

    site: SendmailSite
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_over: bool = False

    def run(self, during: Callable[[], None]) -> Load:
        """Send a quarter of the messages, do what is to be done, and go on until all are sent."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._client, number) for number in range(CLIENTS)]
            try:
                self._await(MESSAGES // 4)
                during()
                self._await(MESSAGES)
            finally:
                self._is_over = True
            for each in clients:
                each.result()
        return self

    def wrong(self) -> list[tuple[str, int, str]]:
        """The answers that are not those of the verdict."""
        return [each for each in self.answers if each[1] != RIGHT[each[0]]]

    def misplaced(self) -> list[tuple[str, int, str]]:
        """The messages that Sendmail took, and that are not where the verdict wants them."""
        held = self.site.sendmail.queued("hf")
        return [each for each in self.answers if each[2] and (each[0] == "held") != (each[2] in held)]

    def _await(self, answers: int) -> None:
        until = time.monotonic() + 10 * DEADLINE
        while len(self.answers) < answers:
            assert time.monotonic() < until
            time.sleep(0.01)

    def _client(self, number: int) -> None:
        dice = random.Random(number)
        while not self._is_over:
            with self.site.client() as client:
                for _ in range(dice.randint(1, 4)):
                    kind = dice.choice(list(KINDS))
                    last = client.send(SENDER, (RECIPIENT,), KINDS[kind]).last
                    with self._lock:
                        self.answers.append((kind, last.code, queue_id(last)))


def reload(milter: MilterService, config: str) -> None:
    """Write a configuration, send SIGHUP, and wait until the log says what came of it."""
    before = milter.log().count("reload")
    milter.config.write_text(config)
    milter.reload()
    eventually(lambda: milter.log().count("reload") > before, milter.log)


def test_a_reload_under_load_is_not_noticed() -> None:
    """SIGHUP, good configurations and bad ones in turn: no temporary error, every message where it belongs."""
    with sendmail_site() as site:

        def during() -> None:
            good = site.milter.config.read_text()
            for each in (good + "\n", good.replace("workers = 2", "workers = 'some'"), good):
                reload(site.milter, each)

        load = Load(site).run(during)
        assert load.wrong() == []
        assert load.misplaced() == []
        assert site.milter.metrics()["forebay_sessions_cut_total"] == 0


def test_a_stop_under_load_lets_nothing_in() -> None:
    """SIGTERM: sessions that are open get their verdicts, all later mail a temporary error; nothing passes unchecked."""
    with sendmail_site() as site:

        def during() -> None:
            site.milter.process.terminate()
            assert site.milter.process.wait(DEADLINE) == 0

        load = Load(site).run(during)
        assert {each[1] for each in load.wrong()} == {451}
        assert load.misplaced() == []
        assert "sessions were cut" not in site.milter.log()


def test_a_killed_milter_lets_nothing_in() -> None:
    """SIGKILL of the supervisor under load: verdicts or temporary errors, and nothing else."""
    with sendmail_site() as site:
        load = Load(site).run(site.milter.process.kill)
        assert {each[1] for each in load.wrong()} <= {451}
        assert load.misplaced() == []
