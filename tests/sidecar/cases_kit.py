"""Cases without processes: a spool of files, the real journal, adapter, examiner, quarantine; strikes are called."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.api.router import Adapter, Confidence, Holding, Message, Site
from forebay.config import Config
from forebay.sidecar import requests
from forebay.sidecar.aside import Aside
from forebay.sidecar.cases import Cases, Rules
from forebay.sidecar.examine import Examiner
from forebay.sidecar.fuse import Fuse
from forebay.sidecar.journal import Journal
from forebay.sidecar.metering import Meter
from forebay.sidecar.routers.spool import Spool
from forebay.sidecar.verdict import Verdict
from forebay.sidecar.withhold import Withholding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Kit:
    """One life of the part of the sidecar that decides about messages."""

    root: Path
    journal: Journal
    adapter: Adapter
    aside: Aside
    cases: Cases
    rules: Rules

    def message(self, name: str) -> Message:
        """A message in the spool by its name."""
        found = self.adapter.message(str(self.root / "spool" / name))
        assert found
        return found

    def strike(self, name: str, verdict: Verdict = Verdict.MEMORY) -> None:
        """A worker's end is laid to this message."""
        self.cases.strike(Holding(self.message(name), Confidence.CERTAIN, "test"), verdict, {})

    def settle(self) -> None:
        """What the sidecar does every second."""
        self.cases.settle()
        self.cases.look_for_copies(self.adapter.paths())
        requests.carry_out(self.journal, self.aside, self.rules.strikes, self.cases.fuse.reset)

    def ask(self, kind: str, entry: str) -> None:
        """What a person does."""
        requests.ask(self.journal, kind, entry, "somebody")


def begin(
    root: Path, step: Callable[[str], None] = lambda _: None, fuse: int = 0, observe: bool = False,
    examiner: Examiner | None = None, kind: type[Adapter] = Spool, is_held: Callable[[Message], bool] = lambda _: False,
    is_in_hand: Callable[[Message], bool] = lambda _: False,
) -> Kit:  # fmt: skip
    """Begin a life of the sidecar at this place."""
    (root / "spool").mkdir(exist_ok=True)
    (root / "state-sidecar").mkdir(exist_ok=True)
    adapter = kind(Site(spool=(str(root / "spool"),)))
    journal = Journal(root / "state-sidecar", step)
    directory = str(root / "spool" / "forebay-aside")
    aside = Aside(journal, adapter, directory, lambda _: None, step)
    withholding = Withholding(journal, adapter, directory, is_in_hand, step)
    rules = Rules(observe=observe)
    cases = Cases(
        rules, journal, adapter, examiner or Examiner(Config(), adapter), Fuse(fuse), aside, withholding, Meter(),
        is_held,
    )  # fmt: skip
    cases.begin()
    return Kit(root, journal, adapter, aside, cases, rules)


def put(root: Path, name: str, text: str) -> Path:
    """A message in the spool. `text` is its subject, and so what makes it a copy of another one."""
    (root / "spool").mkdir(exist_ok=True)
    path = root / "spool" / name
    path.write_text(
        f"Return-Path: <a@example.org>\nFrom: a@example.org\nDate: Thu, 26 Nov 2026 01:00:00 +0000\nSubject: {text}\n"
        f"Message-ID: <{text}@example.org>\nTo: b@example.com\n\n{name} at {time.time()}\n"
    )
    return path


def everywhere(root: Path) -> Iterator[Path]:
    """Every message file, wherever it lies; evidence and half copies are none."""
    yield from (path for path in (root / "spool").rglob("*") if path.is_file() and path.suffix not in {".json", ".new"})
