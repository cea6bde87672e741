"""Whether the store is kept: what the clerk notes, and who believes it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from forebay.sidecar import standing
from forebay.sidecar.standing import Standing
from forebay.sidecar.statusfile import rows

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_noted_is_told_until_it_changes(tmp_path: Path) -> None:
    """Nothing before the first word; then that it is kept, why it is not, and that it is again."""
    assert standing.read(tmp_path) == standing.STARTING
    mine = Standing(tmp_path)
    for error, told in (("", "kept"), ("away\x1b[2J", r"not kept: away\x1b[2J"), ("", "kept")):
        mine.note(error)
        written = (tmp_path / standing.NAME).stat().st_mtime_ns
        mine.note(error)
        assert standing.read(tmp_path) == told
        assert (tmp_path / standing.NAME).stat().st_mtime_ns == written


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}', '{"pid": "x", "started": 0}', "\xff", "9" * 9999])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    """Nothing is raised, and nothing is believed."""
    (tmp_path / standing.NAME).write_text(text, "latin-1")
    assert standing.read(tmp_path) == standing.STARTING


def test_the_word_of_a_clerk_that_is_gone_does_not_count(tmp_path: Path) -> None:
    """One that was killed keeps nothing; a process of another time with its pid is another one."""
    Standing(tmp_path).note()
    found = json.loads((tmp_path / standing.NAME).read_bytes())
    assert found["pid"] == os.getpid()
    (tmp_path / standing.NAME).write_text(json.dumps(found | {"started": found["started"] + 1}))
    assert standing.read(tmp_path) == standing.STARTING


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The clerk goes on, and says it when it can."""
    mine = Standing(tmp_path / "missing")
    mine.note()
    (tmp_path / "missing").mkdir()
    mine.note()
    assert standing.read(tmp_path / "missing") == standing.KEPT


def test_a_sidecar_of_before_has_no_such_line() -> None:
    """`forebay status` of a new version reads what a sidecar wrote that was started before the upgrade."""
    said = {
        "state": "guarding", "pid": 1, "mode": "guard", "gate": True, "adapter": "spool", "workers": 1, "spool": 0, "limits": "rlimit",
        "memory": 0, "memory_limit": 0, "claims": [], "aside": 0, "withheld": 0, "fuse_blown_since": 0, "lacking": [],
    }  # fmt: skip
    assert "store" not in dict(rows(said))
    assert dict(rows(said | {"store": "kept"}))["store"] == "kept"
