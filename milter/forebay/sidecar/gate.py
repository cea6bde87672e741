"""The gate: mail that is written straight into the spool meets the same judge, and the fingerprints, first.

Writers deliver into directories that the router does not read. A file is complete when it has a name that the router
would take: writers rename it, as the router's own protocol has it. What passes is renamed into the router's
directory; what does not becomes a quarantine entry. What is like a message that is being tried again waits for that.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

from forebay.errors import JournalError
from forebay.judge.fingerprints import FINDING
from forebay.logs import LOGGER, printable
from forebay.message.finding import Action
from forebay.sidecar import moves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.api.router import Adapter, Message
    from forebay.sidecar.cases import Cases
    from forebay.sidecar.examine import Examined, Examiner
    from forebay.sidecar.metering import Meter

_log = logging.getLogger(LOGGER)
_HELD: Final = frozenset({Action.QUARANTINE, Action.REJECT})
_SLICE: Final = 0.02
"""Seconds of work, after which whoever else has something to do comes first."""
_MOST_TOLD: Final = 1000


class Gate:
    """`ways` are pairs of directories: where writers leave mail, and where the router takes it."""

    def __init__(
        self, ways: Sequence[tuple[str, str]], adapter: Adapter, examiner: Examiner, cases: Cases, meter: Meter
    ) -> None:
        self._ways = ways
        self._adapter = adapter
        self._examiner = examiner
        self._cases = cases
        self._meter = meter
        self._told: set[str] = set()

    def look(self) -> bool:
        """Deal with some of what is there; whether there is more to be done at once."""
        self._cases.refresh()
        until = time.monotonic() + _SLICE
        for source, target in self._ways:
            for name in self._names(source):
                is_done = self._deal_with(f"{source}/{name}", f"{target}/{name}")
                if is_done and time.monotonic() > until:
                    return True
        return False

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(folder) if self._adapter.takes(name))
        except OSError as error:
            self._tell(folder, f"the gate cannot read {printable(folder)}: {error.strerror}")
            return []

    def _deal_with(self, path: str, target: str) -> bool:
        """Hold a message or let it pass; False where it stays for now."""
        message = self._adapter.message(path)
        if message is None:
            return False
        examined = self._examiner.examine(message)
        try:
            if self._cases.is_on_trial(examined) and not self._cases.released(message, examined):
                return False
            reason = self._reason(message, examined)
            target = self._adapter.place(target, os.lstat(path))
            if reason and not self._cases.released(message, examined):
                held = self._cases.hold(message, examined, reason, target)
                if held:
                    self._meter.gate["held"].inc()
                if held is not None:
                    return held
            moves.rename(path, target)
        except (FileNotFoundError, JournalError):
            return False
        except OSError as error:
            self._tell(path, f"the gate cannot pass {printable(path)}: {error.strerror}")
            return False
        self._told.discard(path)
        self._meter.gate["passed"].inc()
        return True

    def _tell(self, path: str, text: str) -> None:
        """Once a path: it is tried again four times a second."""
        if path not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(path)
            _log.error("%s", text)

    def _reason(self, message: Message, examined: Examined) -> str:
        """Why a message does not pass, in one line, or nothing."""
        kind = self._cases.kind_known(message, examined)
        if kind:
            return f"{FINDING}: this is like a message that killed a mail router ({kind})"
        verdict = self._examiner.judge(message.path)
        if verdict.action not in _HELD or not verdict.reason:
            return ""
        field = printable(verdict.reason.field, 40)
        return (
            f"{verdict.reason.id}: {field}: {verdict.reason.message}"
            if field
            else f"{verdict.reason.id}: {verdict.reason.message}"
        )
