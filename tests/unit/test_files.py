"""Files in directories where others may write: nobody there makes us write, read, or wait somewhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from forebay import files
from forebay.api.router import start_of

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def test_a_file_is_replaced_as_a_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    """Links that lie where the file is, and where it is written first, lead nowhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    path = tmp_path / "status"
    path.symlink_to(victim)
    (tmp_path / f".status.{os.getpid()}.new").symlink_to(victim)
    files.replace(path, b"new\n", 0o644)
    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new\n"
    assert path.stat().st_mode & 0o7777 == 0o644
    assert sorted(each.name for each in tmp_path.iterdir()) == ["status", "victim"]


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A pipe that nobody writes is not waited for, and a link is not followed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "message").write_bytes(b"Subject: hello\n\n")
    (tmp_path / "link").symlink_to(tmp_path / "message")
    assert start_of(str(tmp_path / "message")) == b"Subject: hello\n\n"
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match=r"regular|symbolic"):
            start_of(str(tmp_path / name))


def test_a_file_of_ours_is_no_link_and_has_one_name(tmp_path: Path) -> None:
    """What is opened for writing for good is made by us, or was."""
    os.close(files.open_own(tmp_path / "lock"))
    os.close(files.open_own(tmp_path / "lock"))
    (tmp_path / "link").symlink_to(tmp_path / "lock")
    with pytest.raises(OSError, match="symbolic"):
        files.open_own(tmp_path / "link")
    (tmp_path / "second").hardlink_to(tmp_path / "lock")
    with pytest.raises(PermissionError):
        files.open_own(tmp_path / "lock")


def test_a_directory_of_others_is_none_of_ours(tmp_path: Path) -> None:
    """Refused where others may write, where another owns it, and where it is a link."""
    files.check_own_directory(tmp_path)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(PermissionError, match="chmod go-w"):
        files.check_own_directory(open_to_all)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        files.check_own_directory(tmp_path / "link")
    with pytest.raises(PermissionError):
        files.check_own_directory("/proc/1" if os.geteuid() else _given_to_nobody(tmp_path))


def _given_to_nobody(folder: Path) -> Path:
    made = folder / "nobody"
    made.mkdir()
    os.chown(made, NOBODY, NOBODY)
    return made
