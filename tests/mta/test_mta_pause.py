"""A pause of the machine is nobody's fault."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

from forebay.api import ACCEPT, TAG, Action
from forebay.testing import Message, MilterService, milter_service

PAUSE = 10.0
DEADLINE = 60.0
PLUGIN = """\
import time
from forebay.api import *

@validator(id="slow", rfc="", fields=("x-slow",))
class Slow(FieldValidator):
    '''Takes a while without burning CPU: it is what a pause catches in the act.'''

    def check(self, field):
        time.sleep(0.3)
        return []

plugin = Plugin(name="slow", api=1, validators=(Slow,))
"""
SLOW = Message.parse(
    b"From: jane@example.org\nTo: joe@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nX-Slow: yes\n"
)


def workers_of(service: MilterService) -> list[int]:
    """The pids of the workers."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [int(each) for each in children if Path(f"/proc/{each}/comm").read_text() == "forebay-worker\n"]


def answer(service: MilterService) -> Action:
    """What the milter says to a message in the slow validator; a cut session is what an MTA takes for a tempfail."""
    try:
        return service.send(SLOW).action
    except OSError:
        return Action.TEMPFAIL


def test_a_pause_benches_nobody_and_is_not_remembered() -> None:
    """After ten seconds of SIGSTOP in the middle of a validator, nobody is blamed, and the next message is judged."""
    with tempfile.TemporaryDirectory(prefix="forebay-", dir="/tmp") as directory:
        (Path(directory) / "slow.py").write_text(PLUGIN)
        with milter_service(
            f'[plugins]\ndirectory = "{directory}"\n', milter="hang_time = 1.0\nworkers = 2"
        ) as service:
            assert answer(service) is ACCEPT
            given: list[Action] = []
            clients = [threading.Thread(target=lambda: given.append(answer(service))) for _ in range(8)]
            for each in clients:
                each.start()
            time.sleep(0.15)
            paused = workers_of(service)
            for pid in paused:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(PAUSE)
            for pid in paused:
                os.kill(pid, signal.SIGCONT)
            for each in clients:
                each.join(DEADLINE)
            assert set(given) <= {ACCEPT, TAG, Action.TEMPFAIL}
            until = time.monotonic() + DEADLINE
            while (got := answer(service)) is not ACCEPT and time.monotonic() < until:
                time.sleep(0.1)
            assert got is ACCEPT, service.log()
            assert service.metrics()['forebay_validator_benched{validator="slow"}'] == 0
            assert not (service.folder / "state/remembered.json").exists()
            assert "benched" not in service.log()


def test_a_flood_of_hard_work_benches_no_built_in() -> None:
    """Messages that cost the built-in validators as much as they can are refused one like the other, to the last."""
    evil = SLOW.field(b"Cc", b"\"'<(" * 7000)
    with milter_service(milter="workers = 2") as service:
        with service.client() as client:
            answers = {client.send(evil).action for _ in range(40)}
        assert answers == {Action.REJECT}
        metrics = service.metrics()
        assert metrics['forebay_messages_total{action="reject"}'] == 40
        assert sum(value for name, value in metrics.items() if name.startswith("forebay_validator_errors_total")) == 0
        assert not any(name.startswith("forebay_validator_benched") and value for name, value in metrics.items())
