"""A model of who holds what, compared with the real thing over any order of claims, deaths, restarts and pids used again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from forebay.api.process import process, state
from forebay.api.router import Site
from forebay.config import Config
from forebay.sidecar import exits
from forebay.sidecar.bounding import Times
from forebay.sidecar.claimpage import ClaimPage
from forebay.sidecar.claims import Claims
from forebay.sidecar.ending import Ending
from forebay.sidecar.examine import Examiner
from forebay.sidecar.keeping import Keeping
from forebay.sidecar.limits.leaf import Bounds
from forebay.sidecar.limits.rlimit import ProcessLeaf
from forebay.sidecar.metering import Meter
from forebay.sidecar.routers.spool import Spool
from forebay.sidecar.service import Service
from forebay.sidecar.verdict import LOSSES
from forebay.sidecar.worker import Worker
from sidecar.cases_kit import begin, put
from sidecar.pids_kit import Taker
from unit.growth import LONG

EXAMINER: Final = Examiner(Config(), Spool(Site(spool=("/nonexistent",))))
FATES: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGKILL, 0, 75, 1)
STRIKES: Final = {signal.SIGSEGV, signal.SIGABRT, 1}
MOST_WORKERS: Final = 4
KERNEL_TELLS: Final = exits.kernel_tells()
"""Whether the status of a process can be had that its parent has reaped (Linux 6.15)."""


class Workers(RuleBasedStateMachine):
    """Real processes that take messages; no message is like another, so each is struck for its own killings only."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="forebay-pids-"))
        self.takers: dict[int, Taker] = {}
        self.holds: dict[int, str] = {}
        self.strikes: dict[str, int] = {}
        self.losses: dict[str, int] = {}
        self.identities: dict[str, bytes] = {}
        self.free: list[int] = []
        self.slots: dict[int, int] = {}
        self.start()

    def start(self) -> None:
        """A life of the sidecar begins: it adopts who lives, and looks at the records of the one before."""
        self.kit = begin(self.root, examiner=EXAMINER)
        self.page = ClaimPage(self.root / "state-sidecar" / "claims")
        self.claims = Claims(self.kit.adapter, None, lambda _: False, Keeping(self.kit.adapter))
        self.ending = Ending(self.kit.adapter, self.claims, self.kit.cases, Meter(), "rlimit", lambda *_: None)
        self.roster: dict[int, Worker] = {}
        for pid, slot in self.slots.items():
            self.adopt(pid, slot)
        of_old = SimpleNamespace(
            _page=self.page,
            _adapter=self.kit.adapter,
            cases=self.kit.cases,
            roster=SimpleNamespace(workers=self.roster),
        )
        Service._settle_start(of_old)  # type: ignore[arg-type] # all that it uses
        for pid in self.takers:
            if pid not in self.slots:
                self.adopt(pid, self.slot())

    def stop(self) -> None:
        """It ends, from one moment to the next."""
        for worker in self.roster.values():
            worker.close()
        self.roster.clear()
        self.kit.journal.close()

    def teardown(self) -> None:
        for taker in self.takers.values():
            taker.end(signal.SIGKILL, reap=True)
        self.stop()
        shutil.rmtree(self.root)

    def adopt(self, pid: int, slot: int) -> None:
        """Take a process in as a worker, and look at what it holds."""
        found = process(pid)
        assert found
        self.slots[pid] = slot
        leaf = ProcessLeaf(slot, Bounds(0, 0))
        assert leaf.add(pid)
        self.roster[pid] = Worker(found, leaf, os.pidfd_open(pid), (Bounds(0, 0), Times(0, 0)))
        self.look(pid)

    def look(self, pid: int) -> None:
        """What the guard does in a sweep."""
        worker = self.roster[pid]
        worker.hold(self.claims.of(worker))
        self.page.note(worker)

    def one_of(self, data: st.DataObject, pids: dict[int, Any]) -> int:
        """One of these: by its place, since pids are others in every run."""
        return list(pids)[data.draw(st.integers(0, len(pids) - 1))]

    def message(self, name: str) -> Path:
        return self.root / "spool" / name

    def slot(self) -> int:
        """The lowest that nobody has."""
        taken = {worker.leaf.slot for worker in self.roster.values()}
        return next(slot for slot in range(MOST_WORKERS + 1) if slot not in taken)

    # -- what happens --

    @precondition(lambda self: len(self.takers) < MOST_WORKERS)
    @rule(again=st.booleans())
    def begin_worker(self, again: bool) -> None:
        """The router forks one; its pid may be one that a dead worker had."""
        pid = self.fork(again)
        self.adopt(pid, self.slot())

    def fork(self, again: bool) -> int:
        wanted = self.free.pop() if again and self.free else 0
        try:
            taker = Taker.begin(wanted)
        except FileExistsError:  # another program of this machine was faster
            taker = Taker.begin()
        self.takers[taker.pid] = taker
        return taker.pid

    @precondition(lambda self: self.takers)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        """A worker takes a message: a new one, or one that is there and nobody has."""
        pid = self.one_of(data, self.takers)
        there = sorted(name for name in self.identities if self.message(name).exists())
        name = data.draw(st.sampled_from([*(each for each in there if each not in self.holds.values()), "new"]))
        if name == "new":
            name = f"m{len(self.identities)}"
            put(self.root, name, name)
            self.identities[name] = self.kit.message(name).identity
        self.takers[pid].take(self.message(name))
        self.holds[pid] = name
        self.look(pid)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), is_routed=st.booleans())
    def let_go(self, data: st.DataObject, is_routed: bool) -> None:
        """A worker is done with its message, or puts it off."""
        pid = self.one_of(data, self.holds)
        name = self.holds.pop(pid)
        self.takers[pid].drop()
        if is_routed:
            self.message(name).unlink()
        self.look(pid)

    @precondition(lambda self: self.takers)
    @rule(data=st.data(), how=st.sampled_from(FATES), again=st.booleans())
    def die(self, data: st.DataObject, how: signal.Signals | int, again: bool) -> None:
        """A worker dies; before the sidecar knows of it, its pid may belong to another process, which is no worker yet."""
        pid = self.one_of(data, self.takers)
        name = self.holds.pop(pid, "")
        self.takers.pop(pid).end(how, reap=again)
        worker = self.roster.pop(pid)
        del self.slots[pid]
        self.free.append(pid)
        stranger = self.fork(again=True) if again else 0
        self.ending.ended(worker)
        self.page.clear(worker.leaf.slot)
        if name:
            is_unknown = again and not KERNEL_TELLS  # somebody else has reaped it: a loss, and no more
            self.blame(name, is_strike=how in STRIKES and not is_unknown, is_loss=how == 0 or is_unknown)
        if stranger:
            assert state(stranger)
            assert stranger not in self.roster
            self.adopt(stranger, self.slot())

    @rule(data=st.data(), how=st.sampled_from(FATES), again=st.booleans())
    def restart(self, data: st.DataObject, how: signal.Signals | int, again: bool) -> None:
        """The sidecar is away for a moment; meanwhile workers die, and their pids may go to others."""
        self.stop()
        dead = [pid for pid in self.takers if data.draw(st.booleans())]
        lost = [self.holds.pop(pid, "") for pid in dead]
        for pid in dead:
            self.takers.pop(pid).end(how, reap=True)
            del self.slots[pid]
            self.free.append(pid)
            if again:
                self.fork(again=True)
        for name in filter(None, lost):
            self.blame(name, is_strike=False, is_loss=True)
        self.start()

    @rule()
    def second(self) -> None:
        """A second goes by."""
        self.kit.settle()

    def blame(self, name: str, *, is_strike: bool, is_loss: bool) -> None:
        """What the death of a worker does to the message in its hands."""
        if is_loss:
            self.losses[name] = self.losses.get(name, 0) + 1
            is_strike = self.losses[name] % LOSSES == 0
        if is_strike:
            self.strikes[name] = self.strikes.get(name, 0) + 1

    # -- what has to hold --

    @invariant()
    def each_is_blamed_for_its_own(self) -> None:
        """Strikes and losses are those of the model, message by message."""
        for name, identity in self.identities.items():
            record = self.kit.journal.record(identity)
            found = (record.strikes, record.losses) if record else (0, 0)
            assert found == (self.strikes.get(name, 0), self.losses.get(name, 0)), (name, record)

    @invariant()
    def who_has_two_strikes_is_aside(self) -> None:
        """And nobody else."""
        aside = {entry.original.rpartition("/")[2] for entry in self.kit.journal.entries("aside")}
        assert aside == {name for name, strikes in self.strikes.items() if strikes >= 2}
        assert not any(self.message(name).exists() for name in aside)

    @invariant()
    def nobody_is_killed_for_another(self) -> None:
        """Every process that was not ended lives."""
        for pid in self.takers:
            found = state(pid)
            assert found
            assert found.letter not in "ZX"


TestWorkers = Workers.TestCase
TestWorkers.__doc__ = "Any order of claims, deaths, restarts and pids that come again: each message is blamed for its own, no process ends for another."
TestWorkers.settings = settings(
    max_examples=500 if LONG else 30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_who_has_the_pid_of_a_dead_worker_is_not_of_its_leaf() -> None:
    """Without cgroups a leaf is a process and what it has started: it is known by its start, too."""
    first = Taker.begin()
    leaf = ProcessLeaf(0, Bounds(0, 0))
    assert leaf.add(first.pid)
    assert leaf.pids() == [first.pid]
    first.end(signal.SIGKILL, reap=True)
    second = Taker.begin(first.pid)
    try:
        assert leaf.pids() == []
        leaf.kill()
        second.drop()
    finally:
        second.end(signal.SIGKILL, reap=True)
