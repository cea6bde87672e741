"""The loop that closes: a router dies of a message, and within a second every milter refuses the next one like it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]  # has none
import pytest
import sqlalchemy as sa

from fleet.fleet_kit import DEADLINE, Host, host
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
    from sidecar.sidecar_kit import Site

ROUNDS: Final = 12 if os.environ.get("FOREBAY_TESTS_LONG") else 2
CONVICTIONS: Final = 80
EVIL: Final = ['"joe{}@example.com', "a@b@c{}@example.com", "<joe{}@example.com", "joe{}@[192.0.2.1"]


def evil_field(number: int) -> str:
    """An address field whose shape no other number has."""
    return EVIL[number % 4].format("<@;" * (number // 4 + 1))


def file_of(site: Site, name: str, to: str) -> Path:
    """Put a killer into the spool, as an MTA would deliver it."""
    return site.put(name, "crash", sender="k@example.org", header=f"Cc: {to}\n")


def message_of(name: str, to: str) -> Message:
    """The same kind of message, as the milter sees the next one: another sender, another Message-ID, no body."""
    return Message.parse(
        b"Received: from elsewhere\nFrom: other@example.net\nTo: c@example.net\n"
        b"Date: Fri, 27 Nov 2026 11:11:11 +0000\nSubject: something else\n"
        + f"Message-ID: <next-{name}@example.net>\nCc: {to}\n".encode()
    )


def death_to_hold(dying: Host, asked: Host, number: int) -> float:
    """Seconds from the second death, when the message is convicted, to the first message like it that is held."""
    name, to = f"killer{number}", evil_field(number)
    following = message_of(name, to)
    assert asked.answer(following).action.word == "tag"
    before = {each.id for each in dying.site.entries()}
    file_of(dying.site, name, to)
    until = time.monotonic() + 3 * DEADLINE  # a router that dies again and again is started later and later
    while not (new := [each for each in dying.site.entries() if each.id not in before]):
        assert time.monotonic() < until, dying.site.log()
        time.sleep(0.002)
    return asked.seconds_until_held(following, new[0].at)


def report(what: str, times: list[float]) -> None:
    """Print the median and the worst."""
    times.sort()
    figures = {
        "rounds": len(times),
        "median_ms": round(1000 * times[len(times) // 2]),
        "worst_ms": round(1000 * times[-1]),
    }
    print(what, json.dumps(figures))


def test_on_one_host_the_next_one_is_held(tmp_path: Path) -> None:
    """From the second death to the first hold; the best of the rounds is under a second however busy the machine is."""
    with host("a", tmp_path / "a") as one:
        times = [death_to_hold(one, one, number) for number in range(ROUNDS)]
        report("one host", times)
        assert times[0] < 1.0
        listed = one.desk.entries("--kind", "spool")
        assert {each["reason"] for each in listed} == {"crash"}
        shown = one.desk.ask("quarantine", "show", listed[0]["id"])
        assert "confidence" in shown
        assert "Cc:" in shown


def test_on_another_host_of_the_fleet_too(tmp_path: Path, server: Postgres, fleet_store: Store) -> None:
    """A router dies on host a; host b, with a milter and a spool of its own, holds the next one."""
    with host("a", tmp_path / "a", server.url) as a, host("b", tmp_path / "b", server.url, router=False) as b:
        times = [death_to_hold(a, b, number) for number in range(ROUNDS)]
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
    """From the conviction in the journal of host a to the first hold, some sixty times: by the clerk, the store and the keeper."""
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
        for number in range(CONVICTIONS):
            following = message_of(f"{number}", evil_field(number))
            envelope = Envelope(following.sender, following.recipients, following.client)
            shape = matcher.digests(following.fields, envelope)[1]
            if shape and b.answer(following).action.word != "quarantine":  # two of them may be of one shape
                times.append(b.seconds_until_held(following, convict(a, number, shape)))
        report(f"from the conviction, {where}:", times)
        assert times[0] < 1.0
        assert len(times) > CONVICTIONS / 2


def test_waiting_copies_lie_aside_too(tmp_path: Path) -> None:
    """Copies with the killer's shape that wait in the spool are taken aside with it; good mail goes on."""
    with host("a", tmp_path / "a") as one:
        for number in range(6):
            file_of(one.site, f"copy{number}", evil_field(0))
        one.site.put("good")
        one.site.wait(lambda: len(one.site.aside_names()) == 6 and one.site.delivered() == ["good"])
        _await(lambda: len(one.desk.entries("--kind", "spool")) == 6)
        causes = [each["reason"] for each in one.desk.entries("--kind", "spool")]
        assert causes.count("copy") >= 3


def test_evil_in_the_envelope_recipient_only(tmp_path: Path) -> None:
    """The header is good; the shape is of the recipient that a router's parser dies of."""
    with host("a", tmp_path / "a") as one:
        made = one.site.root / "tmp" / "evil"
        path = b'<bob@[127.0.0."1]>'
        made.write_bytes(
            b"from <k@example.org>\nto " + path + b"\nenv-end\nFrom: k@example.org\nTo: b@example.com\n"
            b"Date: Thu, 26 Nov 2026 01:00:00 +0000\nSubject: hello\nMessage-ID: <evil@example.org>\nX-Do: crash\n\nbody\n"
        )
        made.rename(one.site.queue / str(made.stat().st_ino))
        one.site.wait(lambda: len(one.site.entries("aside")) == 1)
        fields = (
            (b"From", b" other@example.net"), (b"Date", b" Fri, 27 Nov 2026 11:11:11 +0000"), (b"To", b" c@example.net"),
            (b"Message-ID", b" <x@example.net>"), (b"Subject", b" hi"),
        )  # fmt: skip
        following = Message(fields, recipients=(path,))
        one.seconds_until_held(following, time.time())
        good = Message(fields, recipients=(b"<bob@example.com>",))
        assert one.answer(good).action.word == "accept"


def test_a_release_asked_for_on_one_host_is_carried_out_by_the_other(
    tmp_path: Path, server: Postgres, fleet_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Host b asks; host a, which holds the bytes, releases from its own spool, and everybody sees who asked."""
    with host("a", tmp_path / "a", server.url) as a, host("b", tmp_path / "b", server.url, router=False) as b:
        path = file_of(a.site, "killer", evil_field(1))
        inode = path.stat().st_ino
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
        assert inode > 0


def test_everything_aside_is_in_the_index_once(tmp_path: Path) -> None:
    """The clerk and the keeper are killed again and again; each message that lies aside is one entry, each strike one row."""
    chance = random.Random(6)
    with host("a", tmp_path / "a") as one:
        for number in range(3):
            file_of(one.site, f"killer{number}", evil_field(number))
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
