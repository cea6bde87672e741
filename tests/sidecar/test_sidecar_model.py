"""A model of strikes and claims, compared with the real thing over any order of events and restarts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from forebay.api.router import Site
from forebay.config import Config
from forebay.sidecar.examine import Examiner
from forebay.sidecar.routers.spool import Spool
from forebay.sidecar.verdict import Verdict
from sidecar.cases_kit import Kit, begin, everywhere, put

EXAMINER = Examiner(Config(), Spool(Site(spool=("/nonexistent",))))
KINDS = ("red", "green", "blue")


class Killers(RuleBasedStateMachine):
    """Messages of three kinds: those of one kind have one fingerprint. `strikes` is what the model counts of a kind."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="forebay-model-"))
        self.kit: Kit = begin(self.root, examiner=EXAMINER)
        self.number = 0
        self.kind: dict[str, str] = {}
        self.struck: dict[str, int] = {}
        self.strikes = dict.fromkeys(KINDS, 0)
        self.gone: set[str] = set()
        self.released: set[str] = set()

    def teardown(self) -> None:
        self.kit.journal.close()
        shutil.rmtree(self.root)

    @initialize()
    def innocent(self) -> None:
        """One message of a kind that nobody ever strikes."""
        put(self.root, "innocent", "white")

    @rule(target=names, kind=st.sampled_from(KINDS))
    def arrive(self, kind: str) -> str:
        """A message comes in."""
        self.number += 1
        name = f"m{self.number}"
        put(self.root, name, kind)
        self.kind[name] = kind
        return name

    def is_queued(self, name: str) -> bool:
        return (self.root / "spool" / name).exists()

    @rule(name=names)
    def kill(self, name: str) -> None:
        """A worker dies of it."""
        if self.is_queued(name):
            self.kit.strike(name, Verdict.CRASH)
            self.struck[name] = self.struck.get(name, 0) + 1
            self.strikes[self.kind[name]] += 1

    @rule(name=names)
    def route(self, name: str) -> None:
        """A worker is done with it."""
        if self.is_queued(name):
            (self.root / "spool" / name).unlink()
            self.gone.add(name)

    @rule()
    def second(self) -> None:
        """A second goes by."""
        self.kit.settle()
        self.kit.settle()

    @rule()
    def restart(self) -> None:
        """The sidecar ends and begins."""
        self.kit.journal.close()
        self.kit = begin(self.root, examiner=EXAMINER)

    @precondition(lambda self: self.kit.journal.entries("aside"))
    @rule(data=st.data(), kind=st.sampled_from(["release", "delete"]))
    def decide(self, data: st.DataObject, kind: str) -> None:
        """A person decides about an entry."""
        entry = data.draw(st.sampled_from(self.kit.journal.entries("aside")))
        name = entry.original.rpartition("/")[2]
        self.kit.ask(kind, entry.id)
        self.kit.settle()
        if kind == "delete":
            self.gone.add(name)
            assert not Path(entry.aside).exists()
        else:
            self.released.add(name)
            assert self.is_queued(name)

    @invariant()
    def nothing_is_lost_or_twice(self) -> None:
        """Every message that was not routed or deleted is in exactly one place."""
        found = [path.read_text().rpartition("\n\n")[2].split()[0] for path in everywhere(self.root)]
        assert sorted(found) == sorted({*self.kind, "innocent"} - self.gone)

    @invariant()
    def the_innocent_stays(self) -> None:
        """It is never moved, not even for a moment."""
        assert self.is_queued("innocent")

    @invariant()
    def who_is_struck_twice_is_aside(self) -> None:
        """Nobody with two strikes of his own stays in the queue, unless a person has put him back."""
        for name, strikes in self.struck.items():
            if strikes >= 2 and name not in self.released:
                assert not self.is_queued(name)

    @invariant()
    def nobody_is_aside_without_two_strikes_of_its_kind(self) -> None:
        """An entry has two strikes of its fingerprint behind it."""
        for entry in self.kit.journal.entries("aside"):
            assert self.strikes[self.kind[entry.original.rpartition("/")[2]]] >= 2


TestKillers = Killers.TestCase
TestKillers.__doc__ = "Any order of arrivals, deaths, routing, restarts and decisions keeps the invariants."
TestKillers.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
