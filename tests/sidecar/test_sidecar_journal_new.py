"""A journal that is not there yet, and several who want it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import TYPE_CHECKING

from forebay.sidecar.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = 6


def test_whoever_finds_none_makes_one_and_all_have_the_same(tmp_path: Path) -> None:
    """Sidecar, clerk and a command may open it in the same moment after somebody has removed it: none of them fails."""
    together = Barrier(AT_ONCE)

    def open_it(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700, exist_ok=True)
        together.wait()
        with closing(Journal(folder)) as journal:
            return len(journal.entries())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(20):
            assert list(pool.map(open_it, [number] * AT_ONCE)) == [0] * AT_ONCE
