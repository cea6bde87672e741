"""A real milter for a test: `forebay milter` in a private folder, listening on a unix socket there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay.testing.milter_client import MilterClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forebay.api import Example
    from forebay.testing.message import Message
    from forebay.testing.milter_client import Answer

START_TIME: Final = 60.0
STOP_TIME: Final = 20.0

FOREBAY: Final = (sys.executable, "-c", "from forebay.cli.main import main; main()")
"""The command `forebay` of this interpreter."""

_CONFIG: Final = """\
{given}

[milter]
listen = "unix:{folder}/milter.sock"
metrics = "127.0.0.1:{port}"
state = "{folder}/state"
runtime = "{folder}/run"
socket_group = ""
user = ""
hostname = "mx.example.org"
drain_time = 5.0
{milter}
"""


@dataclass(frozen=True, slots=True)
class MilterService:
    """A milter that runs. `folder` is its own, and gone afterwards; `process` is its supervisor."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """Where it listens, as `smtpd_milters` says it."""
        return f"unix:{self.folder}/milter.sock"

    @property
    def config(self) -> Path:
        """Its configuration file. A change takes effect with `reload`."""
        return self.folder / "forebay.toml"

    def reload(self) -> None:
        """Ask it to read its configuration again, and the plugins with it."""
        self.process.send_signal(signal.SIGHUP)

    def client(self, timeout: float = 60.0) -> MilterClient:
        """A new connection to it."""
        return MilterClient(self.address, timeout=timeout)

    def send(self, message: Message | Example | bytes) -> Answer:
        """Send one message over a connection of its own."""
        with self.client() as client:
            return client.send(message)

    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log").read_text("utf-8", "backslashreplace")

    def metrics(self) -> dict[str, float]:
        """Its metrics: `forebay_findings_total{validator="subject-shouts"}` and so on, each with its value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode("ascii").splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


@contextmanager
def milter_service(config: str = "", *, milter: str = "", program: Sequence[str] = FOREBAY) -> Iterator[MilterService]:
    """Run `forebay milter` until the end of the block.

    `config` is TOML as in forebay.toml without `[milter]`, whose settings are private ones; `milter` are lines that
    come on top of them. `program` is the command to run, `forebay` without its arguments. Raises ChildProcessError with the log where it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="forebay-", dir="/tmp"))  # a socket's path has 107 bytes
    try:
        folder.chmod(0o755)  # an MTA gives its rights away before it connects
        (folder / "state").mkdir()
        (folder / "run").mkdir()
        port = _free_port()
        file = folder / "forebay.toml"
        file.write_text(_CONFIG.format(given=config, folder=folder, port=port, milter=milter))
        command = (*program, "milter", "--config", str(file))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - forebay itself
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        service = MilterService(folder, port, process)
        try:
            _await(service)
            yield service
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(service: MilterService) -> None:
    """Wait until it answers."""
    end = time.monotonic() + START_TIME
    while time.monotonic() < end and service.process.poll() is None:
        try:
            with service.client(START_TIME):
                return
        except OSError:
            time.sleep(0.02)
    raise ChildProcessError(f"forebay milter did not start:\n{service.log()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIME)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # nobody else is in its process group


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
