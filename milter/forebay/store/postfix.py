"""The hold queue of a Postfix: what lies in it, and its release, requeueing and deletion by queue id.

A short queue id is used again once its message is gone: whoever acts compares sender, time and size with what was seen
before (`forebay.store.hands`). postsuper is always told the queue.

A message that was held for more than a quarter of maximal_queue_lifetime begins anew (postsuper -r) when it is
released: at its first deferral it would be given up as too old.
"""

# ruff: noqa: S603 - runs Postfix's own commands, with a queue id that has letters and digits only

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import suppress
from typing import Final

from forebay.errors import UnavailableError
from forebay.store.queues import HOLD, Queued

NAME: Final = "postfix"
TIMEOUT: Final = 120.0
_QUEUE_ID: Final = re.compile(r"[0-9A-Za-z]{1,40}")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DEFAULT_LIFETIME: Final = 432_000.0


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

    def release(self, held: Queued) -> None:
        """Let a message go on: at once if Postfix can, else with its next queue run. Requeued, it gets another id."""
        if time.time() - held.arrival > self.lifetime() / 4:
            self._super("-r", held.queue_id)
            return
        self._super("-H", held.queue_id)
        with suppress(UnavailableError):  # without its service flush there are queue runs only
            self._run("postqueue", "-i", held.queue_id)

    def delete(self, held: Queued) -> None:
        """Remove a message for good."""
        self._super("-d", held.queue_id)

    def message(self, held: Queued) -> bytes:
        """The header and body of a message."""
        return self._run("postcat", "-hb", "-q", _checked(held.queue_id))

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
