"""The metrics: their names, labels and help texts. Names are an interface: dashboards and alerts hold on to them.

Each process counts in files of its own in one directory, named for its slot and not for its pid: they do not pile up,
and a counter goes on when a slot gets its next worker. Whoever is asked for the metrics adds the files up (`render`).
Labels have few values, never anything that came from mail, and every label that is known exists from the start, so
that `increase()` sees the first event.
"""

from __future__ import annotations

import os
import struct
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from forebay import metrics_store as store
from forebay.message.finding import Action
from forebay.metrics_spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import Counter, Gauge, Histogram

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
ENDS: Final = ("replaced", "stopped", "memory", "hang", "killed", "crashed")
"""Why a worker ended: by a reload, by a stop, above `worker_memory`, in a hanging validator, by a SIGKILL that was not
ours, by itself."""
HELPERS: Final = ("template", "keeper")
_PAUSES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 0.0)
"""Seconds between the tries to read files that are being made."""
UNREADABLE: Final = (struct.error, OSError, ValueError, RuntimeError)
OWN_CODE: Final = "forebay"
"""The label `validator` where no validator but forebay's own code failed or hung."""


MESSAGES = Spec("forebay_messages_total", "counter", "Messages by the action taken.", ("action",))
OBSERVED = Spec(
    "forebay_messages_observed_total",
    "counter",
    "Messages by the action that the preset observe kept from being taken.",
    ("action",),
)
FINDINGS = Spec("forebay_findings_total", "counter", "Findings by validator.", ("validator",))
VALIDATOR_ERRORS = Spec(
    "forebay_validator_errors_total", "counter", "Messages on which a validator failed.", ("validator",)
)
BENCHED = Spec(
    "forebay_validator_benched",
    "gauge",
    "Workers in which a validator sits out for burning too much CPU time.",
    ("validator",),
)
RECIPIENTS_REJECTED = Spec("forebay_recipients_rejected_total", "counter", "Recipients refused in answer to RCPT.")
VERDICT_SECONDS = Spec(
    "forebay_verdict_duration_seconds", "histogram", "Time from the end of a header to the verdict on it.",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)  # fmt: skip
HEADER_BYTES = Spec(
    "forebay_header_bytes", "histogram", "Size of the headers that were judged.",
    buckets=(1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 1048576),
)  # fmt: skip
FAILURES = Spec("forebay_failures_total", "counter", "Failures of forebay's own, answered with a temporary error.")
SESSIONS = Spec("forebay_sessions_total", "counter", "Milter sessions begun.")
CONNECTIONS = Spec("forebay_connections", "gauge", "Milter sessions open now.")
CONNECTIONS_REFUSED = Spec(
    "forebay_connections_refused_total", "counter", "Sessions above max_connections, answered with a temporary error."
)
SESSIONS_CUT = Spec(
    "forebay_sessions_cut_total", "counter", "Sessions that ended with their worker instead of by themselves."
)
WORKERS = Spec("forebay_workers", "gauge", "Workers that accept sessions.")
WORKER_ENDS = Spec("forebay_worker_ends_total", "counter", "Ends of workers by reason.", ("reason",))
HELPER_ENDS = Spec(
    "forebay_helper_ends_total", "counter", "Unexpected ends of the template and the keeper.", ("process",)
)
HANGS = Spec("forebay_hangs_total", "counter", "Workers ended because a validator did not come back.", ("validator",))
RELOADS = Spec("forebay_reloads_total", "counter", "Reloads of the configuration.", ("result",))
RELOAD_OK = Spec(
    "forebay_config_last_reload_successful",
    "gauge",
    "1 if the configuration that was read last is in use, 0 if it was refused.",
)
RELOAD_TIME = Spec(
    "forebay_config_last_reload_success_timestamp_seconds", "gauge", "When the configuration in use was read."
)
BUILD = Spec("forebay_build_info", "gauge", "1, with the version as a label.", ("version",))

ALL: Final = (
    MESSAGES, OBSERVED, FINDINGS, VALIDATOR_ERRORS, BENCHED, RECIPIENTS_REJECTED, VERDICT_SECONDS, HEADER_BYTES, FAILURES,
    SESSIONS, CONNECTIONS, CONNECTIONS_REFUSED, SESSIONS_CUT, WORKERS, WORKER_ENDS, HELPER_ENDS, HANGS, RELOADS,
    RELOAD_OK, RELOAD_TIME, BUILD, *store.ALL,
)  # fmt: skip


class WorkerMetrics:
    """What a worker counts. `validators` are the ids that exist, `third_party` those of them that can be benched."""

    def __init__(self, directory: str, slot: int, validators: Iterable[str], third_party: Iterable[str] = ()) -> None:
        _count_in(directory, f"w{slot}")
        messages, observed = _counter(MESSAGES), _counter(OBSERVED)
        self._messages = {each: _plain(messages.labels(each.word)) for each in Action}
        self.observed = {each: observed.labels(each.word) for each in Action}
        known = [*validators, OWN_CODE]
        self._findings, self._errors = _counter(FINDINGS), _counter(VALIDATOR_ERRORS)
        self.findings = {each: self._findings.labels(each) for each in known}
        self.validator_errors = {each: self._errors.labels(each) for each in known}
        self._benched = _gauge(BENCHED, "livesum")
        hangs = _counter(HANGS)  # the supervisor counts them, and does not know who there is
        for each in third_party:
            self.bench(each, is_benched=False)
            hangs.labels(each)
        self.recipients_rejected = _counter(RECIPIENTS_REJECTED)
        self._verdict_seconds = _Steps(_histogram(VERDICT_SECONDS))
        self._header_bytes = _Steps(_histogram(HEADER_BYTES))
        self.failures = _counter(FAILURES)
        self.hits = _counter(store.HITS)
        self._sessions = _plain(_counter(SESSIONS))
        self._connections = _plain(_gauge(CONNECTIONS, "livesum"))
        self.connections_refused = _counter(CONNECTIONS_REFUSED)

    def opened(self, now_open: int) -> None:
        """Count a session that begins."""
        self._sessions.inc(1.0)
        self._connections.set(float(now_open))

    def closed(self, now_open: int) -> None:
        """Note that one has ended."""
        self._connections.set(float(now_open))

    def judged(self, action: Action, seconds: float, size: int) -> None:
        """Count a message: how long its verdict took, and the bytes of its header."""
        self._messages[action].inc(1.0)
        self._verdict_seconds.observe(seconds)
        self._header_bytes.observe(float(size))

    def found(self, validator: str) -> None:
        """Count a finding."""
        (self.findings.get(validator) or self._findings.labels(OWN_CODE)).inc()

    def failed(self, validator: str) -> None:
        """Count a validator that failed."""
        (self.validator_errors.get(validator) or self._errors.labels(OWN_CODE)).inc()

    def bench(self, validator: str, *, is_benched: bool) -> None:
        """Note that a validator sits out in this worker, or does no more."""
        self._benched.labels(validator).set(int(is_benched))


class KeeperMetrics:
    """What the keeper counts of the store."""

    def __init__(self, directory: str) -> None:
        _count_in(directory, "keeper")
        self.intake = {each: _child(store.INTAKE, each) for each in store.TAKEN}
        self.backlog = _gauge(store.BACKLOG, "mostrecent")
        self.errors = _counter(store.ERRORS)
        self.is_store_up = _gauge(store.STORE_UP, "mostrecent")
        self._entries, self._bytes, self._oldest = (
            _gauge(each, "mostrecent") for each in (store.ENTRIES, store.BYTES, store.OLDEST)
        )
        self._reasons = _gauge(store.REASONS, "mostrecent")
        self._known: set[str] = set()
        self.reasons({store.OTHER: 0})
        for each in store.KINDS:
            self.waiting(each, 0, 0, 0.0)
        self.actions = {each: _gauge(store.ACTIONS, "mostrecent").labels(each) for each in store.CLOSED}
        self.fingerprints = {each: _gauge(store.FINGERPRINTS, "mostrecent").labels(each) for each in ("exact", "shape")}
        self.suspended, self.additions, self.additions_limit = (
            _gauge(each, "mostrecent") for each in (store.SUSPENDED, store.ADDITIONS, store.ADDITIONS_LIMIT)
        )
        self.snapshot = _gauge(store.SNAPSHOT, "mostrecent")
        self.propagation = _histogram(store.PROPAGATION)
        self.full = _gauge(store.QUARANTINE_FULL, "mostrecent")
        self.state_size, self.state_available = (
            _gauge(each, "mostrecent") for each in (store.STATE_SIZE, store.STATE_AVAILABLE)
        )

    def waiting(self, kind: str, number: int, size: int, oldest: float) -> None:
        """What waits for a person, of one kind."""
        self._entries.labels(kind).set(number)
        self._bytes.labels(kind).set(size)
        self._oldest.labels(kind).set(oldest)

    def reasons(self, numbers: Mapping[str, int]) -> None:
        """How many wait, by reason. A reason is a validator's id or a cause: of others than the first few hundred
        only the sum is told.
        """
        shown = dict.fromkeys(self._known, 0)
        for each, number in numbers.items():
            name = each if each in shown or len(shown) < store.MOST_CAUSES else store.OTHER
            shown[name] = shown.get(name, 0) + number
        for each, number in shown.items():
            self._reasons.labels(each).set(number)
        self._known = set(shown)


class SupervisorMetrics:
    """What the supervisor counts."""

    def __init__(self, directory: str, version: str) -> None:
        self._directory = directory
        _count_in(directory, "supervisor")
        self.sessions_cut = _counter(SESSIONS_CUT)
        self.workers = _gauge(WORKERS, "mostrecent")
        self.worker_ends = {each: _child(WORKER_ENDS, each) for each in ENDS}
        self.helper_ends = {each: _child(HELPER_ENDS, each) for each in HELPERS}
        self._hangs = _counter(HANGS)
        self._hangs.labels(OWN_CODE)
        self.reloads = {each: _child(RELOADS, each) for each in ("ok", "failed")}
        self.reload_ok = _gauge(RELOAD_OK, "mostrecent")
        self.reload_time = _gauge(RELOAD_TIME, "mostrecent")
        _gauge(BUILD, "mostrecent").labels(version).set(1)

    def hung(self, validator: str) -> None:
        """Count a hang, and name who hung."""
        self._hangs.labels(validator or OWN_CODE).inc()

    def reloaded(self, when: float) -> None:
        """The configuration that was read at `when` is in use."""
        self.reload_ok.set(1)
        self.reload_time.set(when)

    def forget_worker(self, slot: int) -> None:
        """A dead worker has no connections any more."""
        from prometheus_client import multiprocess  # noqa: PLC0415 - see _count_in

        multiprocess.mark_process_dead(f"w{slot}", self._directory)  # type: ignore[no-untyped-call]


def clear(directory: str) -> None:
    """Make the directory, or remove what the last life of the service left in it."""
    Path(directory).mkdir(mode=0o755, exist_ok=True)
    for each in Path(directory).glob("*.db"):
        each.unlink(missing_ok=True)


def render(directory: str, accept: str = "") -> tuple[bytes, str]:
    """All metrics of all processes, and their content type: OpenMetrics where `accept` asks for it.

    Raises one of UNREADABLE where the files stay what nobody can read.
    """
    from prometheus_client import CollectorRegistry, exposition, multiprocess  # noqa: PLC0415 - see _count_in

    encode, content_type = exposition.choose_encoder(accept)
    for pause in _PAUSES:
        registry = CollectorRegistry(support_collectors_without_names=True)
        multiprocess.MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
        try:
            return encode(registry), content_type
        except UNREADABLE:  # a worker is just making or removing its file
            if not pause:
                raise
            time.sleep(pause)  # on a busy machine it may be a while before that worker goes on
    raise AssertionError


def close_inherited() -> None:
    """Give up the files that a forked child has from its parent, whose counts are not its own."""
    if DIRECTORY in os.environ:
        from prometheus_client import values  # noqa: PLC0415 - see _count_in

        values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


def _count_in(directory: str, process: str) -> None:
    """Let this process count in files of that name: once, after the fork, before its first metric.

    prometheus_client is imported here and below, and not above, because it reads the environment when imported.
    """
    os.environ[DIRECTORY] = directory
    os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"
    from prometheus_client import values  # noqa: PLC0415 - see above

    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


class _Steps:
    """A histogram whose buckets are found by bisection, and written without what is checked around them."""

    def __init__(self, histogram: Histogram) -> None:
        self._bounds: list[float] = histogram._upper_bounds  # noqa: SLF001 - see _plain
        self._buckets: list[Any] = histogram._buckets  # noqa: SLF001 - see _plain
        self._sum: Any = histogram._sum  # noqa: SLF001 - see _plain

    def observe(self, amount: float) -> None:
        """Count one observation in the first bucket that is not below it."""
        self._sum.inc(amount)
        self._buckets[bisect_left(self._bounds, amount)].inc(1.0)


def _plain(metric: Counter | Gauge) -> Any:
    """The number behind a metric: what is counted for every message is written without the checks around it."""
    return metric._value  # noqa: SLF001 - half the time, and a test reads what is written


def _counter(spec: Spec) -> Counter:
    from prometheus_client import Counter  # noqa: PLC0415 - see _count_in

    return Counter(spec.name, spec.help, spec.labels, registry=None)


def _child(spec: Spec, value: str) -> Counter:
    return _counter(spec).labels(value)


def _gauge(spec: Spec, mode: Literal["livesum", "mostrecent"]) -> Gauge:
    from prometheus_client import Gauge  # noqa: PLC0415 - see _count_in

    return Gauge(spec.name, spec.help, spec.labels, registry=None, multiprocess_mode=mode)


def _histogram(spec: Spec) -> Histogram:
    from prometheus_client import Histogram  # noqa: PLC0415 - see _count_in

    return Histogram(spec.name, spec.help, spec.labels, registry=None, buckets=spec.buckets)
