"""The sidecar's metrics: names are an interface. Every label that is known exists from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition

from forebay.api.router import Confidence
from forebay.sidecar.verdict import STRIKES, Verdict

if TYPE_CHECKING:
    from forebay.sidecar.limits.leaf import Counters

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
EVENTS: Final = ("high", "max", "oom", "kill")
STALLS: Final = ("throttled", "reclaim", "asleep")
_CAUSES: Final = (*sorted(each.value for each in STRIKES), Verdict.LOST.value, "copy", "gate")
_KNOWN: Final = tuple(each.word for each in Confidence if each)


class Meter:
    """What the sidecar counts, in a registry of its own."""

    def __init__(self, version: str = "") -> None:
        self.registry = registry = CollectorRegistry(support_collectors_without_names=True)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"forebay_router_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"forebay_router_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(f"forebay_router_{name}", text, registry=registry, buckets=_SECONDS)

        self.up = gauge("up", "1 while the router runs.")
        self.workers = gauge("workers", "Live workers of the router.")
        self.memory = gauge("memory_bytes", "Memory of the router and all its workers.")
        self.memory_limit = gauge("memory_limit_bytes", "The limits on memory.", "kind")
        self.memory_peak = gauge("memory_peak_bytes", "The most memory that a worker had, of those that have ended.")
        self._events = counter("memory_events_total", "Memory events of workers by slot.", "slot", "event")
        ends = counter("worker_ends_total", "Ends of workers by verdict.", "verdict")
        self.ends = {each: ends.labels(each.value) for each in Verdict}
        kills = counter("oom_kills_total", "Processes killed by the kernel for want of memory.", "limit")
        self.oom_kills = {each: kills.labels(each) for each in ("own", "other")}
        stalls = counter("stalls_total", "Workers found alive at their limit without getting on.", "kind")
        self.stalls = {each: stalls.labels(each) for each in STALLS}
        self.timeouts = counter("timeouts_total", "Workers ended because one message took too long.")
        strikes = counter("strikes_total", "Strikes by cause.", "cause")
        self._strikes = {each: strikes.labels(each) for each in _CAUSES}
        self._set_aside = counter(
            "set_aside_total", "Messages set aside by cause and confidence.", "cause", "confidence"
        )
        for cause in _CAUSES:
            for word in _KNOWN:
                self._set_aside.labels(cause, word)
        claims = counter("claims_total", "Ended claims: done with, or struck.", "end")
        self.claims = {each: claims.labels(each) for each in ("done", "struck")}
        self.unattributed = counter(
            "unattributed_ends_total", "Ends that are somebody's fault, and nobody knows whose."
        )
        self.fuse_blown = gauge("fuse_blown", "1 while the fuse is blown.")
        self.detection = histogram("detection_seconds", "From a worker's end to the verdict on it.")
        self.reaction = histogram("set_aside_seconds", "From a worker's end to its message set aside.")
        self.restarts = counter("restarts_total", "Restarts of the router.")
        self.spool_messages = gauge("spool_messages", "Messages in the router's spool.")
        self.spool_oldest = gauge("spool_oldest_seconds", "Age of the oldest message in the router's spool.")
        self.quarantine_messages = gauge("quarantine_messages", "Messages set aside.")
        self.quarantine_bytes = gauge("quarantine_bytes", "Their size.")
        self.withheld = gauge("withheld_messages", "Messages that wait for another one's trial, or for their own.")
        self.journal_errors = counter("journal_errors_total", "Times that the journal could not be read or written.")
        self.lost_claims = counter("claim_overflows_total", "Times that the kernel dropped records of opened files.")
        gate = counter("gate_messages_total", "Messages at the gate by what was done.", "action")
        self.gate = {each: gate.labels(each) for each in ("passed", "held")}
        build = gauge("sidecar_info", "1, with the version and the way of enforcement as labels.", "version", "limits")
        self._build = build
        self._version = version

    def about(self, limits: str) -> None:
        """Say how limits are enforced."""
        self._build.labels(self._version, limits).set(1)

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

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics, and their content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self.registry), content_type
