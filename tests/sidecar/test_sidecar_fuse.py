"""The fuse: many different killers at once mean that the router is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.sidecar.fuse import DISTINCT, HOUR, WINDOW, Fuse
from sidecar.cases_kit import begin, put

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_one_too_many_within_an_hour_blows_it() -> None:
    """Ten may be convicted; the eleventh is not, nor anything after it, until an hour of peace."""
    fuse = Fuse(10)
    for number in range(10):
        key = b"%d" % number
        assert fuse.allows(key, 100.0 + number)
        fuse.convicted(key, 100.0 + number)
    assert not fuse.allows(b"one more", 200.0)
    assert not fuse.allows(b"1", 201.0)
    assert fuse.blown == 200.0
    assert not fuse.settle(200.0 + HOUR)
    assert fuse.settle(201.0 + HOUR)
    assert fuse.allows(b"one more", 202.0 + HOUR)


def test_copies_of_one_killer_count_once() -> None:
    """A hundred convictions of one fingerprint are no broken router."""
    fuse = Fuse(10)
    for _ in range(100):
        assert fuse.allows(b"same", 1.0)
        fuse.convicted(b"same", 1.0)
    assert not fuse.blown


def test_convictions_are_forgotten_after_an_hour() -> None:
    """Ten an hour is what may be, not ten in all."""
    fuse = Fuse(10)
    for number in range(40):
        now = number * HOUR / 9
        assert fuse.allows(b"%d" % number, now)
        fuse.convicted(b"%d" % number, now)


def test_more_struck_than_good_blows_it() -> None:
    """Of the last twenty ended claims more than half struck, eight of them different."""
    fuse = Fuse(10)
    for number in range(20):
        fuse.ended(b"%d" % number if number % 2 else b"", 1.0)
    assert not fuse.blown
    fuse.ended(b"x", 2.0)
    fuse.ended(b"y", 2.0)
    assert fuse.blown


def test_one_killer_alone_never_blows_it() -> None:
    """Twenty strikes of fewer than eight fingerprints are a flood of one message, not a broken router."""
    fuse = Fuse(10)
    for number in range(100):
        fuse.ended(b"%d" % (number % 7), 1.0)
    assert not fuse.blown


def test_only_a_strike_blows_it() -> None:
    """A good end that makes the twentieth claim does not, whatever was before it: the next strike does."""
    fuse = Fuse(10)
    for number in range(WINDOW - 1):
        fuse.ended(b"%d" % number, 1.0)
    fuse.ended(b"", 2.0)
    assert not fuse.blown
    fuse.ended(b"one more", 3.0)
    assert fuse.blown == 3.0


def test_it_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the strike that blew it, and not again by what follows; after a reset anew."""
    kit = begin(tmp_path, fuse=DISTINCT)
    for number in range(2):
        for each in range(WINDOW + 5):
            name = f"m{number}-{each}"
            put(tmp_path, name, name)
            kit.strike(name)
        kit.cases.ended_well(WINDOW)
        kit.settle()
        assert caplog.text.count("the fuse has blown") == number + 1
        assert kit.journal.setting("fuse").partition(" ")[0] == str(kit.cases.fuse.blown)
        kit.cases.fuse.reset()


def test_it_is_told_where_one_only_observes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is moved anyway, but a router that is broken is one."""
    kit = begin(tmp_path, fuse=DISTINCT, observe=True)
    for each in range(WINDOW + 5):
        put(tmp_path, f"m{each}", f"m{each}")
        kit.strike(f"m{each}")
    assert caplog.text.count("the fuse has blown") == 1


def test_zero_switches_it_off() -> None:
    """The administrator's decision."""
    fuse = Fuse(0)
    for number in range(100):
        fuse.ended(b"%d" % number, 1.0)
        assert fuse.allows(b"%d" % number, 1.0)
        fuse.convicted(b"%d" % number, 1.0)


def test_it_survives_a_restart() -> None:
    """What the journal knows of the last hour counts on; a blown fuse stays blown."""
    fuse = Fuse(2)
    fuse.restore(0.0, 0.0, [(10.0, b"a"), (20.0, b"b")])
    assert not fuse.allows(b"c", 30.0)
    again = Fuse(2)
    again.restore(30.0, 30.0, [])
    assert not again.allows(b"d", 40.0)
