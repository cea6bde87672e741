"""When an entry's message is found in the queue, and when it is given up, whatever the clocks say."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from forebay.records import Records
from forebay.store.engine import Store
from forebay.store.entries import get
from forebay.store.hands import Hands
from forebay.store.intake import Intake
from forebay.store.ledger import Held, Ledger
from forebay.store.queues import HOLD, Queued, is_unique
from unit.store.stores import record

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.records import Record

LONG, SHORT = "4c0pTK2BHdz9rwK", "8E3582167BC"


class HoldQueue:
    """A hold queue that is a list of messages."""

    def __init__(self) -> None:
        self.held: list[Queued] = []
        self.looks = 0
        self.slowness = 0.0

    def listed(self) -> dict[str, Queued]:
        self.looks += 1
        time.sleep(self.slowness)
        return {each.queue_id: each for each in self.held}

    def release(self, held: Queued) -> None:
        raise AssertionError("nobody has asked for that")

    def delete(self, held: Queued) -> None:
        raise AssertionError("nobody has asked for that")

    def message(self, held: Queued) -> bytes:
        raise AssertionError("nobody has asked for that")


class Kit:
    """A store with one entry, and the hands that look for its message."""

    def __init__(self, folder: Path, made: Record) -> None:
        self.queue = HoldQueue()
        records = Records(folder / "records")
        records.make()
        self._entry = made.id
        self._store = Store(f"sqlite:///{folder}/store.db")
        self._records = records
        self.announce(made)
        ledger = Ledger(folder)
        self._hands = Hands(
            "a", self._store, records, os.geteuid(), ledger, {"postfix": self.queue}, grace=60.0
        )  # fmt: skip

    def announce(self, made: Record) -> None:
        """Another message that the milter has held."""
        self._records.write(made)
        Intake(self._store, self._records, os.geteuid(), 20).take()

    def turn(self) -> None:
        """Let them do what there is to do."""
        self._hands.turn()

    def look(self) -> str:
        """Let them look; the entry's state then."""
        self._hands._look_at = 0.0
        self.turn()
        with self._store.read() as db:
            return get(db, self._entry).state


def test_a_clock_that_jumps_ahead_gives_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is still on its way into the queue is awaited for as long as ever, and found then."""
    now = time.time()
    kit = Kit(tmp_path, record(at=now, queue_id=SHORT))
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    assert kit.look() == "announced"
    kit.queue.held = [Queued(HOLD, SHORT, "jane@example.org", int(now), 500)]
    assert kit.look() == "held"


def test_what_does_not_come_has_vanished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that other milters are given."""
    kit = Kit(tmp_path, record(at=time.time(), queue_id=SHORT))
    assert kit.look() == "announced"
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert kit.look() == "vanished"


@pytest.mark.parametrize(("queue_id", "state"), [(LONG, "held"), (SHORT, "announced")])
def test_a_queue_id_that_never_comes_again_is_enough(tmp_path: Path, queue_id: str, state: str) -> None:
    """The clock was set back between its arrival and its verdict; a short id may be another message's by then."""
    now = time.time()
    kit = Kit(tmp_path, record(at=now - 7200, queue_id=queue_id))
    kit.queue.held = [Queued(HOLD, queue_id, "jane@example.org", int(now), 500)]
    assert kit.look() == state


@pytest.mark.parametrize(("slowness", "often"), [(0.0, True), (1.0, False)])
def test_a_queue_that_is_slow_to_list_is_listed_less_often(tmp_path: Path, slowness: float, often: bool) -> None:
    """While mail is held again and again, looking at thousands of messages must not be all that is done."""
    kit = Kit(tmp_path, record(at=time.time(), queue_id=SHORT))
    kit.queue.slowness = slowness
    for _ in range(5):
        kit.turn()
        time.sleep(0.1)
    assert (kit.queue.looks > 1) is often


def test_what_is_held_already_is_gone_through_once_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come: a ledger of 20,000 messages that was read for each new one took all of a clerk's time."""
    kit = Kit(tmp_path, record(at=time.time(), queue_id=SHORT))
    kit.queue.held = [Queued(HOLD, SHORT, "jane@example.org", int(time.time()), 500)]
    read: list[int] = []
    whole = Ledger.held

    def counted(ledger: Ledger) -> dict[str, Held]:
        found = whole(ledger)
        read.append(len(found))
        return found

    monkeypatch.setattr(Ledger, "held", counted)
    assert kit.look() == "held"
    assert read == [1]
    for number in range(5):
        kit.announce(record(number + 1, at=time.time(), queue_id=f"8E358216{number:03}"))
    read.clear()
    kit.look()
    assert read == [1]


def test_long_ids_are_told_from_short_ones() -> None:
    """By the letter that divides time and inode."""
    assert is_unique(LONG)
    assert not any(map(is_unique, (SHORT, "3Zz9", "wAR1m0Zf004242", "", "z" * 8)))
