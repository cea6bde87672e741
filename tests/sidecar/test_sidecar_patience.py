"""Commands of the router's own that take long: the guard goes on meanwhile, and each is done once."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api.router_program import Programs
from forebay.sidecar.routers.sendmail import Sendmail
from forebay.sidecar.service import PATIENCE
from sidecar.cases_kit import begin

if TYPE_CHECKING:
    from forebay.api.router import Adapter, Message

SLOW = 4.0
"""Seconds that Sendmail takes for a command."""
MOST = SLOW - 0.5
"""Seconds that a turn may take: whoever waits for Sendmail takes longer, however busy the machine is."""
CONTROL = "V8\nT1764118800\nS<a@example.org>\nRPFD:<b@example.com>\nH??From: a@example.org\nH??Subject: {}\n.\n"
PROGRAM = f"""#!{sys.executable}
import os, sys, time
time.sleep({{slow}})
queue, arguments = {{queue!r}}, sys.argv[1:]
with open(os.path.dirname(queue) + "/commands", "a") as log:
    log.write(" ".join(arguments) + "\\n")
name = arguments[-1].removeprefix("-qI")
old, new = ("hf", "qf") if "-qQ" in arguments else ("qf", "hf")
os.rename(queue + "/" + old + name, queue + "/" + new + name)
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A queue directory, and a Sendmail that takes its time."""
    folder = tmp_path / "spool"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "sendmail"
    program.write_text(PROGRAM.format(slow=SLOW, queue=str(folder)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return folder


def put(queue: Path, name: str, text: str) -> Path:
    """A message in Sendmail's queue; `text` is its subject."""
    (queue / f"df{name}").write_text("body\n")
    path = queue / f"qf{name}"
    path.write_text(CONTROL.format(text))
    return path


def longest_call(act: object, until: object, seconds: float = 30) -> float:
    """Call it once a moment, as the loop does, until something holds; the longest that one call took."""
    assert callable(act)
    assert callable(until)
    longest, deadline = 0.0, time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        began = time.monotonic()
        act()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.1)
    return longest


def await_commands(adapter: Adapter) -> None:
    """What is done may have an exit status yet."""
    assert isinstance(adapter, Sendmail)
    for each in adapter._queue.programs._running.values():
        each.process.wait()


def test_a_slow_sendmail_holds_nobody(tmp_path: Path, queue: Path) -> None:
    """Quarantined, released: while its own program takes seconds for each, no turn of ours waits for it."""
    kit = begin(tmp_path, kind=Sendmail)
    kit.adapter.hurry(PATIENCE)
    names = [f"aaaaaaa{number}" for number in range(2)]
    for name in names:
        put(queue, name, name)
        for _ in range(2):
            began = time.monotonic()
            kit.strike(f"qf{name}")
            assert time.monotonic() - began < MOST
    assert longest_call(kit.settle, lambda: len(kit.journal.entries("aside")) == 2) < MOST
    for entry in kit.journal.entries("aside"):
        kit.ask("release", entry.id)
    assert longest_call(kit.settle, lambda: len(kit.journal.entries("released")) == 2) < MOST
    assert sorted(each.name for each in queue.glob("qf*")) == [f"qf{name}" for name in names]
    assert len((tmp_path / "commands").read_text().splitlines()) == 4
    await_commands(kit.adapter)


def test_what_is_withheld_slowly_is_let_back(tmp_path: Path, queue: Path) -> None:
    """A copy that Sendmail puts away after we have gone on is not forgotten there."""
    kit = begin(tmp_path, kind=Sendmail)
    kit.adapter.hurry(PATIENCE)
    put(queue, "aaaaaaa1", "same")
    copy: list[Message] = []
    kit.strike("qfaaaaaaa1")
    put(queue, "aaaaaaa2", "other")
    copy.append(kit.message("qfaaaaaaa2"))
    began = time.monotonic()
    assert not kit.cases._withholding.withhold(copy[0], "suspect")
    assert time.monotonic() - began < MOST
    assert longest_call(kit.settle, lambda: not kit.journal.withheld() and (queue / "qfaaaaaaa2").exists()) < MOST
    assert len((tmp_path / "commands").read_text().splitlines()) == 2
    await_commands(kit.adapter)


def test_a_command_that_fails_or_hangs_is_told() -> None:
    """What it said last is the error; what takes too long by far is ended; of the next one nothing waits for it."""
    programs = Programs()
    failed = programs.run(("sh", "-c", "echo so it is >&2; exit 3"), os.environ)
    assert (failed.status, failed.last_words) == (3, "so it is")
    programs = Programs()  # in its own turn: what the first one took counts for nobody else
    programs.patience = 0.1
    hanging = ("sleep", "600")
    with pytest.raises(BlockingIOError):
        programs.run(hanging, os.environ)
    pid = programs._running[hanging].process.pid
    programs.patience = 60.0
    began = time.monotonic()
    with pytest.raises(BlockingIOError):
        programs.run(("true",), os.environ)
    assert time.monotonic() - began < 30.0  # it has not waited once more
    programs._running[hanging].until = 0.0
    time.sleep(0.1)
    assert programs.run(("true",), os.environ).status == 0
    assert not Path(f"/proc/{pid}").exists()
