"""A copy of what is on trial that somebody has in hand is not withheld: he would deliver it, and later it would come again."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest

from forebay.sidecar.holders import Holders
from forebay.sidecar.keeping import Keeping
from forebay.sidecar.openlog import OpenLog
from sidecar.cases_kit import begin, put
from sidecar.told_kit import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from forebay.api.router import Message
    from forebay.sidecar.listening import Listening
    from forebay.sidecar.roster import Roster
    from sidecar.cases_kit import Kit


class Fresh:
    """As much of a listening as tells who was forked just now, and what he has opened."""

    def __init__(self, openlog: OpenLog | None, pid: int) -> None:
        self.openlog = openlog
        self.fresh = {pid}


class NoRoster:
    """Nobody is known as a worker yet."""

    workers: dict[int, object] = {}  # noqa: RUF012 - stays empty


@contextmanager
def forked(path: Path) -> Iterator[tuple[int, Callable[[str], None]]]:
    """A process that opens a file, and lets go of it or finishes it first, by its name, as a router does; as it is told."""
    held: list[int] = []

    def act(word: str) -> None:
        if word == "open":
            held.append(os.open(path, os.O_RDONLY))
            return
        if word == "finish":
            path.unlink()
        os.close(held.pop())

    with told(act) as (pid, tell):
        yield pid, tell


@contextmanager
def guarded(root: Path, pid: int, *, is_recorded: bool) -> Iterator[tuple[Kit, Holders]]:
    """Cases of a killer that was struck once, and whoever has something in hand of what this process opens."""
    put(root, "killer", "same")
    kit = begin(root)
    log = OpenLog(kit.adapter) if is_recorded else None
    if log:
        log.fresh = {pid}
    holders = Holders(cast("Listening", Fresh(log, pid)), Keeping(kit.adapter))
    holders.roster = cast("Roster", NoRoster())
    kit.journal.close()
    kit = begin(root, is_held=holders.is_held, is_in_hand=holders.is_in_hand)
    kit.strike("killer")
    yield kit, holders
    if log:
        log.close()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_what_a_process_has_that_was_forked_just_now(tmp_path: Path, is_recorded: bool) -> None:
    """Nobody knows of it yet that it is a worker, and it has a copy open: it goes on with it, and what waits is withheld."""
    copy, waiting = put(tmp_path, "copy", "same"), put(tmp_path, "waiting", "same")
    with forked(copy) as (pid, tell), guarded(tmp_path, pid, is_recorded=is_recorded) as (kit, holders):
        tell("open")
        message = kit.message("copy")
        kit.cases.look_for_copies([str(copy), str(waiting)], is_new=True)
        assert copy.exists()
        assert not waiting.exists()
        assert holders.is_in_hand(message)
        assert not holders.is_held(message)  # a verdict is made of what workers are known to have
        tell("finish")
        assert not holders.is_in_hand(message)


def test_what_is_taken_up_while_it_is_moved_is_put_back_at_once(tmp_path: Path) -> None:
    """Between the last look and the rename somebody opens it: he finds it where he has read it, and finishes it."""
    copy = put(tmp_path, "copy", "same")
    with forked(copy) as (pid, tell), guarded(tmp_path, pid, is_recorded=True) as (first, holders):
        looks: list[str] = []

        def is_in_hand(message: Message) -> bool:
            found = holders.is_in_hand(message)
            looks.append(message.path)
            if len(looks) == 2:
                tell("open")
            return found

        first.journal.close()
        kit = begin(tmp_path, is_held=holders.is_held, is_in_hand=is_in_hand)
        kit.cases.look_for_copies([str(copy)], is_new=True)
        assert looks[:2] == [str(copy)] * 2
        assert looks[2] != str(copy)
        assert copy.exists()
        kit.settle()
        assert copy.exists()
        tell("finish")
        kit.settle()
        assert kit.journal.withheld() == []


def test_what_is_let_go_of_is_withheld_then(tmp_path: Path) -> None:
    """Whoever had it has not finished it: it waits for the trial like the others."""
    copy = put(tmp_path, "copy", "same")
    with forked(copy) as (pid, tell), guarded(tmp_path, pid, is_recorded=True) as (kit, _):
        tell("open")
        kit.cases.look_for_copies([str(copy)])
        assert kit.journal.withheld() == []
        tell("let go")
        kit.settle()
    assert not copy.exists()
    assert [each.original for each in kit.journal.withheld()] == [str(copy)]
