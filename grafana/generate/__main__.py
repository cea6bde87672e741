"""Writes the dashboards: python grafana/generate [DIRECTORY], by default into grafana/dashboards."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from mail_gate import mail_gate
from router_guard import router_guard

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard


def without_nulls(value: Any) -> Any:
    """What is not set is left out; but the first step of thresholds has null for its value."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None or key == "value"}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def text(board: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    plain = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    return json.dumps(without_nulls(plain), indent=2, ensure_ascii=False) + "\n"


def main(directory: Path) -> None:
    """Write each into a file of its name."""
    for name, board in (("mail-gate", mail_gate()), ("router-guard", router_guard())):
        (directory / f"{name}.json").write_text(text(board), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "dashboards")
