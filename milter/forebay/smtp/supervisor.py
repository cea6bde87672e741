"""The supervisor: owns the socket, the signals and the processes, and judges no mail.

It has one thread, imports no plugin, and does little, so that it does not fail:

- it keeps the socket as long as it lives: while no worker serves, connections wait in the kernel;
- SIGHUP: a template of the new configuration must come up first, else everything stays as it is; then the workers are
  replaced one by one; where another version of the program is installed, it takes over (succession.py);
- SIGTERM, SIGINT: nobody new gets in, and who is in gets `drain_time` to end; a second one ends everything at once;
- a process that dies is replaced, with back-off. Each of them sees the supervisor's own death by the end of its line,
  and ends as soon as it can without cutting a session.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forebay import logs
from forebay.errors import ForebayError
from forebay.metrics import SupervisorMetrics
from forebay.smtp import keeper, notify, processes, reload, remembered, succession, template
from forebay.smtp.crew import GRACE, Crew
from forebay.smtp.helper import BackOff, Helper
from forebay.smtp.premises import Premises
from forebay.smtp.report import Report
from forebay.smtp.signals import Signals
from forebay.smtp.succession import Elders, Program, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.config import Config
    from forebay.smtp.channel import Channel
    from forebay.smtp.crew import Hand
    from forebay.smtp.postmortem import Cause
    from forebay.smtp.template import Load

IDLE: Final = 1.0
BUSY: Final = 0.05
"""Seconds between two looks at the clock: while nothing is going on, and while something is awaited."""
BACKLOG_TIME: Final = 2.0
"""Seconds of running time at a stop in which connections that wait in the kernel still find a worker."""


def run(config: Config, reread: Callable[[], Config], load: Load, version: str) -> int:
    """Serve until told to stop; the exit status. `reread` reads the configuration again.

    Raises a ForebayError where the service cannot start.
    """
    processes.fill_standard_descriptors()
    signals = Signals()
    processes.adopt_orphans()
    legacy = succession.inherited()
    premises = Premises.take(config.milter, legacy)
    elders = Elders(legacy.workers if legacy else ())
    try:
        return Supervisor(config, reread, load, premises, signals, elders, version).run()
    finally:
        premises.leave()


class Supervisor:
    """One life of the service."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        load: Load,
        premises: Premises,
        signals: Signals,
        elders: Elders,
        version: str,
    ) -> None:
        self._config = config
        self._reread = reread
        self._load_with = load
        self._premises = premises
        self._signals = signals
        self._log = logging.getLogger(logs.LOGGER)
        self._metrics = SupervisorMetrics(premises.metrics, version)
        self._crew = Crew(premises.page, self._metrics, self._worker_ended)
        self._crew.settings = config.milter
        self._report = Report(Path(config.milter.runtime), version, premises.address)
        self._state = "starting"
        self._template: Helper | None = None
        self._keeper: Helper | None = None
        self._loading: Helper | None = None
        self._loaded = config
        self._reload_wanted = False
        self._program = Program.of_this_process()
        self._trial: Trial | None = None
        self._elders = elders
        self._backlog_looks = 0
        self._template_delay, self._keeper_delay = BackOff(), BackOff()
        self._next_beat = 0.0

    def run(self) -> int:
        """Start, go on until told to stop, and end."""
        try:
            self._load(self._config)
            self._reap()  # who ended while nobody listened
            while not self._is_over():
                self._tend(time.monotonic())
                self._wait()
        finally:
            for each in (self._loading, self._template, self._keeper):
                if each:
                    each.end()
            if self._trial:
                self._trial.end()
        self._log.info("stopped")
        return os.EX_OK

    def _is_over(self) -> bool:
        return self._state == "stopped" and not self._crew.hands and not self._elders

    # What is done at every turn of the loop.

    def _wait(self) -> None:
        """Wait for something to happen, and act upon it."""
        lines: dict[int, Callable[[], None]] = {}
        for helper in (self._loading, self._template, self._keeper):
            if helper and not helper.is_deaf:
                lines[helper.line.fileno()] = partial(self._hear, helper)
        for hand in self._crew.hands:
            if hand.state != "lost":
                lines[hand.line.fileno()] = partial(self._crew.hear, hand)
        poll = select.poll()
        for descriptor in (*lines, self._signals.fileno()):
            poll.register(descriptor, select.POLLIN)
        waits = self._state != "serving" or self._crew.count("lost") or not self._crew.is_complete
        ready = [each for each, _ in poll.poll(1000 * (BUSY if waits else IDLE))]
        for descriptor in ready:
            if descriptor in lines:
                lines[descriptor]()
        if self._signals.fileno() in ready:  # last: burying the dead closes lines
            self._take_signals()

    def _tend(self, now: float) -> None:
        """Start what is missing, and go on with what is under way."""
        if self._state in {"stopping", "stopped"}:
            self._go_on_stopping()
        else:
            if not self._keeper and self._keeper_delay.is_over(now):
                self._start_keeper()
            if not self._template and not self._loading and self._template_delay.is_over(now):
                self._load(self._config)
            if self._reload_wanted and not self._loading and not self._trial:
                self._reload()
        self._crew.tend(self._fork_worker if self._template and not self._template.is_deaf else None, now)
        self._metrics.workers.set(self._crew.count("serving"))
        if self._state in {"starting", "reloading"} and not (self._loading or self._trial) and self._crew.is_complete:
            self._serve()
        if self._trial and now > self._trial.deadline:
            self._trial.end()
        self._elders.tend(now)
        self._report.write(self._state, self._config, self._crew)
        if (interval := notify.watchdog_seconds()) and now >= self._next_beat:
            self._next_beat = now + interval
            notify.notify("WATCHDOG=1")

    def _take_signals(self) -> None:
        for each in self._signals.read():
            if each == signal.SIGCHLD:
                self._reap()
            elif each == signal.SIGHUP:
                self._reload_wanted = True
            else:
                self._stop(each)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if not self._elders.reap(pid) and not self._crew.reap(pid, code):
                self._helper_ended(pid, code)

    # Configurations: loading them, and what becomes of that.

    def _load(self, config: Config) -> None:
        """Start a template of this configuration; it says when it has loaded."""
        self._loaded = config
        shared = template.Estate(self._premises.page, self._premises.listening)
        body: Callable[[Channel], None] = partial(template.run, config, self._load_with, shared)
        self._loading = Helper.start("template", body, (self._premises.listening.fileno(),))

    def _reload(self) -> None:
        self._reload_wanted = False
        self._log.info("reload: reading the configuration")
        self._state = "reloading"
        notify.reloading()
        if self._program.is_replaced():
            self._try_successor()
            return
        try:
            config = self._reread()
            reload.refuse_what_stays(self._config, config)
        except ForebayError as error:
            self._refuse(error)
        else:
            self._load(config)

    def _try_successor(self) -> None:
        """Another version of the program is installed: it must be able to load everything before it takes over."""
        self._log.info("reload: another version of forebay is installed; it is tried first")
        try:
            self._trial = Trial.start(self._program)
        except OSError as error:
            self._refuse(ForebayError(f"{self._program.command[0]}: {error.strerror}"))

    def _tried(self, trial: Trial, status: int) -> None:
        """Become the new version, or stay."""
        self._trial = None
        said = trial.conclude()
        if self._state != "reloading":
            return
        if status:
            self._refuse(ForebayError(f"the version that is installed does not start (status {status})\n{said}"))
            return
        self._log.info("reload: the version that is installed takes over")
        try:
            succession.become(self._program, self._premises.legacy(self._config.milter, self._crew.heirloom()))
        except OSError as error:
            self._refuse(ForebayError(f"{self._program.command[0]}: {error.strerror}"))

    def _hear(self, helper: Helper) -> None:
        message = helper.line.receive()
        if message is None:
            helper.dismiss()
        elif message.verb == "ready":
            self._use(helper)
        elif message.verb == "failed":
            self._refuse(reload.error_of(message))
        elif message.verb == "snapshot":
            self._crew.tell_all("snapshot")

    def _use(self, helper: Helper) -> None:
        """A template has loaded: go on with it, and with workers of its configuration."""
        is_new = self._loaded is not self._config or not self._crew.wanted
        if self._template:
            self._template.dismiss()
        self._template, self._loading = helper, None
        if is_new:
            if self._keeper and reload.concerns_keeper(self._config, self._loaded):
                self._keeper.end()
                self._keeper = None
            self._config = self._loaded
            logs.set_up(self._config.log)
            self._crew.settings = self._config.milter
            self._crew.wanted = reload.worker_count(self._config.milter)
            self._crew.generation += 1
            self._metrics.reloaded(time.time())
            if self._state == "reloading":
                self._metrics.reloads["ok"].inc()
            self._report.reloaded("")

    def _refuse(self, error: ForebayError) -> None:
        """A configuration cannot be used: at the start that is the end, later everything stays as it was."""
        if self._loading:
            self._loading.dismiss()
            self._loading = None
        if not self._crew.wanted:
            raise error
        for line in str(error).splitlines():
            self._log.error("reload: %s", line)
        if self._state == "reloading":
            self._log.error("reload: refused; the configuration of before stays in use")
            self._metrics.reloads["failed"].inc()
            self._metrics.reload_ok.set(0)
            self._report.reloaded(str(error))
            self._state = "serving"
            notify.notify("READY=1", "STATUS=reload refused; serving by the configuration of before")
        else:
            self._template_delay.ended(time.monotonic(), time.monotonic())

    def _serve(self) -> None:
        what = "reloaded" if self._state == "reloading" else "serving"
        self._state = "serving"
        self._report.write(self._state, self._config, self._crew)  # who reads the line below may ask /healthz at once
        self._log.info(
            "%s: %d workers on %s, metrics on %s, configuration %s",
            what, self._crew.wanted, self._premises.address, self._config.milter.metrics or "none", self._config.source,
        )  # fmt: skip
        self._elders.drain(self._config.milter.drain_time + GRACE)
        notify.notify("READY=1", f"STATUS=serving on {self._premises.address}")

    # Processes: starting them, and their ends.

    def _start_keeper(self) -> None:
        scraped = self._premises.scraped
        body: Callable[[Channel], None] = partial(keeper.run, self._config, self._premises.page, scraped)
        self._keeper = Helper.start("keeper", body, (scraped.fileno(),) if scraped else ())

    def _fork_worker(self, hand: Hand, line: int) -> bool:
        assert self._template
        return self._template.line.send("fork", (line, hand.trace), slot=hand.slot)

    def _helper_ended(self, pid: int, status: int) -> None:
        now = time.monotonic()
        if self._trial and pid == self._trial.pid:
            self._tried(self._trial, status)
        elif self._keeper and pid == self._keeper.pid:
            self._keeper_delay.ended(self._keeper.born, now)
            self._unexpected(self._keeper, status)
            self._keeper = None
        elif self._template and pid == self._template.pid:
            self._template_delay.ended(self._template.born, now)
            self._unexpected(self._template, status)
            self._template = None
        elif self._loading and pid == self._loading.pid:
            # Its last words may still be in the line.
            while self._loading and not self._loading.is_deaf and (message := self._loading.line.receive_now()):
                if message.verb == "failed":
                    self._refuse(reload.error_of(message))
            if self._loading:
                self._unexpected(self._loading, status)
                self._refuse(ForebayError(f"the process that loads plugins ended with status {status}"))

    def _unexpected(self, helper: Helper, status: int) -> None:
        helper.dismiss()
        if self._state not in {"stopping", "stopped"}:
            self._metrics.helper_ends[helper.name].inc()
            self._log.error("%s (pid %d) ended with status %d", helper.name, helper.pid, status)

    def _worker_ended(self, cause: Cause) -> None:
        """Remember a header that burnt the CPU, on this host."""
        if not cause.remember:
            return
        digest = cause.remember.hex()
        self._log.warning("this header is not shown to validator %s again (digest %s)", cause.validator, digest)
        self._crew.tell_all("remember", digest=digest, validator=cause.validator)
        try:
            remembered.add(Path(self._config.milter.state), (digest, cause.validator))
        except OSError as error:
            self._log.error("milter.state: %s: %s", self._config.milter.state, error.strerror)

    # The end.

    def _stop(self, by: signal.Signals) -> None:
        if self._state in {"stopping", "stopped"}:
            self._log.warning("%s again: the sessions are cut now", by.name)
            self._crew.kill_all()
            self._elders.kill_all()
            return
        self._log.info("%s: stopping; sessions have %g s to end", by.name, self._config.milter.drain_time)
        notify.notify("STOPPING=1")
        self._state = "stopping"
        self._premises.withdraw()

    def _go_on_stopping(self) -> None:
        """Who waits in the kernel still gets in; then the workers are told to end."""
        self._backlog_looks += 1  # looks and not the clock: in a pause of the machine nobody gets in
        is_late = self._backlog_looks * BUSY > BACKLOG_TIME or not self._crew.count("serving")
        if self._state == "stopping" and (is_late or not self._premises.has_waiting()):
            self._state = "stopped"
            self._premises.listening.close()
            self._crew.drain_all("stopped")
            self._elders.drain(self._config.milter.drain_time + GRACE)
