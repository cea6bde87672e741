"""An alert as Prometheus reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Its name, expression, seconds that it has to hold, labels and annotations."""

    name: str
    query: str
    seconds: float
    labels: dict[str, str]
    annotations: dict[str, str]
