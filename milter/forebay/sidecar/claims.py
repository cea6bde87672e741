"""What a worker holds, from whatever tells it most surely: it was started for it, a name, a record, an open file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forebay.api.process import state

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter, Holding, Message, Process
    from forebay.sidecar.keeping import Keeping
    from forebay.sidecar.openlog import OpenLog
    from forebay.sidecar.worker import Worker


class Claims:
    """Asks the adapter, and the log of opened files where there is one."""

    def __init__(
        self, adapter: Adapter, openlog: OpenLog | None, is_held: Callable[[Message], bool], keeping: Keeping
    ) -> None:
        self._adapter = adapter
        self._keeping = keeping
        self._is_held = is_held
        self._openlog = openlog
        self._named: dict[int, list[str]] | None = None
        self._is_sweeping = False

    def begin_sweep(self) -> None:
        """Read the names in the spool, and the log, once for all workers that are asked about until `end_sweep`."""
        if self._openlog:
            self._openlog.read()
            self._openlog.settle()  # what is done is not looked at worker by worker
        self._is_sweeping = True
        if self._adapter.names_claims():
            self._named = {}
            for path in self._adapter.paths():
                pid = self._adapter.claimant(path)
                if pid:
                    self._named.setdefault(pid, []).append(path)

    def end_sweep(self) -> None:
        """What was read may be out of date from now on."""
        self._named = None
        self._is_sweeping = False

    def of(self, worker: Worker, *, at_rest: bool = False) -> list[Holding]:
        """What a live worker holds. `at_rest`: it is stopped or throttled."""
        if worker.launched:
            return [worker.launched]
        told = self._claim(worker.process)
        if told is not None:
            return told
        named = self._named_by(worker.process)
        return named or self._keeping.kept(worker, self._opened_by(worker, at_rest=at_rest))

    def _opened_by(self, worker: Worker, *, at_rest: bool) -> list[Holding]:
        logged = self._logged(worker.process.pid, is_alive=not at_rest)
        if not at_rest and (logged or worker.is_logged):
            return logged
        found = self._adapter.holdings(worker.process, at_rest)
        if self._openlog and not found:  # what it had opened before the log knew of it
            worker.is_logged = True
        if len(found) == 1 and [each.message.identity for each in logged] == [found[0].message.identity]:
            return logged
        return found or logged

    def left_by(self, worker: Worker) -> list[Holding]:
        """What a worker that has ended did not finish; its `holdings` are from then on all that it had."""
        told = [worker.launched] if worker.launched else self._claim(worker.process)
        found = told or []
        is_another = (now := state(worker.process.pid)) is not None and now.started != worker.process.started
        if not found and not is_another:
            found = self._named_by(worker.process)
        if not found and worker.order and len(worker.holdings) == 1:
            found = worker.holdings  # it was looked at before we ended it
        moved: list[Holding] = []
        if not found and not is_another:  # a pid that is another's may have other records by now
            found = self._logged(worker.process.pid) if told is None else []
            moved = self._moved(worker.process.pid, found)
        found, moved = (
            [each for each in some if each.message.identity not in worker.looks_at]
            for some in (found or worker.holdings, moved)
        )
        worker.holdings = [*found, *moved]
        return self._unfinished(worker.process.pid, found)

    def left_behind(self, stray: Process) -> tuple[list[Holding], list[Holding]]:
        """What a process did not finish that was gone before it became a worker, and all that it had."""
        if found := self._named_by(stray):
            return self._unfinished(stray.pid, found), found
        logged = self._logged(stray.pid)
        moved = self._moved(stray.pid, logged)
        found = logged or self._adapter.claim(stray) or []
        return self._unfinished(stray.pid, found), [*found, *moved]

    def _moved(self, pid: int, logged: list[Holding]) -> list[Holding]:
        """What a process had open as well that has been moved out of the queue meanwhile."""
        known = {each.message.identity for each in logged}
        had = self._openlog.holdings(pid, anywhere=True) if self._openlog else []
        return [each for each in had if each.message.identity not in known]

    def _unfinished(self, pid: int, found: list[Holding]) -> list[Holding]:
        """What of this is in the queue still."""
        if self._openlog:
            self._openlog.settle()
            self._openlog.forget(pid)
        there = ((each, self._adapter.find(each.message)) for each in found)
        left = [replace(each, message=message) for each, message in there if message]
        if len(left) > 1:  # it may have looked at one that another worker has
            left = [each for each in left if not self._is_held(each.message)] or left
        return left

    def _named_by(self, process: Process) -> list[Holding]:
        if not self._adapter.names_claims():
            return []
        paths = self._adapter.paths() if self._named is None else self._named.get(process.pid, ())
        return self._adapter.left_by(process, paths)

    def _claim(self, process: Process) -> list[Holding] | None:
        """What the adapter knows by itself, after all that was recorded until now."""
        if self._openlog and self._adapter.follows:
            self._openlog.read()
        return self._adapter.claim(process)

    def _logged(self, pid: int, *, is_alive: bool = False) -> list[Holding]:
        if not self._openlog:
            return []
        if not self._is_sweeping:
            self._openlog.read()
        return self._openlog.holdings(pid, is_alive=is_alive)
