"""The rogues' gallery: plugins that do everything a plugin must not do, under load, on a real milter.

In each case the MTA's default action is tempfail, and what got a temporary error is sent again, as an MTA does. Then
the verdicts of the other validators are right, nothing is lost, nothing is accepted that another validator refuses,
the service recovers by itself, and the culprit is named.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, REJECT, TAG, Action
from forebay.testing import Message, milter_service
from forebay.testing.service import FOREBAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forebay.testing import MilterService

HANG_TIME = 1.0
DEADLINE = 60.0
"""Seconds in which each message has its final answer: many times what is configured, since machines are busy."""
CLIENTS = 4

PLUGIN = """\
import itertools, os, re, sys, time
from forebay.api import *

KEPT = []

def misbehave(self, field, header=None):
{body}

@validator(id="rogue", rfc="", fields=("x-rogue",))
class Rogue(FieldValidator):
    '''Does what it must not do.'''

    def check(self, field):
        return misbehave(self, field)

plugin = Plugin(name="rogue", api=1, validators=(Rogue,))
"""


@dataclass(frozen=True)
class Rogue:
    """One way to misbehave: what it does, what becomes of the message that brings it on, and how the log tells of it.

    `answers` are the final ones that are right; TEMPFAIL is among them where the message can only wait for somebody
    to take the plugin off.
    """

    name: str
    does: str
    answers: frozenset[Action]
    log: str = ""
    metric: str = ""
    triggers: int = 8
    burns: bool = False


ERROR = 'forebay_validator_errors_total{validator="rogue"}'
HANG = 'forebay_hangs_total{validator="rogue"}'
MEMORY = 'forebay_worker_ends_total{reason="memory"}'
CRASH = 'forebay_worker_ends_total{reason="crashed"}'
TAGGED, ACCEPTED = frozenset({TAG}), frozenset({ACCEPT})
WAITS = frozenset({ACCEPT, TAG, Action.TEMPFAIL})

ROGUES = (
    Rogue("raises", "raise LookupError('boom')", TAGGED, "boom", ERROR),
    Rogue("raises SystemExit", "raise SystemExit(3)", TAGGED, "SystemExit", ERROR),
    Rogue("raises in the middle", "yield self.find('x', field); raise BaseException('base')", TAGGED, "base", ERROR),
    Rogue("returns nonsense", "return [None, 'x', field]", TAGGED, "rogue", ERROR),
    Rogue("points nowhere", "return [self.find('x', field, 5, 500_000)]", TAGGED, "rogue", ERROR),
    Rogue("returns without end", "return itertools.repeat(7)", TAGGED, "rogue", ERROR),
    Rogue("finds without end", "return (self.find('x', field) for _ in itertools.count())", TAGGED),
    Rogue("changes the field", "field.value = b'changed'", TAGGED, "rogue", ERROR),
    Rogue("changes itself", "self.id = 'other'", TAGGED, "rogue", ERROR),
    Rogue("leaks memory", "KEPT.append(b'x' * (4 << 20)); return []", ACCEPTED, "", MEMORY, 48),
    Rogue("sleeps", "time.sleep(10); return []", WAITS, "rogue", HANG, 1),
    Rogue("burns", "\n    while True: pass", WAITS, "rogue", HANG, 2, burns=True),
    Rogue("holds the lock", "re.match(b'(a+)+$', b'a' * 64 + b'b')", WAITS, "rogue", HANG, 2, burns=True),
    Rogue("exits", "os._exit(3)", WAITS, "rogue", CRASH, 1),
    Rogue("closes descriptors", "os.closerange(3, 1024); return []", WAITS, "", "", 1),
    Rogue("writes to stdout", "print('rogue ' * 1000, flush=True); os.write(1, b'x' * 100); return []", ACCEPTED),
    Rogue("forks", "os.fork(); return []", frozenset({ACCEPT, Action.TEMPFAIL})),
)

CLEAN = Message.parse(
    b"From: jane@example.org\nTo: joe@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nMIME-Version: 1.0\nSubject: hello\n"
)
EVIL = CLEAN.field(b"Cc", b" <" * 400 + b"@" * 400)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for a local plugin."""
    with tempfile.TemporaryDirectory(prefix="forebay-", dir="/tmp") as name:
        yield Path(name)


def final_answer(service: MilterService, message: Message, until: float) -> Action:
    """The answer after as many attempts as it takes: what is cut or tempfailed is tried again, as an MTA does."""
    while True:
        try:
            answer = service.send(message).action
        except OSError:
            answer = Action.TEMPFAIL
        if answer is not Action.TEMPFAIL or time.monotonic() > until:
            return answer
        time.sleep(0.1)


def load_of(rogue: Rogue) -> list[tuple[Message, frozenset[Action]]]:
    """Messages, each with the final answers that are right for it: those that concern the rogue among many others."""
    mixed: list[tuple[Message, frozenset[Action]]] = []
    for number in range(max(24, 2 * rogue.triggers)):
        clean = CLEAN.field(b"X-Number", b" %d" % number)
        mixed += [(clean, ACCEPTED), (EVIL.field(b"X-Number", b" %d" % number), frozenset({REJECT}))]
        if number < rogue.triggers:
            mixed.append((clean.field(b"X-Rogue", b" x"), rogue.answers))
            mixed.append(
                (EVIL.field(b"X-Rogue", b" %d" % number), frozenset({REJECT}) | (rogue.answers & {Action.TEMPFAIL}))
            )
    return mixed


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def status_of(service: MilterService) -> object:
    """What `forebay status` says."""
    command = (*FOREBAY, "status", "--json", "--config", str(service.config))
    said: object = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return said


def until_of(right: frozenset[Action], until: float) -> float:
    """How long to try: once only where the message may have to wait for somebody to take the plugin off."""
    return 0 if Action.TEMPFAIL in right else until


@pytest.mark.parametrize("rogue", ROGUES, ids=lambda rogue: rogue.name.replace(" ", "-"))
def test_a_rogue_harms_nobody_but_itself(rogue: Rogue, directory: Path) -> None:
    """Under load, with everything that it does, the others' verdicts are right, and it is named."""
    (directory / "rogue.py").write_text(PLUGIN.format(body=f"    {rogue.does}"))
    config = f'[plugins]\ndirectory = "{directory}"\n'
    milter = f"hang_time = {HANG_TIME}\nworkers = 3\nworker_memory = '100M'\n"
    with milter_service(config, milter=milter) as service:
        mixed = load_of(rogue)
        until = time.monotonic() + DEADLINE
        with ThreadPoolExecutor(CLIENTS) as pool:
            given = list(pool.map(lambda each: final_answer(service, each[0], until_of(each[1], until)), mixed))
        wrong = [(answer, right) for answer, (_, right) in zip(given, mixed, strict=True) if answer not in right]
        assert wrong == [], service.log()[-4000:]
        assert final_answer(service, CLEAN, time.monotonic() + DEADLINE) is ACCEPT
        if rogue.burns:
            # The header that burnt the CPU is remembered: its retry is judged without the culprit.
            retried = CLEAN.field(b"X-Number", b" 0").field(b"X-Rogue", b" x")
            assert final_answer(service, retried, time.monotonic() + DEADLINE) is TAG
        # The end of a worker is told when its parent has buried it.
        eventually(lambda: rogue.log in service.log())
        eventually(lambda: not rogue.metric or service.metrics()[rogue.metric] > 0)
        eventually(lambda: service.metrics()["forebay_workers"] >= 1)
        if rogue.metric in {ERROR, HANG}:
            eventually(lambda: "rogue" in json.dumps(status_of(service)))
