"""The metrics of the sidecar: what it sees of the router, and what it does about it."""

from __future__ import annotations

from typing import Final

from forebay.metrics_spec import Spec

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
EVENTS: Final = ("high", "max", "oom", "kill")
"""As in cgroup v2's memory.events: throttled, at the limit, the limit could not be held, killed for it."""
STALLS: Final = ("throttled", "reclaim", "asleep")
LIMITS: Final = ("worker", "brake", "total")

UP = Spec("forebay_router_up", "gauge", "1 while the router runs.")
WORKERS = Spec("forebay_router_workers", "gauge", "Live workers of the router.")
MEMORY = Spec("forebay_router_memory_bytes", "gauge", "Memory of the router and all its workers.")
WORKER_MEMORY = Spec("forebay_router_worker_memory_bytes", "gauge", "Memory of each live worker by slot.", ("slot",))
MEMORY_LIMIT = Spec("forebay_router_memory_limit_bytes", "gauge", "The limits on memory, 0 for none.", ("kind",))
MEMORY_PEAK = Spec(
    "forebay_router_memory_peak_bytes", "gauge", "The most memory that the worker had which has ended last."
)
MEMORY_EVENTS = Spec(
    "forebay_router_memory_events_total", "counter", "Memory events of workers by slot.", ("slot", "event")
)
WORKER_ENDS = Spec("forebay_router_worker_ends_total", "counter", "Ends of workers by verdict.", ("verdict",))
OOM_KILLS = Spec(
    "forebay_router_oom_kills_total", "counter", "Processes killed by the kernel for want of memory.", ("limit",)
)
STALLED = Spec(
    "forebay_router_stalls_total", "counter", "Workers found alive at their limit without getting on.", ("kind",)
)
TIMEOUTS = Spec("forebay_router_timeouts_total", "counter", "Workers ended because one message took too long.")
STRIKES = Spec("forebay_router_strikes_total", "counter", "Strikes by cause.", ("cause",))
SET_ASIDE = Spec(
    "forebay_router_set_aside_total", "counter", "Messages set aside by cause and confidence.", ("cause", "confidence")
)
UNPUBLISHED = Spec(
    "forebay_router_unpublished_total", "counter", "Messages convicted without a fingerprint, so that nobody is warned."
)
CLAIMS = Spec("forebay_router_claims_total", "counter", "Ended claims: done with, or struck.", ("end",))
UNATTRIBUTED = Spec(
    "forebay_router_unattributed_ends_total", "counter", "Ends that are somebody's fault, and nobody knows whose."
)
FUSE_BLOWN = Spec("forebay_router_fuse_blown", "gauge", "1 while the fuse is blown.")
DETECTION = Spec(
    "forebay_router_detection_seconds", "histogram", "From a worker's end to the verdict on it.", buckets=_SECONDS
)
REACTION = Spec(
    "forebay_router_set_aside_seconds", "histogram", "From a worker's end to its message set aside.", buckets=_SECONDS
)
RESTARTS = Spec("forebay_router_restarts_total", "counter", "Restarts of the router.")
SPOOL_MESSAGES = Spec("forebay_router_spool_messages", "gauge", "Messages in the router's spool.")
SPOOL_OLDEST = Spec("forebay_router_spool_oldest_seconds", "gauge", "Age of the oldest message in the router's spool.")
SPOOL_SIZE = Spec("forebay_router_spool_size_bytes", "gauge", "Size of the file system where messages are set aside.")
SPOOL_AVAILABLE = Spec("forebay_router_spool_available_bytes", "gauge", "What of it is free.")
QUARANTINE_MESSAGES = Spec("forebay_router_quarantine_messages", "gauge", "Messages set aside.")
QUARANTINE_BYTES = Spec("forebay_router_quarantine_bytes", "gauge", "Their size.")
WITHHELD = Spec(
    "forebay_router_withheld_messages", "gauge", "Messages that wait for another one's trial, or for their own."
)
JOURNAL_ERRORS = Spec(
    "forebay_router_journal_errors_total", "counter", "Times that the journal could not be read or written."
)
CLAIM_OVERFLOWS = Spec(
    "forebay_router_claim_overflows_total", "counter", "Times that the kernel dropped records of opened files."
)
GATE_MESSAGES = Spec(
    "forebay_router_gate_messages_total", "counter", "Messages at the gate by what was done.", ("action",)
)
INFO = Spec(
    "forebay_router_sidecar_info", "gauge", "1, with the version, the way of enforcement and the adapter as labels.",
    ("version", "limits", "adapter"),
)  # fmt: skip

ALL: Final = (
    UP, WORKERS, MEMORY, WORKER_MEMORY, MEMORY_LIMIT, MEMORY_PEAK, MEMORY_EVENTS, WORKER_ENDS, OOM_KILLS, STALLED,
    TIMEOUTS, STRIKES, SET_ASIDE, UNPUBLISHED, CLAIMS, UNATTRIBUTED, FUSE_BLOWN, DETECTION, REACTION, RESTARTS,
    SPOOL_MESSAGES, SPOOL_OLDEST, SPOOL_SIZE, SPOOL_AVAILABLE, QUARANTINE_MESSAGES, QUARANTINE_BYTES, WITHHELD,
    JOURNAL_ERRORS, CLAIM_OVERFLOWS, GATE_MESSAGES, INFO,
)  # fmt: skip
