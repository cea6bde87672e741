"""The gate: mail that is written straight into the spool meets the same judge, and the fingerprints, first.

Writers deliver into directories that the router does not read. A file is complete when it has a name that the router
would take: writers rename it, as the router's own protocol has it. What passes is renamed into the router's
directory; what does not becomes a quarantine entry.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from forebay.logs import LOGGER, printable
from forebay.message.finding import Action
from forebay.sidecar import moves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.api.router import Adapter, Message
    from forebay.sidecar.cases import Cases
    from forebay.sidecar.examine import Examiner
    from forebay.sidecar.metering import Meter

_log = logging.getLogger(LOGGER)
_HELD: Final = frozenset({Action.QUARANTINE, Action.REJECT})
_AT_ONCE: Final = 100


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

    def look(self) -> bool:
        """Deal with some of what is there; whether there may be more."""
        done = 0
        for source, target in self._ways:
            for name in self._names(source):
                message = self._adapter.message(f"{source}/{name}")
                if message:
                    self._pass(message, self._adapter.place(f"{target}/{name}", os.lstat(message.path)))
                    done += 1
                if done == _AT_ONCE:
                    return True
        return False

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(folder) if self._adapter.takes(name))
        except OSError as error:
            _log.error("the gate cannot read %s: %s", folder, error.strerror)
            return []

    def _pass(self, message: Message, target: str) -> None:
        reason = self._reason(message)
        if reason and self._cases.hold(message, self._examiner.examine(message), reason, target):
            self._meter.gate["held"].inc()
            return
        try:
            moves.rename(message.path, target)
        except OSError as error:
            _log.error("the gate cannot pass %s: %s", printable(message.path), error)
            return
        self._meter.gate["passed"].inc()

    def _reason(self, message: Message) -> str:
        """Why a message does not pass, in one line, or nothing."""
        if self._cases.has_killed(self._examiner.examine(message)):
            return "fingerprint"
        verdict = self._examiner.judge(message.path)
        if verdict.action not in _HELD or not verdict.reason:
            return ""
        field = printable(verdict.reason.field, 40)
        return (
            f"{verdict.reason.id}: {field}: {verdict.reason.message}"
            if field
            else f"{verdict.reason.id}: {verdict.reason.message}"
        )
