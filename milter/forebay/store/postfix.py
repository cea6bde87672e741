"""The hold queue of a Postfix: what lies in it, and its release, requeueing and deletion by queue id.

A short queue id is used again once its message is gone: whoever acts compares sender, time and size with what was seen
before (`forebay.store.hands`). postsuper is always told the queue.
"""

# ruff: noqa: S603 - runs Postfix's own commands, with a queue id that has letters and digits only

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import suppress
from typing import Final, NamedTuple

from forebay.errors import UnavailableError

HOLD: Final = "hold"
TIMEOUT: Final = 120.0
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{1,40}")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DEFAULT_LIFETIME: Final = 432_000.0


class Queued(NamedTuple):
    """A message as postqueue(1) tells of it: what it is known by."""

    queue: str
    queue_id: str
    sender: str
    arrival: int
    size: int


class HoldQueue:
    """The queue of the Postfix whose configuration is in `directory`, or of the default one.

    `environment` is what its commands run with. Every method raises UnavailableError where a command fails.
    """

    def __init__(self, directory: str = "", environment: dict[str, str] | None = None) -> None:
        self._at = ("-c", directory) if directory else ()
        self._environment = environment or {**os.environ, "LANG": "C"}

    def listed(self) -> dict[str, Queued]:
        """All messages in all queues, by queue id."""
        found = {}
        for line in self._run("postqueue", "-j").splitlines():
            queued = _queued(line)
            if queued:
                found[queued.queue_id] = queued
        return found

    def release(self, queue_id: str) -> None:
        """Let a message go on from where it was held: at once if Postfix can, else with its next queue run."""
        self._super("-H", queue_id)
        with suppress(UnavailableError):  # without its service flush there are queue runs only
            self._run("postqueue", "-i", queue_id)

    def requeue(self, queue_id: str) -> None:
        """Let a message begin anew, as if it had just come in, without the milters; it gets another queue id."""
        self._super("-r", queue_id)

    def delete(self, queue_id: str) -> None:
        """Remove a message for good."""
        self._super("-d", queue_id)

    def message(self, queue_id: str) -> bytes:
        """The header and body of a message."""
        return self._run("postcat", "-hb", "-q", _checked(queue_id))

    def lifetime(self) -> float:
        """Seconds after which Postfix gives a message up that cannot be delivered (maximal_queue_lifetime)."""
        said = self._run("postconf", "-h", "maximal_queue_lifetime").decode("ascii", "replace").strip()
        found = re.fullmatch(r"(\d+)([smhdw]?)", said)
        return float(found[1]) * _UNITS[found[2] or "d"] if found else _DEFAULT_LIFETIME

    def _super(self, option: str, queue_id: str) -> None:
        self._run("postsuper", option, _checked(queue_id), HOLD)

    def _run(self, program: str, *arguments: str) -> bytes:
        command = (program, *self._at, *arguments)
        try:
            done = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=TIMEOUT,
            )  # fmt: skip
        except FileNotFoundError:
            raise UnavailableError(f"{program} is not there: forebay acts on the hold queue of Postfix only") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{program}: {error}") from None
        if done.returncode:
            said = done.stderr.decode("ascii", "backslashreplace").strip().splitlines()
            raise UnavailableError(f"{program}: {said[-1] if said else f'status {done.returncode}'}")
        return done.stdout


def bare(sender: bytes | str) -> str:
    """An envelope sender as postqueue(1) writes it, for comparing: without brackets, in lower case."""
    text = sender.decode("utf-8", "replace") if isinstance(sender, bytes) else sender
    return text.strip().removeprefix("<").removesuffix(">").lower() or "mailer-daemon"


def _checked(queue_id: str) -> str:
    if not _QUEUE_ID.fullmatch(queue_id):
        raise UnavailableError("this is no queue id")
    return queue_id


def _queued(line: bytes) -> Queued | None:
    try:
        given = json.loads(line)
        return Queued(
            str(given["queue_name"]), str(given["queue_id"]), str(given["sender"]), int(given["arrival_time"]),
            int(given["message_size"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
