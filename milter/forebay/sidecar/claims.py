"""What a worker holds, from whatever tells it most surely: it was started for it, a name, a record, an open file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter, Holding, Message
    from forebay.sidecar.openlog import OpenLog
    from forebay.sidecar.worker import Worker


class Claims:
    """Asks the adapter, and the log of opened files where there is one."""

    def __init__(self, adapter: Adapter, openlog: OpenLog | None, is_held: Callable[[Message], bool]) -> None:
        self._adapter = adapter
        self._is_held = is_held
        self._openlog = openlog
        self._named: dict[int, list[str]] | None = None

    def begin_sweep(self) -> None:
        """Read the names in the spool once, for all workers that are asked about until `end_sweep`."""
        if self._adapter.names_claims():
            self._named = {}
            for path in self._adapter.paths():
                pid = self._adapter.claimant(path)
                if pid:
                    self._named.setdefault(pid, []).append(path)

    def end_sweep(self) -> None:
        """What was read may be out of date from now on."""
        self._named = None

    def of(self, worker: Worker, *, at_rest: bool = False) -> list[Holding]:
        """What a live worker holds. `at_rest`: it is stopped or throttled."""
        if worker.launched:
            return [worker.launched]
        if self._adapter.names_claims():
            named = self._left_by(worker)
            if named:
                return named
        logged = self._logged(worker.process.pid)
        if logged and not at_rest:
            return logged
        found = self._adapter.holdings(worker.process, at_rest)
        if len(found) == 1 and [each.message.identity for each in logged] == [found[0].message.identity]:
            return logged
        return found or logged

    def left_by(self, worker: Worker) -> list[Holding]:
        """What a worker that has ended did not finish."""
        found = [worker.launched] if worker.launched else []
        if not found and self._adapter.names_claims():
            found = self._left_by(worker)
        if not found and worker.order and len(worker.holdings) == 1:
            found = worker.holdings  # it was looked at before we ended it
        found = worker.holdings = found or self._logged(worker.process.pid) or worker.holdings
        if self._openlog:
            self._openlog.settle()
            self._openlog.forget(worker.process.pid)
        there = ((each, self._adapter.find(each.message)) for each in found)
        left = [replace(each, message=message) for each, message in there if message]
        if len(left) > 1:  # it may have looked at one that another worker has
            left = [each for each in left if not self._is_held(each.message)] or left
        return left

    def _left_by(self, worker: Worker) -> list[Holding]:
        pid = worker.process.pid
        paths = self._adapter.paths() if self._named is None else self._named.get(pid, ())
        return self._adapter.left_by(worker.process, paths)

    def _logged(self, pid: int) -> list[Holding]:
        if not self._openlog:
            return []
        self._openlog.read()
        return self._openlog.holdings(pid)
