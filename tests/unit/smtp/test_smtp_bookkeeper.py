"""The keeper's books: what a flood of quarantined mail costs beside the mail."""

from __future__ import annotations

import time
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from forebay.config import load
from forebay.records import DIRECTORY, Records
from forebay.smtp.bookkeeper import REST, Bookkeeper
from unit.store.stores import record

if TYPE_CHECKING:
    from pathlib import Path


class Count:
    """Nobody asks for it."""

    def inc(self, by: float = 1) -> None:
        """One more."""


def test_records_of_a_flood_share_transactions(tmp_path: Path) -> None:
    """The first is taken at once; what comes within a moment of it waits, and is taken together."""
    path = tmp_path / "forebay.toml"
    path.write_text(f'[milter]\nstate = "{tmp_path}"\n')
    config = load(str(path))
    records = Records(tmp_path / DIRECTORY)
    records.make()
    metrics: Any = SimpleNamespace(intake=defaultdict(Count))
    books = Bookkeeper(config, None, metrics)  # type: ignore[arg-type]  # nobody is told
    now = time.monotonic()
    taken = []
    for number in range(7):
        records.write(record(number))
        books._take(now + number * REST / 3)
        taken.append(len(records.kept()))
    assert taken == [1, 1, 1, 4, 4, 4, 7]
