"""The metrics of the quarantine, the fingerprints and the store."""

from __future__ import annotations

from typing import Final

from forebay.metrics_spec import Spec

TAKEN: Final = ("entries", "hits", "damaged")
KINDS: Final = ("mta-hold", "spool")
OTHER: Final = "other"
MOST_CAUSES: Final = 300
"""The causes that are told apart: the store of a fleet is not ours alone, and what is in it could be anything."""
CLOSED: Final = ("released", "deleted", "vanished")

HITS = Spec("forebay_fingerprint_hits_total", "counter", "Messages like one that killed a router.")
FINGERPRINTS = Spec("forebay_fingerprints", "gauge", "Fingerprints that are matched, by kind.", ("kind",))
SUSPENDED = Spec(
    "forebay_fingerprints_suspended", "gauge", "Fingerprints that are matched no more because they hit good mail."
)
ADDITIONS = Spec(
    "forebay_fingerprint_additions", "gauge", "Fingerprints that sidecars have published within the last hour."
)
ADDITIONS_LIMIT = Spec(
    "forebay_fingerprint_additions_limit", "gauge", "How many they may, 0 for any number: additions_per_hour."
)
SNAPSHOT = Spec(
    "forebay_fingerprint_snapshot_timestamp_seconds", "gauge", "When the fingerprints were last read from the store."
)
PROPAGATION = Spec(
    "forebay_fingerprint_propagation_seconds", "histogram", "From the publication of a fingerprint to its use here.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)  # fmt: skip
ENTRIES = Spec(
    "forebay_quarantine_messages", "gauge", "Messages of this host that wait for a person, by kind.", ("kind",)
)
BYTES = Spec("forebay_quarantine_bytes", "gauge", "Bytes of messages of this host that wait for a person.", ("kind",))
OLDEST = Spec(
    "forebay_quarantine_oldest_timestamp_seconds",
    "gauge",
    "Since when the oldest of them waits, 0 for none.",
    ("kind",),
)
REASONS = Spec(
    "forebay_quarantine_reasons", "gauge", "Messages of this host that wait, by validator or cause.", ("cause",)
)
ACTIONS = Spec(
    "forebay_quarantine_closed",
    "gauge",
    "Entries of this host whose message is gone, by what became of it.",
    ("state",),
)
QUARANTINE_FULL = Spec("forebay_quarantine_full", "gauge", "1 while more waits than the quota allows.")
INTAKE = Spec("forebay_store_intake_total", "counter", "Record files taken into the store.", ("record",))
BACKLOG = Spec("forebay_store_backlog", "gauge", "Record files that are not in the store yet.")
STATE_SIZE = Spec("forebay_state_size_bytes", "gauge", "Size of the file system that the state directory is on.")
STATE_AVAILABLE = Spec("forebay_state_available_bytes", "gauge", "What of it is free.")
STORE_UP = Spec("forebay_store_up", "gauge", "1 while the store can be read and written.")
ERRORS = Spec("forebay_store_errors_total", "counter", "Times that the store could not be read or written.")

ALL: Final = (
    HITS, FINGERPRINTS, SUSPENDED, ADDITIONS, ADDITIONS_LIMIT, SNAPSHOT, PROPAGATION, ENTRIES, BYTES, OLDEST, REASONS, ACTIONS, QUARANTINE_FULL, INTAKE,
    BACKLOG, STATE_SIZE, STATE_AVAILABLE, STORE_UP, ERRORS,
)  # fmt: skip
