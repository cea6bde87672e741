"""Copies of a killer that somebody has taken up: let alone, unless they have arrived just now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.config import Config
from forebay.sidecar.examine import Examiner
from sidecar.cases_kit import begin, put

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_in_hand_is_left_there_unless_it_is_new(tmp_path: Path) -> None:
    """Who has a copy of what is convicted for a second lives with it, it seems; who has it since now would die of it."""
    kit = begin(tmp_path, is_held=lambda message: message.path.endswith("copy"))
    put(tmp_path, "killer", "same")
    kit.strike("killer")
    kit.strike("killer")
    copy = put(tmp_path, "copy", "same")
    kit.cases.look_for_copies([str(copy)])
    assert copy.exists()
    kit.cases.look_for_copies([str(copy)], is_new=True)
    assert not copy.exists()
    assert [each.cause for each in kit.journal.entries("aside")] == ["memory", "copy"]


def test_a_copy_of_what_is_on_trial_is_never_taken_out_of_a_hand(tmp_path: Path) -> None:
    """One strike proves nothing: who has a copy goes on with it, and only what waits is withheld."""
    kit = begin(tmp_path, is_held=lambda message: message.path.endswith("copy"))
    put(tmp_path, "killer", "same")
    kit.strike("killer")
    copy, waiting = put(tmp_path, "copy", "same"), put(tmp_path, "waiting", "same")
    kit.cases.look_for_copies([str(copy), str(waiting)], is_new=True)
    assert copy.exists()
    assert not waiting.exists()
    assert kit.journal.entries() == []


def test_what_a_worker_renames_meanwhile_is_read_where_it_is(tmp_path: Path) -> None:
    """A claim by name comes between a look and a reading: no copy counts as a killer of its own for that."""
    kit = begin(tmp_path)
    examiner = Examiner(Config(), kit.adapter)
    path = put(tmp_path, "copy", "same")
    message = kit.message("copy")
    path.rename(path.with_name("copy-4711"))
    assert examiner.examine(message).exact


def test_what_could_not_be_read_once_is_read_again(tmp_path: Path) -> None:
    """Nothing is remembered of a message that was nowhere for a moment."""
    kit = begin(tmp_path)
    examiner = Examiner(Config(), kit.adapter)
    path = put(tmp_path, "copy", "same")
    message = kit.message("copy")
    path.rename(path.with_name(".hidden"))
    assert examiner.examine(message).digests == ()
    path.with_name(".hidden").rename(path)
    assert examiner.examine(message).exact
