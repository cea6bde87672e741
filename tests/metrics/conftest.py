"""The rules as Prometheus itself reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from forebay.quickstart.ports import free_port
from metrics.prometheus_kit import RULES, prometheus, server
from metrics.rules_kit import Rule


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    """All alerts by name."""
    folder = tmp_path_factory.mktemp("rules")
    folder.joinpath("prometheus.yml").write_text(json.dumps({"rule_files": [str(RULES)]}))
    port = free_port()
    with server(prometheus(port, folder), port, folder) as running:
        groups: list[dict[str, Any]] = running.get("/api/v1/rules")["data"]["groups"]
    found = [
        Rule(each["name"], each["query"], each["duration"], each["labels"], each["annotations"])
        for group in groups for each in group["rules"]
    ]  # fmt: skip
    return {each.name: each for each in found}
