"""Nothing that the MTA holds is missing from the index, and nothing is in it twice, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # has none
import psycopg
import sqlalchemy as sa

from fleet.fleet_kit import host
from fleet.killers_kit import killers
from fleet.load_kit import Load, await_all, indexed, kill, restart
from fleet.postgres_kit import postgres
from forebay.store.engine import Store
from forebay.store.schema import ENTRY, STRIKE
from forebay.testing import milter_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.fleet_kit import Host
    from fleet.postgres_kit import Postgres

LONG: Final = bool(os.environ.get("FOREBAY_TESTS_LONG"))
NUMBER: Final = 2000 if LONG else 600
DEADLY: Final = 40 if LONG else 3
"""Messages that kill the router while the others are quarantined by the milter."""
DISK: Final = "96m"


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
                    restart(service)
        found = await_all(store, load, service.log)
        assert len(load.held) == len(set(load.held)) == NUMBER
        print(f"{NUMBER} held, {load.failed} cut and sent again, {sum(found.values())} entries")
        # One that was written down and then cut before the answer is announced twice, and held once.
        assert sum(found.values()) <= NUMBER + load.failed
        ids = sorted(Path(service.folder, "state/records/kept").iterdir())
        assert len(ids) == sum(found.values())
        service.process.terminate()
        service.process.wait(30)


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


def kill_sidecar(one: Host) -> None:
    """SIGKILL for the guard, and a new one beside the router, which goes on; its clerk ends by itself."""
    one.site.stop(signal.SIGKILL)
    one.site.start(wrap=False)


def kill_clerk(one: Host) -> None:
    """SIGKILL for one of the two processes that keep the store for the sidecar."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            found += [each] if "forebay.sidecar.clerk" in each.cmdline() else []
    for each in found[:1]:
        with suppress(psutil.Error):
            each.kill()


def test_both_halves_survive_every_kill(tmp_path: Path) -> None:
    """While mail is quarantined and routers die, everybody is killed at random: what is held and what lies aside is indexed."""
    chance = random.Random(6)
    with host("a", tmp_path / "a", policy="", own_unit=True) as one:
        waiting = killers(DEADLY, in_envelope=False)
        ends = {
            "worker": lambda: kill(one.milter, "worker", chance), "keeper": lambda: kill(one.milter, "keeper", chance),
            "supervisor": lambda: restart(one.milter), "sidecar": lambda: kill_sidecar(one), "clerk": lambda: kill_clerk(one),
        }  # fmt: skip
        killed: Counter[str] = Counter()
        with Load(one.milter, NUMBER // 2 if not LONG else NUMBER, pause=0.1) as load:
            # Each once; at full scale then at random, though who dies often is started later and later.
            todo = [*ends]
            while not load.is_over or waiting or todo:
                for each in [waiting.pop() for _ in range(min(len(waiting), 2))]:
                    each.put(one.site)
                time.sleep(chance.uniform(0.1, 0.5))
                if LONG and not todo:
                    todo = chance.choices([*ends], [6, 4, 1, 1, 3])
                for what in todo[:1]:
                    ends[what]()
                    killed[what] += 1
                todo = todo[1:]
        one.site.wait(lambda: len(one.site.entries("aside")) == DEADLY)
        aside = sorted(each.id for each in one.site.entries("aside"))
        store = Store(f"sqlite:///{one.milter.folder}/state/store.db")
        found = await_all(store, load, one.milter.log)
        one.site.wait(
            lambda: sorted(each["id"] for each in one.desk.entries("--kind", "spool", "--limit", "1000")) == aside
        )
        with store.read() as db:
            of_mta = db.execute(sa.select(ENTRY.c.place).where(ENTRY.c.kind == "mta-hold")).scalars().all()
            told = db.execute(sa.select(sa.func.count()).select_from(STRIKE)).scalar()
        store.close()
        print(f"{len(load.held)} held, {load.failed} cut and sent again, {len(aside)} aside, killed: {dict(killed)}")
        assert set(load.held) <= set(of_mta) <= set(found)
        assert len(of_mta) <= len(load.held) + load.failed
        with sqlite3.connect(one.site.root / "state-sidecar/journal.db") as journal:
            assert journal.execute("SELECT count(*) FROM strike").fetchone()[0] == told


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system that is full soon."""
    folder.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(folder)), check=True)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free; the file that has them."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    return path


def test_a_database_whose_disk_is_really_full_loses_nothing() -> None:
    """Its server dies of it or refuses, as it likes; mail does not notice, and all is there when there is room again."""
    with postgres(small_disk) as server:
        store = Store(server.url, migrate=True)
        store.open()
        config = f'[store]\nurl = "{server.url}"\nhost = "a"\n'
        with milter_service(config, milter="workers = 2\n") as service:
            filling = fill(server.folder)
            with Load(service, NUMBER) as load:
                load.join()
            assert (len(load.held), load.failed) == (NUMBER, 0)
            left = len(list(Path(service.folder, "state/records/new").iterdir()))
            filling.unlink()
            server.stop(signal.SIGQUIT)  # if it still lives
            server.start()
            found = await_all(store, load, service.log)
            print(f"{left} of {NUMBER} records waited as files; slowest answer {1000 * load.slowest:.0f} ms")
            assert left > 0
            assert set(found.values()) == {1}
        store.close()
