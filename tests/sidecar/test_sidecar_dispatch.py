"""What the adapter `command` remembers of messages that wait."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from forebay.api.router import Confidence, Holding
from forebay.sidecar.dispatch import Dispatch
from forebay.sidecar.spawn import Heritage
from forebay.sidecar.verdict import Verdict
from sidecar.cases_kit import begin, put

if TYPE_CHECKING:
    from pathlib import Path


def test_who_takes_a_deferred_message_away_leaves_nothing_behind(tmp_path: Path) -> None:
    """It waits its minute; once it has left the spool nothing is kept of it, and put back it is tried at once."""
    kit = begin(tmp_path)
    started: list[str] = []

    def launched(pid: int, _: int, holding: Holding) -> None:
        os.waitpid(pid, 0)
        started.append(holding.message.path)

    roster = SimpleNamespace(workers={}, free_slot=lambda: 0, launched=launched)
    enforcement = SimpleNamespace(leaf=lambda _: None, enter=lambda _: None)
    parts: Any = (("true", "{}"), kit.adapter, enforcement, roster, 1, Heritage(0))
    dispatch = Dispatch(*parts)
    put(tmp_path, "slow", "slow")
    message, place = kit.message("slow"), tmp_path / "spool" / "slow"
    worker: Any = SimpleNamespace(launched=Holding(message, Confidence.CERTAIN, "launched"))
    dispatch.finished(worker, Verdict.DEFERRED)
    dispatch.fill()
    assert not started
    assert len(dispatch._deferred) == 1
    away = place.rename(tmp_path / "away")
    dispatch.fill()
    assert not dispatch._deferred
    away.rename(place)
    dispatch.fill()
    assert started == [str(place)]
