"""What the supervisor writes down of itself whenever it changes, for `forebay status` and /healthz."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from forebay.smtp import statusfile

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.config import Config
    from forebay.smtp.crew import Crew

_MOST_TEXT = 2000


class Report:
    """The state of the service, as plain values."""

    def __init__(self, runtime: Path, version: str, address: str) -> None:
        self._runtime = runtime
        self._written: dict[str, Any] = {}
        self._about = {"pid": os.getpid(), "version": version, "listen": address, "since": int(time.time())}
        self._reload: dict[str, Any] = {"ok": True, "at": int(time.time()), "error": ""}

    def reloaded(self, error: str) -> None:
        """A configuration was read; `error` says why it is not in use."""
        self._reload = {"ok": not error, "at": int(time.time()), "error": error[:_MOST_TEXT]}

    def write(self, state: str, config: Config, crew: Crew) -> None:
        """Write it down if it has changed."""
        benched = crew.benched()
        troubled = {*crew.errors, *crew.hangs, *benched}
        status = {
            **self._about,
            "state": state,
            "config": config.source,
            "preset": config.policy.preset,
            "metrics": config.milter.metrics,
            "generation": crew.generation,
            "workers": crew.count("serving"),
            "wanted": crew.wanted,
            "draining": crew.count("draining"),
            "reload": self._reload,
            "validators": {
                each: {
                    "errors": crew.errors.get(each, 0),
                    "hangs": crew.hangs.get(each, 0),
                    "benched": each in benched,
                }
                for each in sorted(troubled)
            },
        }
        if status != self._written:
            self._written = status
            statusfile.write(self._runtime, status)
