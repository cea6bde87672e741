"""What other hosts have learned, and what people have said, counts at every door: the milter, the gate, the spool."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.fleet_kit import DEADLINE, Host, host
from fleet.killers_kit import Killer, killers
from forebay.records import new_id
from forebay.store import fingerprints, passes
from forebay.testing.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.postgres_kit import Postgres
    from forebay.store.engine import Store

ONE, TWO = killers(2, in_envelope=False)


def message_of(path: Path) -> Message:
    """What a milter sees of a file in a spool."""
    header = path.read_bytes().partition(b"env-end\n")[2].partition(b"\n\n")[0]
    return Message(Message.parse(header + b"\n").fields, sender=b"<k@example.org>", recipients=(b"<b@example.com>",))


def put_before_the_gate(one: Host, killer: Killer) -> Path:
    """Put it where writers leave mail for the gate."""
    queue, one.site.queue = one.site.queue, one.site.root / "door"
    try:
        return killer.put(one.site)
    finally:
        one.site.queue = queue


def await_(holds: Callable[[], bool], one: Host) -> None:
    """Wait until it is so."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until, (one.milter.log(), one.site.log())
        time.sleep(0.1)


def test_what_was_released_passes_each_door_once(tmp_path: Path, server: Postgres, fleet_store: Store) -> None:
    """Released on one host, it is let through once by the gate there and by the milter of the next host; then held again."""
    harmless = Killer("harmless", ONE.cc, "<b@example.com>", do="")
    with (
        host("a", tmp_path / "a", server.url, door=True) as a,
        host("b", tmp_path / "b", server.url, router=False, policy="") as b,
    ):
        put_before_the_gate(a, harmless)
        await_(lambda: len(a.site.entries("aside")) == 1, a)
        path = a.site.root / "sample"
        path.write_bytes((a.site.aside / f"{a.site.entries('aside')[0].id}.msg").read_bytes())
        held = message_of(path)
        assert b.answer(held).action.word in {"quarantine", "reject"}
        exact = a.site.entries("aside")[0].exact
        assert exact
        entry = new_id(time.time())
        with fleet_store.write() as db:
            passes.give(db, entry, "a", exact.hex())
        await_(lambda: b.answer(held).action.word == "tag", b)
        assert f"released as entry {entry}" in b.milter.log()
        assert b.answer(held).action.word in {"quarantine", "reject"}
        await_(lambda: any((tmp_path / "a/state/passes").glob("*.spool")), a)
        for _ in range(2):
            put_before_the_gate(a, harmless)
        await_(lambda: a.site.delivered() == ["harmless"] and len(a.site.entries("aside")) == 2, a)


def test_what_was_released_from_a_spool_passes_each_door_once(
    tmp_path: Path, server: Postgres, fleet_store: Store
) -> None:
    """It killed twice and was published. Released, it goes through this host's milter and gate, and the next host's, once each."""
    deadly = Killer("deadly", ONE.cc, "<b@example.com>", do="frail")
    with (
        host("a", tmp_path / "a", server.url, door=True) as a,
        host("b", tmp_path / "b", server.url, router=False) as b,
    ):
        a.site.outage.touch()  # as long as this is there, its router dies of it
        deadly.put(a.site)
        await_(lambda: len(a.site.entries("aside")) == 1, a)
        entry = a.site.entries("aside")[0]
        held = message_of(Path(entry.aside))
        for each in (a, b):
            await_(lambda each=each: each.answer(held).action.word == "quarantine", each)  # type: ignore[misc]  # a default binds it
        a.site.outage.unlink()
        a.desk.ask("quarantine", "release", entry.id)
        for each in (b, a):
            await_(lambda each=each: each.answer(held).action.word == "tag", each)  # type: ignore[misc]  # a default binds it
            assert f"released as entry {entry.id}" in each.milter.log()
            assert each.answer(held).action.word == "quarantine"
        await_(lambda: a.site.delivered() == ["deadly"], a)
        for _ in range(2):
            put_before_the_gate(a, deadly)
        await_(lambda: a.site.delivered() == ["deadly"] * 2, a)
        await_(lambda: [each.cause for each in a.site.entries("aside")] == ["gate"], a)


def test_the_gate_and_the_spool_know_what_another_host_learned(
    tmp_path: Path, server: Postgres, fleet_store: Store
) -> None:
    """A fingerprint that somebody else published keeps mail from this host's router; revoked, it does not."""
    with host("a", tmp_path / "a", server.url, door=True) as a:
        a.site.stop()
        a.site.settings['policy.actions."*"'] = "tag"
        a.site.start()
        harmless = [Killer(f"copy{n}", TWO.cc, "<b@example.com>", do="") for n in range(4)]
        shape = TWO.shape.hex()

        def snapshot() -> str:
            path = tmp_path / "a/state/fingerprints.json"
            return path.read_text() if path.exists() else ""

        put_before_the_gate(a, harmless[0])
        await_(lambda: a.site.delivered() == ["copy0"], a)
        with fleet_store.write() as db:
            fingerprints.publish(db, fingerprints.New(shape, "shape", "crash", "b"), 3600, 0)
        await_(lambda: shape in snapshot(), a)
        put_before_the_gate(a, harmless[1])
        await_(lambda: a.site.aside_names() == ["copy1"], a)
        with fleet_store.write() as db:
            fingerprints.revoke(db, shape, "ann", "b")
        await_(lambda: f'"dropped": ["{shape}"]' in snapshot(), a)
        put_before_the_gate(a, harmless[2])
        await_(lambda: a.site.delivered() == ["copy0", "copy2"], a)
