"""The rules as Prometheus itself reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metrics.rules_kit import read_rules

if TYPE_CHECKING:
    from metrics.rules_kit import Rule


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    """All alerts by name."""
    return read_rules(tmp_path_factory.mktemp("rules"))
