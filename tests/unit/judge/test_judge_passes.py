"""Passes: each is used once at each door, whoever asks, and nobody is led out of the directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from forebay.judge import passes
from forebay.judge.passes import SMTP, SPOOL

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = b"1" * 16, b"2" * 16


def test_each_door_lets_it_pass_once(tmp_path: Path) -> None:
    """Laid out again and again, a used pass stays used; this host's own is for its spool alone."""
    given = [(ONE.hex(), "entry1", False), (TWO.hex(), "entry2", True)]
    for expected in ("entry1", ""):
        passes.renew(tmp_path, given)
        assert [passes.take(tmp_path, door, ONE) for door in (SMTP, SPOOL)] == [expected] * 2
    assert passes.take(tmp_path, SMTP, TWO) == ""
    assert passes.take(tmp_path, SPOOL, None) == ""
    assert passes.take(tmp_path, SPOOL, TWO) == "entry2"


def test_two_of_the_same_message_pass_twice(tmp_path: Path) -> None:
    """Two copies that were both released have a pass each."""
    for entry in ("entry1", "entry2"):
        passes.offer(tmp_path, ONE.hex(), entry)
    assert {passes.take(tmp_path, SPOOL, ONE) for _ in range(2)} == {"entry1", "entry2"}
    assert passes.take(tmp_path, SPOOL, ONE) == ""


def test_what_is_over_is_removed(tmp_path: Path) -> None:
    """A pass that the store has no more is gone, used or not."""
    passes.renew(tmp_path, [(ONE.hex(), "entry1", False)])
    passes.take(tmp_path, SMTP, ONE)
    passes.renew(tmp_path, [])
    assert [each.name for each in (tmp_path / "passes").rglob("*")] == ["used"]
    assert passes.take(tmp_path, SPOOL, ONE) == ""


def test_only_one_of_many_gets_it(tmp_path: Path) -> None:
    """Workers that ask at once, for twenty passes: each is given to one of them."""
    passes.renew(tmp_path, [(ONE.hex(), f"entry{number}", False) for number in range(20)])
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            os._exit(sum(bool(passes.take(tmp_path, SMTP, ONE)) for _ in range(40)))
        children.append(child)
    assert sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == 20


def test_no_link_leads_out_of_the_directory(tmp_path: Path) -> None:
    """The directory belongs to the milter's user, and the sidecar is root: a link in place of a directory is no pass."""
    passes.offer(tmp_path, ONE.hex(), "entry1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "passes/used").rmdir()
    (tmp_path / "passes/used").symlink_to(elsewhere)
    assert passes.take(tmp_path, SPOOL, ONE) == ""
    assert not list(elsewhere.iterdir())


def test_without_a_directory_nothing_passes(tmp_path: Path) -> None:
    """The state of a milter that never ran has no passes, and nothing is raised."""
    assert passes.take(tmp_path / "missing", SPOOL, ONE) == ""
