"""A real Sendmail as the router that is guarded: its mailer dies, and it itself; who is to blame is quarantined."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from forebay.api.process import process
from mta.private_site import DEADLINE, eventually
from mta.sendmail_guard import guarded_sendmail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.sendmail_guard import GuardedSendmail

KILLERS: Final = ("crash", "memory", "cpu")


@pytest.fixture
def site() -> Iterator[GuardedSendmail]:
    """A Sendmail that looks through its queue every two seconds, and its sidecar."""
    with guarded_sendmail() as where:
        yield where


def held(site: GuardedSendmail, names: set[str]) -> None:
    """Wait until exactly these messages are quarantined, and `quarantine list` knows of exactly as many."""
    eventually(lambda: site.sendmail.queued("hf") == names, site.log)
    eventually(lambda: len(site.desk.entries("--state", "held")) == len(names), site.log)


def test_killers_are_quarantined_after_two_deaths_and_other_mail_flows(site: GuardedSendmail) -> None:
    """SEGV, memory and CPU: two strikes each; everything else is delivered, and nothing else is touched."""
    killers = {each: site.send(each, each) for each in KILLERS}
    good = [site.send(name=f"good{number}") for number in range(20)]
    held(site, set(killers.values()))
    more = [site.send(name=f"more{number}") for number in range(5)]
    for each in (*good, *more):
        site.sendmail.delivered(each)
    assert {each: site.strikes(name) for each, name in killers.items()} == dict.fromkeys(KILLERS, 2)
    assert len(site.sendmail.files()) == 25
    entries = site.desk.entries()
    assert sorted(each["reason"] for each in entries) == sorted(KILLERS)
    assert {each["kind"] for each in entries} == {"spool"}
    assert {each["sender"] for each in entries} == {"<jane@example.org>"}
    assert "QUARANTINE: forebay" in site.sendmail.tool("-bp", "-qQ")
    time.sleep(3)  # a queue run later nothing has changed
    assert site.sendmail.queued("hf") == set(killers.values())


def test_a_copy_of_a_killer_needs_no_second_death(site: GuardedSendmail) -> None:
    """The same message again, to another recipient, while the first lies aside: it is quarantined as a copy."""
    first = site.send("crash", "same")
    held(site, {first})
    site.end_sidecar()
    again = site.send("crash", "same", [b"<ann@example.com>"])
    eventually(lambda: again in site.sendmail.queued("qf") and not site.mailers())
    site.start_sidecar()
    held(site, {first, again})
    strikes = site.strikes(again)
    assert strikes <= 1  # a mailer may have had it in hand already when the sidecar began, and died of it
    assert {each["reason"] for each in site.desk.entries()} == ({"crash"} if strikes else {"crash", "copy"})


def test_a_mailer_that_a_person_kills_is_no_strike(site: GuardedSendmail) -> None:
    """SIGKILL by hand, twice: the message is tried again, and delivered."""
    name = site.send("slow")
    for _ in range(2):
        eventually(lambda: bool(site.mailers()))
        for pid in site.mailers():
            with suppress(ProcessLookupError):  # a shell within the mailer, which was just done
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not site.mailers())
    site.sendmail.delivered(name)
    assert site.strikes(name) == 0
    assert not site.desk.entries("--all")


def test_a_process_of_sendmail_itself_that_dies_is_a_strike(site: GuardedSendmail) -> None:
    """The child that delivers what just came in, then a queue runner: a SEGV of each, and the message is quarantined."""
    name = site.send("long")
    for _ in range(2):
        eventually(lambda: bool(site.mailers()) and site.is_claimed(name), site.log)
        for each in filter(None, map(process, site.mailers())):
            os.kill(each.parent, signal.SIGSEGV)
            os.kill(each.pid, signal.SIGKILL)
        eventually(lambda: not site.mailers())
    held(site, {name})
    assert site.strikes(name) == 2


def test_what_is_released_after_a_repair_is_delivered(site: GuardedSendmail) -> None:
    """One is released and delivered by the next queue run; one is deleted, and nothing of it is left in the queue."""
    names = [site.send("crash", each) for each in ("one", "two")]
    held(site, set(names))
    (site.sendmail.folder / "repaired").touch()
    entries = {each["place"].rpartition("/qf")[2]: each["id"] for each in site.desk.entries()}
    assert site.desk.ask("quarantine", "release", entries[names[0]]) == f"{entries[names[0]]}: done\n"
    site.sendmail.delivered(names[0])
    site.desk.ask("quarantine", "delete", "--yes", entries[names[1]])
    site.desk.await_state(entries[names[1]], "deleted")
    eventually(lambda: not list(site.sendmail.queue.glob("?f*")), site.log)


def test_the_sidecar_killed_again_and_again_loses_nothing(site: GuardedSendmail) -> None:
    """SIGKILL at any time: what kills is quarantined, each with one entry; what does not is delivered."""
    chance = random.Random(7)
    killers = [site.send(each, f"{each}{number}") for number in range(2) for each in KILLERS]
    good = [site.send(name=f"good{number}") for number in range(10)]
    for _ in range(6):
        time.sleep(chance.uniform(0.2, 1.5))
        site.end_sidecar(signal.SIGKILL)
        site.start_sidecar()
    until = time.monotonic() + DEADLINE
    while site.sendmail.queued("hf") != set(killers):
        assert time.monotonic() < until, site.log()
        time.sleep(0.2)
    held(site, set(killers))
    for each in good:
        site.sendmail.delivered(each)
    assert len(site.sendmail.files()) == len(good)
    places = [each["place"].rpartition("/qf")[2] for each in site.desk.entries("--all")]
    assert sorted(places) == sorted(killers)
