"""The loop that closes: a router dies of a message, and within a second every milter refuses the next one like it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # has none
import pytest
import sqlalchemy as sa

from fleet.fleet_kit import DEADLINE, Host, host
from fleet.killers_kit import Killer, killers
from forebay import records
from forebay.config import Config
from forebay.judge.fingerprints import load_judge_and_matcher
from forebay.message.envelope import Envelope
from forebay.sidecar.journal import Journal
from forebay.store.engine import Store
from forebay.store.schema import STRIKE
from forebay.testing.message import Message
from mta.private_site import processes

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.postgres_kit import Postgres

LONG: Final = bool(os.environ.get("FOREBAY_TESTS_LONG"))
ROUNDS: Final = 50 if LONG else 4
CONVICTIONS: Final = 80 if LONG else 25
TWO: Final = killers(2 * ROUNDS, in_envelope=False)


def death_to_hold(dying: Host, asked: Host, killer: Killer) -> float:
    """Seconds from the second death, when the message is convicted, to the first message like it that is held.

    The next one is offered again and again from the beginning, so that it is held as soon as it can be.
    """
    following = killer.following
    assert asked.answer(following).action.word == "tag"
    before = {each.id for each in dying.site.entries()}
    killer.put(dying.site)
    held = asked.moment_of_hold(following)
    (new,) = (each for each in dying.site.entries() if each.id not in before)
    return held - new.at


def report(what: str, times: list[float]) -> None:
    """Print the median and the worst, and what else this machine has to do."""
    times.sort()
    figures = {
        "rounds": len(times),
        "median_ms": round(1000 * times[len(times) // 2]),
        "p99_ms": round(1000 * times[int(0.99 * len(times))]),
        "worst_ms": round(1000 * times[-1]),
        "load": os.getloadavg()[0],
    }
    print(what, json.dumps(figures))


def both_kinds() -> list[Killer]:
    """Killers for all rounds: evil in the header, and in the envelope recipient alone, by turns."""
    pairs = zip(TWO[: ROUNDS // 2], killers(ROUNDS // 2, in_envelope=True), strict=True)
    return [each for pair in pairs for each in pair]


def test_on_one_host_the_next_one_is_held(tmp_path: Path) -> None:
    """From the second death to the first hold; the best of the rounds is under a second however busy the machine is."""
    with host("a", tmp_path / "a") as one:
        times = [death_to_hold(one, one, killer) for killer in both_kinds()]
        report("one host", times)
        assert times[0] < 1.0
        listed = one.desk.entries("--kind", "spool")
        assert {each["reason"] for each in listed} == {"crash"}
        shown = one.desk.ask("quarantine", "show", listed[0]["id"])
        assert "confidence" in shown
        assert "Cc:" in shown
        good = Message(TWO[0].following.fields[:5], recipients=(b"<bob@example.com>",))
        assert one.answer(good).action.word != "quarantine"


def test_on_another_host_of_the_fleet_too(tmp_path: Path, server: Postgres, fleet_store: Store) -> None:
    """A router dies on host a; host b, with a milter and a spool of its own, holds the next one."""
    with host("a", tmp_path / "a", server.url) as a, host("b", tmp_path / "b", server.url, router=False) as b:
        times = [death_to_hold(a, b, killer) for killer in both_kinds()]
        report("another host", times)
        assert times[0] < 1.0
        assert {each["host"] for each in b.desk.entries("--kind", "spool")} == {"a"}


def convict(one: Host, number: int, shape: bytes) -> float:
    """What the guard stores at a second death, and nothing else of it; when that was."""
    now = time.time()
    with sqlite3.connect(one.site.root / "state-sidecar/journal.db", isolation_level=None) as journal:
        journal.execute(
            "INSERT INTO entry VALUES (?, ?, '/x', '/x', '/x', 'aside', 'crash', 'certain', 1, ?, '{}', NULL, ?)",
            (records.new_id(now), b"%d" % number, now, shape),
        )
    return now


@pytest.mark.parametrize("where", ["one host", "another host"])
def test_a_conviction_is_known_at_once(tmp_path: Path, where: str, request: pytest.FixtureRequest) -> None:
    """From the conviction in the journal of host a to the first hold, again and again: by the clerk, the store and the keeper."""
    url = ""
    if where == "another host":
        url = request.getfixturevalue("server").url
        request.getfixturevalue("fleet_store")
    with ExitStack() as stack:
        a = stack.enter_context(host("a", tmp_path / "a", url, router=False))
        b = stack.enter_context(host("b", tmp_path / "b", url, router=False)) if url else a
        Journal(a.site.root / "state-sidecar").close()
        time.sleep(3.0)  # everybody has started
        matcher = load_judge_and_matcher(Config())[1]
        times = []
        for number, killer in enumerate(killers(CONVICTIONS, in_envelope=False)):
            following = killer.following
            shape = matcher.digests(following.fields, Envelope(following.sender, following.recipients))[1]
            assert b.answer(following).action.word == "tag"
            since = convict(a, number, shape or b"")
            times.append(b.moment_of_hold(following) - since)
        report(f"from the conviction, {where}:", times)
        assert times[0] < 1.0


def test_waiting_copies_lie_aside_too(tmp_path: Path) -> None:
    """Copies with the killer's shape that wait in the spool are taken aside with it; good mail goes on."""
    with host("a", tmp_path / "a") as one:
        for number in range(6):
            replace(TWO[0], name=f"copy{number}").put(one.site)
        one.site.put("good")
        one.site.wait(lambda: len(one.site.aside_names()) == 6 and one.site.delivered() == ["good"])
        _await(lambda: len(one.desk.entries("--kind", "spool")) == 6)
        causes = [each["reason"] for each in one.desk.entries("--kind", "spool")]
        assert causes.count("copy") >= 3


def test_a_release_asked_for_on_one_host_is_carried_out_by_the_other(
    tmp_path: Path, server: Postgres, fleet_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Host b asks; host a, which holds the bytes, releases from its own spool, and everybody sees who asked."""
    with host("a", tmp_path / "a", server.url) as a, host("b", tmp_path / "b", server.url, router=False) as b:
        TWO[1].put(a.site)
        a.site.wait(lambda: len(a.site.entries("aside")) == 1)
        _await(lambda: [each["state"] for each in b.desk.entries("--host", "a")] == ["held"])
        entry = b.desk.entries("--host", "a")[0]["id"]
        a.site.stop()
        b.desk.run("quarantine", "release", entry)  # nobody acts while the sidecar of a is away
        assert [each.state for each in a.site.entries()] == ["aside"]
        a.site.start()
        _await(
            lambda: (
                [each["state"] for each in b.desk.entries("--host", "a", "--all") if each["id"] == entry]
                == ["released"]
            )
        )
        assert a.site.entries()[0].id == entry


def test_everything_aside_is_in_the_index_once(tmp_path: Path) -> None:
    """The clerk and the keeper are killed again and again; each message that lies aside is one entry, each strike one row."""
    chance = random.Random(6)
    with host("a", tmp_path / "a") as one:
        for number in range(3):
            TWO[number].put(one.site)
        for _ in range(5):
            time.sleep(chance.uniform(0.1, 1.0))
            for each in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "forebay.sidecar.clerk" in each.cmdline():
                        each.kill()
            for keeper in processes(one.milter, "keeper"):
                os.kill(keeper.pid, signal.SIGKILL)
        one.site.wait(lambda: len(one.site.entries("aside")) == 3)
        aside = sorted(each.id for each in one.site.entries("aside"))
        _await(lambda: sorted(each["id"] for each in one.desk.entries("--state", "held")) == aside)
        store = Store(f"sqlite:///{one.milter.folder}/state/store.db")
        with store.read() as db:
            told = db.execute(sa.select(sa.func.count()).select_from(STRIKE)).scalar()
        store.close()
        with sqlite3.connect(one.site.root / "state-sidecar/journal.db") as journal:
            assert journal.execute("SELECT count(*) FROM strike").fetchone()[0] == told


def _await(holds: object) -> None:
    until = time.monotonic() + DEADLINE
    while not holds():  # type: ignore[operator]  # a function of the test
        assert time.monotonic() < until
        time.sleep(0.1)
