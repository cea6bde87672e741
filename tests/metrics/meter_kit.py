"""A sidecar's counters to which everything has happened."""

from __future__ import annotations

from forebay.api.router import Confidence
from forebay.sidecar.limits.leaf import Counters
from forebay.sidecar.metering import Meter
from forebay.sidecar.verdict import STRIKES, Verdict


def whole_meter(slots: int) -> Meter:
    """A sidecar's counters after everything has happened that can, in so many slots."""
    meter = Meter("1.0")
    meter.about("cgroup-v2", "zmailer")
    for slot in range(slots):
        meter.began(slot)
        meter.uses(slot, 1 << 20)
        meter.events(slot, Counters(1, 2, 3, 4, 5))
    for verdict in STRIKES:
        meter.struck(verdict)
        for confidence in Confidence:
            if confidence:
                meter.convicted(verdict.value, confidence.word)
    for each in Verdict:
        meter.ends[each].inc()
    return meter
