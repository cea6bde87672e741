"""The dashboards as a test sees them: their panels' expressions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from metrics.prometheus_kit import GRAFANA

BOARDS: Final = ("mail-gate", "router-guard")


@dataclass(frozen=True, slots=True)
class Target:
    """One expression of a panel."""

    board: str
    panel: str
    expression: str
    legend: str

    def ready(self, window: str, span: str, instance: str = ".*") -> str:
        """The expression for these windows, with everything chosen but the host."""
        text = self.expression.replace("$__rate_interval", window).replace("$__range", span)
        return re.sub(r"\$(job|validator)", ".*", text).replace("$instance", instance)


def board(name: str) -> dict[str, Any]:
    """A dashboard as it is shipped."""
    return dict(json.loads((GRAFANA / "dashboards" / f"{name}.json").read_text()))


def targets() -> list[Target]:
    """All expressions of all panels."""
    return [
        Target(name, panel["title"], target["expr"], target["legendFormat"])
        for name in BOARDS for panel in board(name)["panels"] for target in panel["targets"]
    ]  # fmt: skip
