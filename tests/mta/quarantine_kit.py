"""A site whose hold queue is acted on: Postfix, milter and sidecar, and the commands that an operator types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mta.private_site import eventually
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forebay.quickstart.private_postfix import PrivatePostfix
    from forebay.testing import MilterService
    from mta.private_site import Site

FOREBAY: Final = (sys.executable, "-c", "from forebay.cli.main import main; main()")
EVERYTHING: Final = "100000"
"""The longest page that there is."""
CLERK: Final = (sys.executable, "-m", "forebay.sidecar.clerk")


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator works with: commands with one configuration, and the environment that Postfix's tools need."""

    config: Path
    environment: dict[str, str]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """One command: its first two words, then the configuration, then the rest."""
        command = [*FOREBAY, *words[:2], "--config", str(self.config), *words[2:]]
        return subprocess.run(
            command, input=given, capture_output=True, text=True, errors="replace", env=self.environment, check=False
        )

    def ask(self, *words: str, given: str = "", status: int = 0) -> str:
        """What a command writes that ends with this status."""
        done = self.run(*words, given=given)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def entries(self, *words: str) -> list[dict[str, Any]]:
        """What `quarantine list` finds, all pages of it."""
        listed = self.ask("quarantine", "list", "--json", "--limit", EVERYTHING, *words)
        return [json.loads(line) for line in listed.splitlines()]

    def entry(self, queue_id: str, *words: str) -> dict[str, Any]:
        """The entry of a message in the MTA's queue, once it is there."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [each for each in self.entries("--all", *words) if each["place"] == queue_id]
            return bool(found)

        eventually(is_there)
        assert len(found) == 1
        return found[0]

    def await_state(self, entry: str, state: str) -> None:
        """Wait until an entry is in this state."""

        def states() -> dict[str, str]:
            return {each["id"]: each["state"] for each in self.entries("--all")}

        eventually(lambda: states().get(entry) == state, states)

    @property
    def log(self) -> str:
        """What the sidecar and its clerk have logged."""
        return self.config.with_suffix(".log").read_text("utf-8", "replace")

    @contextmanager
    def sidecar(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `forebay sidecar`, as a host does that only holds mail, until the end of the block."""
        with self._running((*FOREBAY, "sidecar")) as process:
            yield process

    @contextmanager
    def clerk(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the sidecar's clerk alone until the end of the block."""
        with self._running(CLERK) as process:
            yield process

    @contextmanager
    def _running(self, command: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
        with self.config.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                (*command, "--config", str(self.config)), env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def desk_of(milter: MilterService, postfix: PrivatePostfix) -> Desk:
    """What the operator of a Postfix works with, whose mail this milter judges."""
    own = milter.folder / "clerk.toml"
    quarantine = f'[quarantine]\npostfix = "{postfix.folder}/etc"\n'
    own.write_text(f'{milter.config.read_text()}\n{quarantine}[sidecar]\nmetrics = ""\n')
    path = f"{postfix.tree / 'usr/sbin'}:{os.environ.get('PATH', '')}"
    return Desk(own, {**os.environ, **postfix.environment, "PATH": path})


@contextmanager
def quarantine_site(config: str = "", **settings: str) -> Iterator[tuple[Site, Desk]]:
    """A Postfix and a milter, and the desk beside them."""
    with private_site(config, **settings) as where:
        yield where, desk_of(where.milter, where.postfix)
