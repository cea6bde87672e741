"""What all tests have in common: how hypothesis looks for counterexamples.

This file also makes `tests/` importable, so that a test can take `unit.message.hostile_mime` from its neighbour.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: a busy machine must fail nobody's test.
settings.register_profile("long", deadline=None, suppress_health_check=(HealthCheck.too_slow,), max_examples=5000)
# The same examples in every run, so that what passes here passes there; a long run looks for new ones.
settings.register_profile(
    "quick", deadline=None, suppress_health_check=(HealthCheck.too_slow,), derandomize=True, database=None
)
settings.load_profile("long" if os.environ.get("FOREBAY_TESTS_LONG") else "quick")
