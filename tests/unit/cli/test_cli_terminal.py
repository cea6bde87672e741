"""What is different on a terminal: colour, and a bar that says how far it is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"From: a@example.org\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\nMessage-ID: <1@example.org>\n\n"


def on_a_terminal(arguments: list[str], tmp_path: Path, **environment: str) -> tuple[int, bytes]:
    """Run the command with a terminal for output and errors: its status, and all that it wrote."""
    (tmp_path / "none.toml").write_bytes(b"")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "forebay.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "FOREBAY_CONFIG": str(tmp_path / "none.toml"), "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # what a terminal says when the other end is gone
                break
            written += piece
        os.close(ours)
        return process.wait(60), written


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A directory of messages that take longer than it takes the bar to show."""
    directory = tmp_path / "many"
    directory.mkdir()
    for number in range(1000):
        (directory / f"{number:04}.eml").write_bytes(GOOD if number % 100 else GOOD.replace(b"To: ", b"To: <"))
    return directory


def test_colour_is_for_terminals_of_those_who_want_it(tmp_path: Path, evil: Path) -> None:
    """The action and the mark; NO_COLOR takes it away."""
    status, coloured = on_a_terminal(["check", str(evil)], tmp_path)
    assert status == 1
    assert b"\x1b[31mreject\x1b[0m" in coloured
    _, plain = on_a_terminal(["check", str(evil)], tmp_path, NO_COLOR="1")
    assert b"\x1b[3" not in plain


def test_a_bar_says_how_far_it_is_and_goes_away(tmp_path: Path, many: Path) -> None:
    """It is drawn anew in its line, taken away before anything else is written, and at the end."""
    status, written = on_a_terminal(["check", *[str(many)] * 3], tmp_path, NO_COLOR="1")
    assert status == 1
    assert re.search(rb"\r\[#* *\] +\d+%  [0-9,]+ messages, [0-9,]+ a second\x1b\[K", written)
    for line in written.split(b"\r\n"):
        assert b" a second" not in line.rpartition(b"\r\x1b[K")[2]  # what is left on it when it is complete
    assert b"3,000 messages: 2,970 accepted, 30 rejected" in written


def test_a_dumb_terminal_has_no_bar(tmp_path: Path, many: Path) -> None:
    """It could not be drawn anew there."""
    _, written = on_a_terminal(["check", str(many)], tmp_path, TERM="dumb", NO_COLOR="1")
    assert b"\x1b" not in written
    assert b" a second" not in written
