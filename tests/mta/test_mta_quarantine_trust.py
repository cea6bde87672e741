"""The database commands nobody: hostile rows, other hosts' words and foreign queue ids make no host touch anything."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from forebay import records
from forebay.records import Record, Records
from forebay.store import requests
from forebay.store.engine import Store
from forebay.store.entries import Entry
from forebay.store.schema import ENTRY, REQUEST
from mta.private_site import GOOD, HELD, eventually, message
from mta.quarantine_kit import quarantine_site
from unit.store.stores import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_site import Site
    from mta.quarantine_kit import Desk

EVIL = message(HELD[0])
HOST = "mx.example.org"


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Site, Desk]]:
    """A site with a sidecar that guards no router."""
    with quarantine_site() as (site, desk), desk.sidecar():
        yield site, desk


def store_of(site: Site) -> Store:
    return Store(f"sqlite:///{site.milter.folder}/state/store.db")


def insert(store: Store, **changed: object) -> Entry:
    """A row that nobody's record file speaks of."""
    values: dict[str, object] = {
        "id": records.new_id(time.time()), "kind": "mta-hold", "state": "held", "host": HOST, "at": time.time(),
        "changed": 0.0, "size": 1, "client": "", "sender": "<jane@example.org>", "recipients": "", "recipient_count": 1,
        "place": "", "reason": "", "why": "", "validators": " ", "confidence": "", "exact": "", "shape": "", "matched": "",
        **changed,
    }  # fmt: skip
    with store.write() as db:
        db.execute(ENTRY.insert().values(**values))
    return Entry(**values)  # type: ignore[arg-type]  # by name


def outcome(store: Store, entry: Entry, verb: str) -> str:
    """What becomes of a request."""
    with store.write() as db:
        number = requests.ask(db, entry, verb, "mallory", "elsewhere")
    found: dict[int, str] = {}

    def is_there() -> bool:
        with store.read() as db:
            found.update(requests.outcomes(db, [number]))
        return bool(found)

    eventually(is_there)
    return found[number]


@pytest.mark.parametrize("verb", ["release", "delete", "rm -rf", "\x1b[2J"])
def test_a_row_without_a_record_touches_nothing(place: tuple[Site, Desk], verb: str) -> None:
    """A foreign queue id, held and real; a path; an id that is one: refused, with the queue as it was."""
    site, _ = place
    queue_id = site.send(EVIL).last.queue_id
    store = store_of(site)
    eventually(lambda: queue_id in site.postfix.held())
    before = site.postfix.held()
    rows = [
        insert(store, place=queue_id), insert(store, id=f"..x.etc{time.time_ns()}", place="/etc/passwd"),
        insert(store, kind="spool", place="/etc/passwd"), insert(store, id=f"-dALL{time.time_ns()}", place="ALL"),
    ]  # fmt: skip
    for row in rows:
        assert outcome(store, row, verb) != requests.DONE
    assert site.postfix.held() == before
    assert Path("/etc/passwd").exists()
    store.close()


def test_a_row_of_another_message_does_not_lead_to_it(place: tuple[Site, Desk]) -> None:
    """Where a row's place is changed to another message's queue id, the record decides: that message is left alone."""
    site, desk = place
    mine, other = (site.send(EVIL).last.queue_id for _ in range(2))
    entry = desk.entry(mine)["id"]
    desk.entry(other)
    store = store_of(site)
    with store.write() as db:
        db.execute(ENTRY.update().where(ENTRY.c.id == entry).values(place=other))
        found = Entry(*db.execute(sa.select(ENTRY).where(ENTRY.c.id == entry)).one())
    assert outcome(store, found, "delete") == requests.DONE
    assert mine not in site.postfix.held()
    assert other in site.postfix.held()
    store.close()


def forged(site: Site, made: Record) -> None:
    Records(site.milter.folder / "state" / records.DIRECTORY).write(made)


def test_a_record_that_does_not_fit_the_queue_is_refused(place: tuple[Site, Desk]) -> None:
    """A record of another time, or of another host, and a message that is not held at all."""
    site, _ = place
    queue_id = site.send(EVIL).last.queue_id
    eventually(lambda: queue_id in site.postfix.held())
    store = store_of(site)
    now = time.time()
    cases = [
        record(host=HOST, queue_id=queue_id, at=now - 90_000, id=records.new_id(now)),
        record(host="other", queue_id=queue_id, at=now, id=records.new_id(now + 1)),
        record(host=HOST, queue_id="ALL", at=now, id=records.new_id(now + 2)),
        record(host=HOST, queue_id="-d", at=now, id=records.new_id(now + 3)),
    ]
    for each in cases:
        forged(site, each)
        with store.read() as db:
            eventually(lambda each=each: _known(store, each.id))  # type: ignore[misc]  # a default binds it
            del db
        with store.read() as db:
            row = Entry(*db.execute(sa.select(ENTRY).where(ENTRY.c.id == each.id)).one())
        assert outcome(store, row._replace(host=HOST), "delete") != requests.DONE
    assert queue_id in site.postfix.held()
    store.close()


def _known(store: Store, entry_id: str) -> bool:
    with store.read() as db:
        return db.execute(sa.select(ENTRY.c.id).where(ENTRY.c.id == entry_id)).first() is not None


def test_what_another_mta_holds_is_left_alone_and_keeps_nobody_waiting(place: tuple[Site, Desk]) -> None:
    """A record of an MTA that cannot be acted on: its request is refused with that reason, and Postfix's go on."""
    site, desk = place
    store = store_of(site)
    now = time.time()
    other = record(host=HOST, queue_id="5AGEXAMPLE", at=now, id=records.new_id(now), mta="courier")
    forged(site, other)
    eventually(lambda: _known(store, other.id))
    with store.read() as db:
        row = Entry(*db.execute(sa.select(ENTRY).where(ENTRY.c.id == other.id)).one())
    assert outcome(store, row, "delete") == "forebay cannot act on the queue of courier"
    mine = desk.entry(site.send(EVIL).last.queue_id)["id"]
    desk.await_state(mine, "held")
    assert desk.ask("quarantine", "release", mine) == f"{mine}: done\n"
    store.close()


def test_the_clerk_killed_at_any_time_does_everything_once() -> None:
    """SIGKILL again and again while it confirms, releases and deletes: each request has one outcome, good mail is untouched."""
    chance = random.Random(6)
    with quarantine_site(queue_run_delay="1s", minimal_backoff_time="1s") as (site, desk):
        queue_ids = [site.send(EVIL).last.queue_id for _ in range(12)]
        kept = site.send(EVIL).last.queue_id
        store = store_of(site)
        entries = [desk.entry(each) for each in queue_ids]
        with store.write() as db:
            for number, each in enumerate(entries):
                row = Entry(*db.execute(sa.select(ENTRY).where(ENTRY.c.id == each["id"])).one())
                requests.ask(db, row, "release" if number % 2 else "delete", "ann", "a")
        for _ in range(12):
            with desk.clerk() as clerk:
                time.sleep(chance.uniform(0.6, 1.4))
                _kill_family(clerk.pid)
        with desk.clerk():
            eventually(lambda: _open(store) == 0)
            # What was done just before a kill is noticed at the look at the queue, after the request has its answer.
            eventually(lambda: _states(store, queue_ids) == ["deleted", "released"] * 6)
            eventually(lambda: len(list((site.postfix.folder / "delivered").glob("[!.]*"))) == 6)
            assert set(site.postfix.held()) == {kept}
        assert site.delivered(GOOD)
        store.close()


def _states(store: Store, queue_ids: list[str]) -> list[str]:
    with store.read() as db:
        states = {row.place: row.state for row in db.execute(sa.select(ENTRY.c.place, ENTRY.c.state))}
    return [states[each] for each in queue_ids]


def _open(store: Store) -> int:
    with store.read() as db:
        return len(db.execute(sa.select(REQUEST.c.id).where(REQUEST.c.outcome == "")).all())


def _kill_family(pid: int) -> None:
    """The clerk and its child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)


def test_audit_says_who_asked_and_what_became_of_it(place: tuple[Site, Desk]) -> None:
    """One line for the question, one for what was done, one for the answer."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)["id"]
    desk.ask("quarantine", "note", entry, "looks \x1b[31m odd")
    desk.ask("quarantine", "delete", "--yes", entry)
    shown = json.loads(desk.ask("quarantine", "show", "--json", entry))
    assert shown["state"] == "deleted"
    assert shown["notes"][0]["text"] == r"looks \x1b[31m odd"
    store = store_of(site)
    with store.read() as db:
        verbs = (
            db.execute(sa.text("SELECT verb FROM audit WHERE subject = :id ORDER BY id"), {"id": entry}).scalars().all()
        )
    store.close()
    assert [each for each in verbs if each != "held"] == ["announced", "note", "ask delete", "deleted", "answer delete"]
