"""The second half of the show: evil mail that is put straight into a router's spool, where no milter sees it."""

# ruff: noqa: S603 - runs forebay itself, with arguments of our own

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.errors import UnavailableError
from forebay.quickstart.ports import free_port
from forebay.quickstart.private_milter import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.quickstart.private_postfix import PrivatePostfix
    from forebay.quickstart.terminal import Terminal

GOOD: Final = 6
_PATIENCE: Final = 60.0
_SAID: Final = re.compile(r"forebay\[\d+\]: (?:warning: )?(.*(?:strike \d|set aside|let back|withheld).*)")
_SECTIONS: Final = """
# A router whose spool is a directory, and the sidecar that guards it. It looks after what Postfix holds, too.

[router]
adapter = "spool"
spool = ["{folder}/spool"]

[router.limits]
memory = "96M"

[sidecar]
metrics = "127.0.0.1:{port}"

[quarantine]
postfix = "{folder}/etc"
"""
_HEADER: Final = (
    "From: {name}@example.org\nDate: Thu, 26 Nov 2026 10:00:00 +0000\nMessage-ID: <{id}@example.org>\nSubject: {id}\n"
)


class RouterShow:
    """A spool with a router, and a running sidecar."""

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self._terminal = terminal
        self.spool, self.delivered = folder / "spool", folder / "routed"
        self.log_file = folder / "sidecar.log"
        self._status = folder / "run" / "sidecar.json"
        for each in (self.spool, self.delivered):
            each.mkdir()

    def run(self) -> int:
        """Put good and evil mail into the spool, and tell what became of it; how much of that was wrong."""
        line = self._terminal.line
        line("Mail that is written straight into a router's spool never meets the milter.", "bold")
        line("Two copies of a message with 12,000 syntax errors, and good mail before and after:", indent=3)
        line()
        self._put("good", range(GOOD // 2))
        for copy in (1, 2):
            self._write(
                f"killer{copy}", _HEADER.format(name="evil", id="killer") + "To: " + "[[] " * 6000 + "\n\nbye\n"
            )
        self._put("good", range(GOOD // 2, GOOD))
        until = time.monotonic() + _PATIENCE
        while not self._is_done() and time.monotonic() < until:
            time.sleep(0.2)
        for said in _SAID.findall(self.log_file.read_text("utf-8", "replace")):
            self._terminal.cut(said.replace(f"{self.spool}/", ""), "magenta", indent=3)
        wrong = not self._is_done()
        good = sum(each.name.startswith("good") for each in self.delivered.iterdir())
        line(f"{good} of {GOOD} good messages were delivered; {self._aside()} of 2 evil ones lie aside", indent=3)
        if wrong:
            line("NOT AS EXPECTED", "red", indent=3)
        line()
        return int(wrong)

    def _is_done(self) -> bool:
        good = sum(each.name.startswith("good") for each in self.delivered.iterdir())
        return good == GOOD and self._aside() == 2 and not any(each.is_file() for each in self.spool.iterdir())

    def _aside(self) -> int:
        return len(list((self.spool / "forebay-aside").glob("*.msg")))

    def _put(self, name: str, numbers: range) -> None:
        for number in numbers:
            self._write(
                f"{name}{number}", _HEADER.format(name=name, id=f"{name}{number}") + "To: a@example.com\n\nhi\n"
            )

    def _write(self, name: str, text: str) -> None:
        hidden = self.spool / f".{name}"
        hidden.write_text(text, "ascii")
        hidden.rename(self.spool / name)

    def is_ready(self) -> bool:
        """Whether the sidecar guards, and has all workers."""
        try:
            said = json.loads(self._status.read_bytes())
        except (OSError, ValueError):
            return False
        return bool(said.get("state") == "guarding" and said.get("workers") == 2)


def sections(folder: Path) -> str:
    """What the configuration says of a router and a sidecar in this folder."""
    return _SECTIONS.format(folder=folder, port=free_port())


@contextmanager
def router_show(terminal: Terminal, folder: Path, config: Path, postfix: PrivatePostfix) -> Iterator[RouterShow]:
    """A running sidecar with its router. Raises UnavailableError with what it said where it does not start."""
    show = RouterShow(terminal, folder)
    router = (sys.executable, str(Path(__file__).with_name("demo_router.py")), str(show.spool), str(show.delivered))
    with show.log_file.open("wb") as log:
        process = subprocess.Popen(
            (*COMMAND, "sidecar", "--config", str(config), "--", *router),
            cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(postfix),
        )  # fmt: skip
    try:
        until = time.monotonic() + _PATIENCE
        while not show.is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise UnavailableError(f"the sidecar does not start:\n{show.log_file.read_text('utf-8', 'replace')}")
            time.sleep(0.1)
        yield show
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


def _environment(postfix: PrivatePostfix) -> dict[str, str]:
    """The sidecar's, in which it finds the commands of a Postfix that is not installed."""
    own = postfix.environment
    return {**os.environ, **own, "PATH": f"{postfix.tree / 'usr/sbin'}:{own['PATH']}", "FOREBAY_CONFIG": ""}
