"""What the sidecar counts. The names stand in `forebay.metrics_router`; every label that is known exists from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, exposition

from forebay import metrics_router as router
from forebay.api.router import Confidence
from forebay.metrics_router import EVENTS, LIMITS, STALLS
from forebay.sidecar.verdict import STRIKES, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.metrics_spec import Spec
    from forebay.sidecar.limits.leaf import Counters

CAUSES: Final = (*sorted(each.value for each in STRIKES), Verdict.LOST.value, "copy", "gate")
_KNOWN: Final = tuple(each.word for each in Confidence if each)


class Meter:
    """What the sidecar counts, in a registry of its own."""

    def __init__(self, version: str = "") -> None:
        self.registry = registry = CollectorRegistry(support_collectors_without_names=True)
        disable_created_metrics()  # type: ignore[no-untyped-call]

        def counter(spec: Spec) -> Counter:
            return Counter(spec.name, spec.help, spec.labels, registry=registry)

        def counters(spec: Spec, values: Iterable[str]) -> dict[str, Counter]:
            made = counter(spec)
            return {each: made.labels(each) for each in values}

        def gauge(spec: Spec) -> Gauge:
            return Gauge(spec.name, spec.help, spec.labels, registry=registry)

        def histogram(spec: Spec) -> Histogram:
            return Histogram(spec.name, spec.help, registry=registry, buckets=spec.buckets)

        self.up = gauge(router.UP)
        self.workers = gauge(router.WORKERS)
        self.memory = gauge(router.MEMORY)
        self._worker_memory = gauge(router.WORKER_MEMORY)
        limits = gauge(router.MEMORY_LIMIT)
        self.memory_limits = {each: limits.labels(each) for each in LIMITS}
        self.memory_peak = gauge(router.MEMORY_PEAK)
        self._events = counter(router.MEMORY_EVENTS)
        ends = counter(router.WORKER_ENDS)
        self.ends = {each: ends.labels(each.value) for each in Verdict}
        self.oom_kills = counters(router.OOM_KILLS, ("own", "other"))
        self.stalls = counters(router.STALLED, STALLS)
        self.timeouts = counter(router.TIMEOUTS)
        self._strikes = counters(router.STRIKES, CAUSES)
        self._set_aside = counter(router.SET_ASIDE)
        for cause in CAUSES:
            for word in _KNOWN:
                self._set_aside.labels(cause, word)
        self.unpublished = counter(router.UNPUBLISHED)
        self.claims = counters(router.CLAIMS, ("done", "struck"))
        self.unattributed = counter(router.UNATTRIBUTED)
        self.fuse_blown = gauge(router.FUSE_BLOWN)
        self.detection = histogram(router.DETECTION)
        self.reaction = histogram(router.REACTION)
        self.restarts = counter(router.RESTARTS)
        self.spool_messages = gauge(router.SPOOL_MESSAGES)
        self.spool_oldest = gauge(router.SPOOL_OLDEST)
        self.spool_size = gauge(router.SPOOL_SIZE)
        self.spool_available = gauge(router.SPOOL_AVAILABLE)
        self.quarantine_messages = gauge(router.QUARANTINE_MESSAGES)
        self.quarantine_bytes = gauge(router.QUARANTINE_BYTES)
        self.withheld = gauge(router.WITHHELD)
        self.journal_errors = counter(router.JOURNAL_ERRORS)
        self.lost_claims = counter(router.CLAIM_OVERFLOWS)
        self.gate = counters(router.GATE_MESSAGES, ("passed", "held"))
        self._info = gauge(router.INFO)
        self._version = version

    def about(self, limits: str, adapter: str) -> None:
        """Say how limits are enforced, on what kind of router."""
        self._info.labels(self._version, limits, adapter).set(1)

    def began(self, slot: int) -> None:
        """A worker is in this slot: its events exist before the first of them happens."""
        for event in EVENTS:
            self._events.labels(str(slot), event)
        self._worker_memory.labels(str(slot)).set(0)

    def uses(self, slot: int, memory: int) -> None:
        """Note what the worker in a slot uses."""
        self._worker_memory.labels(str(slot)).set(memory)

    def ended(self, slot: int) -> None:
        """Nobody is in this slot; its counters stay."""
        self._worker_memory.remove(str(slot))

    def events(self, slot: int, added: Counters) -> None:
        """Count the memory events of a leaf."""
        for event in EVENTS:
            count = getattr(added, event)
            if count > 0:
                self._events.labels(str(slot), event).inc(count)

    def struck(self, verdict: Verdict) -> None:
        """Count a strike."""
        self._strikes[verdict.value].inc()
        self.claims["struck"].inc()

    def convicted(self, cause: str, confidence: str) -> None:
        """Count a message that is set aside."""
        self._set_aside.labels(cause, confidence).inc()

    def journal_failed(self) -> None:
        """Count a failure of the journal."""
        self.journal_errors.inc()

    def fuse(self, *, blown: bool) -> None:
        """Show the fuse."""
        self.fuse_blown.set(int(blown))

    def room(self, available: int, size: int) -> None:
        """Note how much room there is where messages are set aside."""
        self.spool_available.set(available)
        self.spool_size.set(size)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics, and their content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self.registry), content_type
