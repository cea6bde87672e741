"""Nothing that the MTA holds is missing from the index, and nothing is in it twice, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
import sqlalchemy as sa

from forebay.store.engine import Store
from forebay.store.schema import ENTRY
from forebay.testing import milter_service
from forebay.testing.message import Message
from forebay.testing.service import FOREBAY
from mta.private_site import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.postgres_kit import Postgres
    from forebay.testing import MilterService

LONG: Final = bool(os.environ.get("FOREBAY_TESTS_LONG"))
NUMBER: Final = 2000 if LONG else 600
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


def test_quarantines_under_load_survive_every_kill() -> None:
    """Workers, the keeper and the supervisor are killed at random; then the service starts again, and all are there."""
    chance = random.Random(6)
    with milter_service(milter="workers = 3\n") as service:
        store = Store(f"sqlite:///{service.folder}/state/store.db")
        with Load(service, NUMBER) as load:
            supervisor_kills = 2
            while not load.is_over:
                time.sleep(chance.uniform(0.05, 0.4))
                kill(service, chance.choice(["worker", "worker", "keeper"]), chance)
                if supervisor_kills and len(load.held) > NUMBER / 3 * (3 - supervisor_kills):
                    supervisor_kills -= 1
                    _restart(service)
        found = await_all(store, load, service.log)
        assert len(load.held) == len(set(load.held)) == NUMBER
        print(f"{NUMBER} held, {load.failed} cut and sent again, {sum(found.values())} entries")
        # One that was written down and then cut before the answer is announced twice, and held once.
        assert sum(found.values()) <= NUMBER + load.failed
        ids = sorted(Path(service.folder, "state/records/kept").iterdir())
        assert len(ids) == sum(found.values())
        service.process.terminate()
        service.process.wait(30)


def _restart(service: MilterService) -> None:
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


def test_mail_never_waits_for_postgresql(server: Postgres, fleet_store: Store) -> None:
    """Stopped under load for a while, its connections cut, started again: no answer is late, and the backlog drains."""
    seconds = 60.0 if LONG else 6.0
    config = f'[store]\nurl = "{server.url}"\nhost = "a"\n'
    with milter_service(config, milter="workers = 2\n") as service:
        number = int(seconds * 40)
        with Load(service, number, pause=0.08) as load:
            time.sleep(1.0)
            server.cut()
            time.sleep(1.0)
            server.stop()
            began = time.monotonic()
            held = len(load.held)
            time.sleep(seconds)
            outage = len(load.held) - held
            lasted = time.monotonic() - began
            server.start()
        found = await_all(fleet_store, load, service.log)
        assert len(load.held) == number
        assert set(found.values()) == {1}
        print(f"{outage} held within {lasted:.0f} s without a database; slowest answer {1000 * load.slowest:.0f} ms")
        assert outage > 0
        assert load.failed == 0


def test_a_full_database_loses_nothing(server: Postgres, fleet_store: Store) -> None:
    """While it takes no rows, records wait as files; when it takes them again, they are taken in."""
    config = f'[store]\nurl = "{server.url}"\nhost = "a"\n'
    refuse = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON entry EXECUTE FUNCTION full_disk()"
    )
    with milter_service(config, milter="workers = 2\n") as service, psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(refuse)
        with Load(service, 60) as load:
            load.join()
        time.sleep(1.0)
        assert indexed(fleet_store) == Counter()
        assert len(list(Path(service.folder, "state/records/new").iterdir())) == 60
        db.execute("DROP TRIGGER full_disk ON entry; DROP FUNCTION full_disk()")
        assert set(await_all(fleet_store, load, service.log).values()) == {1}
        assert "No space left on device" in service.log()
