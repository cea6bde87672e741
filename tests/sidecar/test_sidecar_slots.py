"""Slots: whose leaf it is while an end is dealt with."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.fixture
def pair() -> Iterator[list[int]]:
    """Two processes; one that is just becoming a program has no command line."""
    command = [sys.executable, "-c", "print(input(), flush=True); input()"]
    made = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) for _ in range(2)]
    for each in made:
        assert each.stdin
        assert each.stdout
        each.stdin.write(b"begun\n")
        assert each.stdout.readline() == b"begun\n"
    yield [each.pid for each in made]
    for each in made:
        each.communicate(b"\n")


def test_one_that_comes_while_another_ends_gets_a_leaf_of_its_own(pair: list[int]) -> None:
    """Records that are read for a verdict may tell of a new worker: the dead one's leaf, which is ended, is not for it."""
    tree = Tree(pair)
    adapter = Spool(Site(spool=("/nonexistent",)))
    bounding = Bounding(Router(), adapter, 0)
    roster = Roster(cast("Enforcement", tree), adapter, bounding, "", lambda _: None, lambda _: None)
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
