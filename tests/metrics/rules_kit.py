"""The alerts as Prometheus itself reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forebay.quickstart.ports import free_port
from metrics.prometheus_kit import RULES, prometheus, server

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rule:
    """Its name, expression, seconds that it has to hold, labels and annotations."""

    name: str
    query: str
    seconds: float
    labels: dict[str, str]
    annotations: dict[str, str]


def read_rules(folder: Path) -> dict[str, Rule]:
    """All alerts by name; a Prometheus runs in that folder for it."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("prometheus.yml").write_text(json.dumps({"rule_files": [str(RULES)]}))
    port = free_port()
    with server(prometheus(port, folder), port, folder) as running:
        groups: list[dict[str, Any]] = running.get("/api/v1/rules")["data"]["groups"]
    found = [
        Rule(each["name"], each["query"], each["duration"], each["labels"], each["annotations"])
        for group in groups for each in group["rules"]
    ]  # fmt: skip
    return {each.name: each for each in found}
