"""What the tests of the command line share: a way to run a command in this process, and some messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from forebay.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (
    b"From: Jane <jane@example.org>\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: hello\n\nHello\n"
)
EVIL = GOOD.replace(b"To: b@example.org", b'To: "a b" <foo@example.org')


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """The objects of JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Forebay = Callable[..., Ran]


@pytest.fixture
def forebay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Forebay:
    """Run a command in this process, with a configuration that is nobody's: `forebay("check", path)`."""
    empty = tmp_path / "empty.toml"
    empty.write_bytes(b"")
    monkeypatch.setenv("FOREBAY_CONFIG", str(empty))
    monkeypatch.setattr("gc.freeze", lambda: None)

    def run_it(*arguments: object) -> Ran:
        capsys.readouterr()
        status = run([str(each) for each in arguments])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run_it


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A message that nothing is wrong with."""
    path = tmp_path / "good.eml"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A message with an angle bracket that has no twin."""
    path = tmp_path / "evil.eml"
    path.write_bytes(EVIL)
    return path
