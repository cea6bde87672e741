"""`forebay sidecar`: all parts brought together, and the one loop that runs them."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay.api.process import is_alive, opened
from forebay.api.process import state as state_of
from forebay.api.router import Confidence, Holding, Message
from forebay.errors import JournalError
from forebay.logs import LOGGER
from forebay.metrics_router import LIMITS
from forebay.sidecar import enforce, exits, http, requests, standing, statusfile
from forebay.sidecar.aside import Aside
from forebay.sidecar.bounding import Bounding
from forebay.sidecar.cases import Cases, Rules
from forebay.sidecar.claimpage import ClaimPage
from forebay.sidecar.claims import Claims
from forebay.sidecar.dispatch import Dispatch
from forebay.sidecar.ending import Ending
from forebay.sidecar.examine import Examiner
from forebay.sidecar.fuse import Fuse
from forebay.sidecar.gate import Gate
from forebay.sidecar.guard import Guard
from forebay.sidecar.holders import Holders
from forebay.sidecar.journal import Journal
from forebay.sidecar.keeping import Keeping
from forebay.sidecar.launch import Launched
from forebay.sidecar.listening import Listening
from forebay.sidecar.metering import Meter
from forebay.sidecar.moves import nothing
from forebay.sidecar.placing import ways
from forebay.sidecar.published import Published
from forebay.sidecar.roster import Roster
from forebay.sidecar.spawn import raise_own
from forebay.sidecar.spoolwatch import SpoolWatch
from forebay.sidecar.verdict import STRIKES
from forebay.sidecar.withhold import Withholding

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter, Process
    from forebay.config import Config
    from forebay.sidecar.verdict import Verdict
    from forebay.sidecar.worker import Worker

_log = logging.getLogger(LOGGER)
_SWEEP: Final = 0.5
_GATE: Final = 0.25
_SETTLE: Final = 1.0
PATIENCE: Final = 0.25
"""Seconds that workers may go unguarded for a command of the router's own."""
_LOOK: Final = 20.0
_SHARE: Final = 100
"""A sweep that took so long is not done again for a hundred times as long: one percent of a core."""
_MOMENT: Final = 0.1
_SUBREAPER: Final = 36


class Service:
    """The sidecar. `command` starts the router; without, it runs elsewhere in its group."""

    def __init__(
        self, config: Config, adapter: Adapter, command: tuple[str, ...], version: str,
        step: Callable[[str], None] = nothing,
    ) -> None:  # fmt: skip
        router, own = config.router, config.sidecar
        state = config.private_state
        self._config, self._adapter, self._command = config, adapter, command
        self._runtime = Path(config.milter.runtime)
        self._lock = statusfile.lock(state)
        adapter.hurry(PATIENCE)
        file_size = router.limits.file_size or adapter.file_size
        bounds = enforce.bounds(router, file_size)
        heritage = raise_own(file_size)
        self.enforcement, self._why = enforce.enforcement(router, own.limits, bounds, config.milter.state)
        self.meter = Meter(version)
        self.meter.about(self.enforcement.kind, router.adapter)
        for kind, limit in zip(LIMITS, (bounds.memory, bounds.brake, router.limits.total), strict=True):
            self.meter.memory_limits[kind].set(limit)
        self.journal = Journal(state, step)
        self.examiner = Examiner(config, adapter)
        self._listening = Listening(adapter, is_wanted=own.fanotify)
        self._why += self._listening.lacking
        self.openlog = self._listening.openlog
        self._exit_sources = [
            *(["waitid"] if command else []), *(["pidfd"] if exits.kernel_tells() else []), *self._listening.exits(), "stat"
        ]  # fmt: skip
        self._page = self._claim_page()
        directory = router.aside_directory
        self.aside = Aside(self.journal, adapter, directory, self._moved, step)
        self.aside.unwanted = self._unwanted
        keeping = Keeping(adapter)
        holders = Holders(self._listening, keeping)
        withholding = Withholding(self.journal, adapter, directory, holders.is_in_hand, step)
        rules = Rules(router.limits.strikes, own.mode == "observe")
        self.cases = Cases(
            rules, self.journal, adapter, self.examiner, Fuse(own.set_aside_max), self.aside, withholding, self.meter,
            holders.is_held, Published(Path(config.milter.state), config),
        )  # fmt: skip
        claims = Claims(adapter, self.openlog, holders.is_held, keeping)
        self.guard = Guard(self.enforcement, claims, keeping, self.meter, self._released)
        bounding = Bounding(router, adapter, file_size)
        self.roster = self.guard.roster = holders.roster = Roster(
            self.enforcement, adapter, bounding, router.workers, self._began, self._closed
        )
        self._ending = Ending(adapter, claims, self.cases, self.meter, self.enforcement.kind, self._finished)
        self._ending.told, self._ending.spare = self._listening.status, self.roster.spare
        self._outside = self.enforcement.router_counters()
        self.spool = SpoolWatch(adapter, self.cases, self.meter, str(state))
        self._dispatch = (
            Dispatch(command, adapter, self.enforcement, self.roster, router.processes, heritage)
            if adapter.launches else None
        )  # fmt: skip
        self._router = (
            Launched(
                command, self.enforcement, self.roster, self.meter, heritage,
                self._settle_start, self._listening.started,
            )
            if command and not adapter.launches else None
        )  # fmt: skip
        ways_in = ways(router.input, adapter.directories())
        self._gate = Gate(ways_in, adapter, self.examiner, self.cases, self.meter) if ways_in else None
        self._tasks: list[asyncio.Task[None]] = []
        self._started = now.started if (now := state_of(os.getpid())) else 0
        self._since = int(time.time())

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Guard until SIGTERM or SIGINT. Raises UnavailableError where an address is taken."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        server = await http.serve(self._config.sidecar.metrics, self.meter, self.status)
        if self._command:
            ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        self.enforcement.start(self.guard.alarmed)
        self.roster.adopt()
        self.cases.begin()  # what live workers have in hand is known by now
        if self._adapter.needs_spool and self._config.sidecar.mode != "observe":
            self.aside.prepare()
        self._settle_start()
        self._listening.begin(self.roster, self.cases.ended_well, self.meter.lost_claims.inc, self._strayed)
        self.report()
        ready()
        self._tasks = [
            loop.create_task(each)
            for each in (
                self._listening.scanning(),
                self._sweeping(),
                self._settling(),
                self._looking(),
                *([self._gating(self._gate)] if self._gate else []),
                *self._routing(),
            )
        ]
        waiting = loop.create_task(stopped.wait())
        await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        await self._stop(server)

    async def _stop(self, server: asyncio.Server | None) -> None:
        failed = [each for each in self._tasks if each.done() and not each.cancelled() and each.exception()]
        self._ending.stopping = bool(self._command)
        if self._dispatch:
            self._dispatch.is_held = True
        if self._router:
            self._tasks[-1].cancel()
            await self._router.stop()
        for each in self._tasks:
            each.cancel()
        if server:
            server.close()
        self._listening.close()
        for worker in self.roster.workers.values():  # one that ends from now on is what the next life finds
            asyncio.get_running_loop().remove_reader(worker.pidfd)
        self.spool.close()
        self._write_status("stopped")
        self.enforcement.close()
        self.journal.close()
        os.close(self._lock)
        if failed:
            raise failed[0].exception() or AssertionError

    def _routing(self) -> list[Any]:
        if self._router:
            return [self._router.run()]
        return [self._dispatching()] if self._dispatch else []

    def _claim_page(self) -> ClaimPage | None:
        try:
            self._runtime.mkdir(mode=0o755, parents=True, exist_ok=True)
            return ClaimPage(self._config.private_state / "claims")
        except OSError as error:
            self._why.append(f"no record of claims in {self._config.private_state}: {error.strerror}")
            return None

    def _noted(self, worker: Worker) -> None:
        if self._page:
            self._page.note(worker)

    def _began(self, worker: Worker) -> None:
        asyncio.get_running_loop().add_reader(worker.pidfd, self._ended, worker)
        self.meter.workers.set(len(self.roster.workers))
        self.meter.began(worker.leaf.slot)
        self._noted(worker)
        if not worker.launched:
            self.guard.hold(worker)
        self.guard.look(worker)

    def _closed(self, worker: Worker) -> None:
        asyncio.get_running_loop().remove_reader(worker.pidfd)
        self.meter.workers.set(len(self.roster.workers))
        self.meter.ended(worker.leaf.slot)

    def _ended(self, worker: Worker) -> None:
        if self.openlog:
            self.openlog.read()  # as long as it is known whose these records are
        self.roster.gone(worker)
        self._ending.ended(worker)
        if self._page:
            self._page.clear(worker.leaf.slot)
        self.roster.drop(worker.leaf.slot)

    def _strayed(self, process: Process, status: int) -> None:
        before, self._outside = self._outside, self.enforcement.router_counters()
        if self._ending.stray(process, status, self._outside.since(before)):
            self.roster.took_a_message(process.parent)

    def _finished(self, worker: Worker | None, verdict: Verdict) -> None:
        if self._router and verdict in STRIKES:
            self._router.is_excused = True
        if self._dispatch and worker:
            self._dispatch.finished(worker, verdict)
            if not (worker.launched and self._adapter.find(worker.launched.message)):
                self.cases.ended_well()
            asyncio.get_running_loop().call_soon(self._dispatch.fill)

    def _released(self, messages: list[Message]) -> None:
        """Without a record of opened files, what a worker was seen to hold, and is gone, is counted as done."""
        if not self.openlog:
            for _ in (each for each in messages if not self._adapter.find(each)):
                self.cases.ended_well()

    def _moved(self, path: str) -> None:
        """A message was set aside: whoever has it still in hand a moment later would only die of it."""
        asyncio.get_running_loop().call_later(_MOMENT, self._end_holders, path)

    def _end_holders(self, path: str) -> None:
        message = self._adapter.message(path)
        for worker in list(self.roster.workers.values()):
            if worker.order or (message and message.identity in worker.looks_at):
                continue
            if any(each.path == path for each in opened(worker.process.pid, (path,))):
                self.guard.end(worker, "stop")

    def _unwanted(self, message: Message) -> None:
        """The same where it is not the place that tells who has it, or where it can be moved only when nobody has it."""
        self._end_claimants(message)
        asyncio.get_running_loop().call_later(_MOMENT, self._end_claimants, message)

    def _end_claimants(self, message: Message) -> None:
        for worker in list(self.roster.workers.values()):
            claimed = self._adapter.claim(worker.process) or () if not worker.order else ()
            if any(each.message.identity == message.identity for each in claimed):
                self.guard.end(worker, "stop")

    def _settle_start(self) -> None:
        """Claims of workers that died while nobody looked are lost; those of live ones go on."""
        for claim in self._page.left() if self._page else ():
            if not is_alive(claim.pid, claim.started):
                message = self._adapter.find(Message(claim.path, claim.identity, claim.size, 0))
                if message:
                    self.cases.lose(Holding(message, Confidence.OBSERVED, "record"), {"pid": claim.pid})
        if self._page:
            self._page.forget()
            for worker in self.roster.workers.values():
                self._page.note(worker)
        for path in self._adapter.stuck():
            _log.warning("the router will not look at this file again: %s", path)

    async def _sweeping(self) -> None:
        while True:
            began = time.process_time()
            self.guard.sweep()
            for worker in self.roster.workers.values():
                self._noted(worker)
            self.roster.split()
            self.roster.tidy()
            if self.openlog:
                self.openlog.sweep()
            self.meter.memory.set(self.enforcement.total())
            if not self._router:  # it is started elsewhere, and runs where any process of it does
                self.meter.up.set(int(bool(self._dispatch or self.roster.workers or self.enforcement.router_pids())))
            await asyncio.sleep(max(_SWEEP, _SHARE * (time.process_time() - began)))

    async def _settling(self) -> None:
        changes = -1
        while True:
            self.cases.settle()
            await self.spool.look()
            try:
                if changes != (changes := self.journal.changes()):
                    requests.carry_out(
                        self.journal, self.aside, self._config.router.limits.strikes, self.cases.fuse.reset
                    )
            except JournalError as error:
                _log.error("%s", error)
                self.meter.journal_failed()
            self._write_status("guarding")
            await asyncio.sleep(_SETTLE)

    async def _looking(self) -> None:
        """What the router's own means keep may be taken out of there without us."""
        while True:
            try:
                self.aside.look()
            except JournalError as error:
                _log.error("%s", error)
                self.meter.journal_failed()
            await asyncio.sleep(_LOOK)

    async def _gating(self, gate: Gate) -> None:
        while True:
            more = gate.look()
            await asyncio.sleep(0 if more else _GATE)

    async def _dispatching(self) -> None:
        assert self._dispatch
        while True:
            self._dispatch.fill()
            await asyncio.sleep(_SWEEP)

    def report(self) -> None:
        """Say what can be done here, and what cannot."""
        router, kind = self._config.router, self.enforcement.kind
        limits = router.limits
        _log.info(
            "guarding %s by %s: %d MiB a worker, brake at %d MiB, %d MiB in all; %g s and %g s of CPU a message",
            router.adapter, kind, limits.memory >> 20, limits.brake >> 20, limits.total >> 20, limits.message_time,
            limits.message_cpu,
        )  # fmt: skip
        for line in self._why:
            _log.warning("%s", line)
        if kind == "rlimit":
            _log.warning("without cgroups memory is only polled, and a kernel kill cannot be told from another")
        _log.info("claims: %s", ", ".join(self._claim_sources()))
        _log.info("exit statuses: %s", ", ".join(self._exit_sources))
        if not router.input and self._adapter.directories():
            _log.info("no gate: mail written straight into the spool meets no validator ([router] input)")
        if self._config.sidecar.mode == "observe":
            _log.warning("observing: nothing is moved")

    def _claim_sources(self) -> list[str]:
        found = ["started for it"] if self._adapter.launches else []
        found += ["names"] if self._adapter.names_claims() else []
        found += ["fanotify"] if self.openlog else []
        return [*found, "open files"] if not self._adapter.launches else found

    def status(self) -> dict[str, Any]:
        """What /healthz and `forebay status` say."""
        return {
            "pid": os.getpid(),
            "started": self._started,
            "since": self._since,
            "adapter": self._config.router.adapter,
            "mode": self._config.sidecar.mode,
            "limits": self.enforcement.kind,
            "lacking": self._why,
            "claims": self._claim_sources(),
            "gate": bool(self._config.router.input),
            "workers": len(self.roster.workers),
            "memory": self.enforcement.total(),
            "memory_limit": self._config.router.limits.total,
            "fuse_blown_since": int(self.cases.fuse.blown),
            "spool": self.spool.depth,
            "aside": self.spool.aside,
            "withheld": self.spool.withheld,
            "store": standing.read(self._config.private_state),
        }

    def _write_status(self, state: str) -> None:
        statusfile.write(self._runtime, self.status() | {"state": state})
