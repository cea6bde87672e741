"""Moves between file systems, and a directory of what was set aside that somebody else has made."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.errors import JournalError
from forebay.sidecar import moves
from forebay.sidecar.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system than pytest's."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    assert folder.stat().st_dev != tmp_path.stat().st_dev
    yield folder
    shutil.rmtree(folder)


def test_a_copy_keeps_owner_mode_and_time(tmp_path: Path, elsewhere: Path) -> None:
    """Across file systems a message arrives as it was, and is gone where it was."""
    source, target = tmp_path / "message", elsewhere / "aside.msg"
    source.write_bytes(b"Subject: x\n\n" + b"y" * 3_000_000)
    os.chown(source, NOBODY, NOBODY)
    source.chmod(0o640)
    os.utime(source, ns=(1_000_000_007, 2_000_000_009))
    moves.move(str(source), str(target))
    found = target.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_mtime_ns) == (
        NOBODY,
        NOBODY,
        0o640,
        2_000_000_009,
    )
    assert found.st_size == 3_000_012
    assert not source.exists()
    assert [each.name for each in elsewhere.iterdir()] == ["aside.msg"]


def test_a_link_in_the_place_of_a_message_gives_nothing_away(tmp_path: Path, elsewhere: Path) -> None:
    """Whoever puts a link where a message was gets neither a copy of what it means, nor its ownership."""
    victim = elsewhere / "shadow"
    victim.write_bytes(b"secret")
    victim.chmod(0o600)
    source = tmp_path / "message"
    source.symlink_to(victim)
    os.lchown(source, NOBODY, NOBODY)
    with pytest.raises(OSError, match="symbolic"):
        moves.move(str(source), str(elsewhere / "aside.msg"))
    assert victim.stat().st_uid == 0
    assert not (elsewhere / "aside.msg").exists()


@pytest.mark.parametrize("point", ["rename", "copy", "copied", "unlink"])
def test_a_link_that_takes_its_place_meanwhile_leads_nowhere(tmp_path: Path, elsewhere: Path, point: str) -> None:
    """Whoever waits for the instant gets no more by it: what is copied is the message or nothing, what is removed is his link."""
    victim = elsewhere / "shadow"
    victim.write_bytes(b"secret")
    source, target = tmp_path / "message", elsewhere / "aside.msg"
    source.write_bytes(b"mail")

    def swap(here: str) -> None:
        if here == point:
            source.unlink()
            source.symlink_to(victim)

    with contextlib.suppress(OSError):
        moves.move(str(source), str(target), swap)
    assert target.exists() == (point in {"copied", "unlink"})
    assert not target.is_symlink()
    assert not target.exists() or target.read_bytes() == b"mail"
    assert victim.read_bytes() == b"secret"


def test_a_copy_that_was_interrupted_is_made_anew(tmp_path: Path, elsewhere: Path) -> None:
    """What an earlier life has left under the temporary name, even a link, is in nobody's way."""
    victim = elsewhere / "victim"
    victim.write_bytes(b"precious")
    (elsewhere / ".aside.msg.copy").symlink_to(victim)
    source = tmp_path / "message"
    source.write_bytes(b"mail")
    moves.move(str(source), str(elsewhere / "aside.msg"))
    assert (elsewhere / "aside.msg").read_bytes() == b"mail"
    assert victim.read_bytes() == b"precious"


def test_a_directory_that_somebody_else_has_made_is_refused(tmp_path: Path) -> None:
    """Neither the place for what is set aside nor that of the journal may be another user's."""
    foreign = tmp_path / "forebay-aside"
    foreign.mkdir()
    os.chown(foreign, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="belongs to uid"):
        moves.make_directory(str(foreign))
    with pytest.raises(JournalError, match="belongs to uid"):
        Journal(foreign)
