"""Who is in a roster: whose leaf it is while an end is dealt with, and whose children may be workers."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from forebay.api.process import process
from forebay.api.router import Site
from forebay.config_router import Router
from forebay.sidecar.bounding import Bounding
from forebay.sidecar.limits.leaf import Counters, Enforcement
from forebay.sidecar.roster import Roster
from forebay.sidecar.routers.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.sidecar.limits.leaf import Bounds

import pytest


@dataclass
class Leaf:
    """A leaf of nothing but a list."""

    slot: int
    held: list[int] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    def add(self, pid: int) -> bool:
        self.held.append(pid)
        return True


class Tree:
    """As much of an enforcement as a roster needs to take in who is known by a claim."""

    def __init__(self, router: list[int]) -> None:
        self.leaves: dict[int, Leaf] = {}
        self.router = router

    def router_pids(self) -> list[int]:
        return self.router

    def leaf(self, slot: int, _bounds: Bounds | None = None) -> Leaf:
        return self.leaves.setdefault(slot, Leaf(slot))

    def drop(self, slot: int) -> bool:
        return self.leaves.pop(slot, None) is not None


@contextmanager
def processes(count: int) -> Iterator[list[int]]:
    """So many of them; one that is just becoming a program has no command line."""
    made = [subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) for _ in range(count)]
    for each in made:
        assert each.stdin
        assert each.stdout
        each.stdin.write(b"begun\n")
        assert each.stdout.readline() == b"begun\n"
    try:
        yield [each.pid for each in made]
    finally:
        for each in made:
            each.communicate()


def roster_of(router: list[int]) -> Roster:
    """A roster of a router that has these processes."""
    adapter = Spool(Site(spool=("/nonexistent",)))
    bounding = Bounding(Router(), adapter, 0)
    return Roster(cast("Enforcement", Tree(router)), adapter, bounding, "", lambda _: None, lambda _: None)


@pytest.fixture
def pair() -> Iterator[list[int]]:
    """Two processes."""
    with processes(2) as found:
        yield found


def test_one_that_comes_while_another_ends_gets_a_leaf_of_its_own(pair: list[int]) -> None:
    """Records that are read for a verdict may tell of a new worker: the dead one's leaf, which is ended, is not for it."""
    roster = roster_of(pair)
    roster.claimed_by(pair[0])
    first = roster.workers[pair[0]]
    assert process(pair[0])
    roster.gone(first)
    roster.claimed_by(pair[1])
    assert roster.workers[pair[1]].leaf.slot != first.leaf.slot
    roster.drop(first.leaf.slot)
    assert roster.free_slot() == first.leaf.slot
    first.close()
    roster.workers[pair[1]].close()


def test_of_many_idle_workers_nobody_asks_whose_children_are_workers() -> None:
    """Up to eight that never had a message may each be the router's first process; with one more they are its workers."""
    with processes(9) as pids:
        roster = roster_of(pids)
        for pid in pids[:8]:
            roster.claimed_by(pid)
        assert roster.parents() == set(pids[:8])
        assert all(roster.may_start_workers(pid) for pid in pids[:8])
        roster.claimed_by(pids[8])
        assert roster.parents() == set()
        assert not any(roster.may_start_workers(pid) for pid in pids)
        roster.workers[pids[8]].has_held = True  # a worker for sure, and of the others one may be the first again
        assert roster.parents() == set(pids[:8])
        roster.workers[pids[0]].starts_workers = True
        assert roster.parents() == set(pids[:8])
        for each in roster.workers.values():
            each.close()
