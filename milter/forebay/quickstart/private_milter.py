"""A forebay milter of our own, in a folder of its own: the real command, started as a service manager would."""

# ruff: noqa: S603 - runs forebay itself, with arguments of our own

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from forebay.errors import UnavailableError
from forebay.quickstart.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER: Final = "nobody"
"""Whom the milter becomes, and who Postfix's programs are here: the account `forebay` need not exist yet."""

START_TIME: Final = 60.0
STOP_TIME: Final = 15.0
"""Seconds until it is given up. Either takes a second at most."""

COMMAND: Final = (sys.executable, "-c", "from forebay.cli.main import main; main()")
"""The command `forebay` of this interpreter."""

_WHAT_IT_READS: Final = "import forebay.smtp.worker, forebay_validators"

_CONFIG: Final = """\
# Written by milter/quickstart. Every setting has a default: on a host of your own, most of these lines can go.
# All settings, with what they mean: forebay config show

[milter]
listen = "unix:{folder}/milter.sock"
user = "{user}"
socket_group = "{group}"
metrics = "127.0.0.1:{port}"
hostname = "mx.forebay.test"
state = "{folder}/state"
runtime = "{folder}/run"
drain_time = 5.0

[policy]
preset = "protect"
"""


class PrivateMilter:
    """One running milter. `config` is its configuration file, `log` what it has logged.

    `more` is what the configuration says of the sidecar beside it: a host has one file for both.
    """

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self._more = more
        self.config = folder / "forebay.toml"
        self.log_file = folder / "milter.log"
        self.user = USER if _can_read(USER) else ""
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens, as `smtpd_milters` says it."""
        return f"unix:{self.folder}/milter.sock"

    @property
    def metrics(self) -> str:
        """The URL of its metrics."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def start(self) -> None:
        """Write its configuration, start it, and wait until it serves.

        Raises UnavailableError with what it said where it does not start.
        """
        group = grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name
        own = _CONFIG.format(folder=self.folder, port=self.port, user=self.user, group=group)
        self.config.write_text(own + self._more)
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                (*COMMAND, "milter", "--config", str(self.config)),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        end = time.monotonic() + START_TIME
        while time.monotonic() < end and self._process.poll() is None:
            if self.status().get("state") == "serving":
                return
            time.sleep(0.02)
        self.stop()
        raise UnavailableError(f"the milter did not start:\n{self.log().strip()}")

    def stop(self) -> None:
        """End it and its workers, and wait for that."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # nobody else is in its process group
            os.killpg(process.pid, signal.SIGKILL)

    def status(self) -> dict[str, object]:
        """What it says of itself at /healthz; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                said: dict[str, object] = json.load(answer)
                return said
        except (OSError, ValueError):
            return {}

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text("utf-8", "backslashreplace")

    def verdict_on(self, queue_id: str) -> str:
        """The line that it has logged of a message, without whose it was; empty where there is none."""
        for line in self.log().splitlines():
            _, found, rest = line.partition(f" {queue_id}: ")
            if found:
                return rest.partition("; from=")[0]
        return ""


@contextmanager
def private_milter(folder: Path, more: str = "") -> Iterator[PrivateMilter]:
    """Run a milter in this folder until the end of the block; `more` comes into the configuration."""
    milter = PrivateMilter(folder, more)
    try:
        milter.start()
        yield milter
    finally:
        milter.stop()


def _can_read(user: str) -> bool:
    """Whether an account can read what the milter consists of: a checkout below /root is closed to it."""
    account = pwd.getpwnam(user)
    try:
        done = subprocess.run(
            (sys.executable, "-c", _WHAT_IT_READS),
            cwd="/", user=account.pw_uid, group=account.pw_gid, extra_groups=[],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0
