"""The dashboards: what the generator writes, in the schema of Grafana, with words to everything, over metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from forebay import metrics, metrics_router
from metrics.boards_kit import BOARDS, Target, board, targets
from metrics.prometheus_kit import GRAFANA, names

if TYPE_CHECKING:
    from pathlib import Path

    from metrics.rules_kit import Rule

TYPES: Final = {"timeseries", "stat", "bargauge", "gauge", "table"}
"""What Grafana's own UI library draws outside of Grafana as well."""
AD_HOC: Final = {
    "forebay_build_info": "which version runs where",
    "forebay_router_sidecar_info": "which version runs where, and how it enforces limits",
}
"""Exported for whoever asks, and shown nowhere but in variables and as a condition."""


def test_the_dashboards_are_what_the_generator_writes(tmp_path: Path) -> None:
    """Whoever changes one by hand, or the generator without it, is told."""
    subprocess.run((sys.executable, str(GRAFANA / "generate"), str(tmp_path)), check=True)
    for name in BOARDS:
        assert (tmp_path / f"{name}.json").read_text() == (GRAFANA / "dashboards" / f"{name}.json").read_text(), name


@pytest.mark.parametrize("name", BOARDS)
def test_every_key_is_one_of_grafanas_schema(name: str) -> None:
    """What is read by the SDK and written again has lost nothing: a key that is misspelt would be lost."""
    register_default_plugins()
    there = board(name)
    again = json.loads(json.dumps(Dashboard.from_json(there), cls=JSONEncoder))
    assert list(lost(there, again)) == []


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows(name: str) -> None:
    """A title of its own, a description in a sentence, a unit, a data source that can be chosen, a place on the grid."""
    panels = board(name)["panels"]
    assert len({each["title"] for each in panels}) == len(panels) == len({each["id"] for each in panels})
    for each in panels:
        assert each["type"] in TYPES
        assert re.fullmatch(r"[A-Z0-9].{15,}\.", each["description"]), each["title"]
        assert each["fieldConfig"]["defaults"]["unit"]
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert each["targets"]
        place = each["gridPos"]
        assert place["x"] + place["w"] <= 24
    assert overlaps([each["gridPos"] for each in panels]) == []


@pytest.mark.parametrize("name", BOARDS)
def test_hosts_can_be_chosen(name: str) -> None:
    """Data source, job and instance are variables, all of them at first; the range is one for a first look."""
    there = board(name)
    variables = {each["name"]: each for each in there["templating"]["list"]}
    wanted = ["datasource", "job", "instance", *(["validator"] if name == "mail-gate" else [])]
    assert list(variables) == wanted
    for each in wanted[1:]:
        assert variables[each]["includeAll"]
        assert variables[each]["current"]["value"] == "$__all"
    assert (there["time"]["from"], there["refresh"], there["editable"]) == ("now-3h", "30s", False)


@pytest.mark.parametrize("each", targets(), ids=lambda each: f"{each.board}: {each.panel}")
def test_every_expression_is_as_a_linter_wants_it(each: Target) -> None:
    """It is for the chosen hosts, has a legend, counts counters by rate or increase, in Grafana's own window."""
    assert each.legend
    for selector in re.findall(r"forebay_\w+\{([^}]*)\}", each.expression):
        assert selector.startswith('job=~"$job",instance=~"$instance"')
    assert not re.search(r"forebay_\w+(?![\w{])", each.expression), "a metric without a selector"
    for window in re.findall(r"\[(.*?)\]", each.expression):
        assert window in {"$__rate_interval", "$__range"}
    for name in re.findall(r"forebay_\w+(?:_total|_bucket)\b", each.expression):
        assert re.search(rf"(?:rate|increase)\({name}\{{", each.expression), name


def test_every_metric_is_used_and_every_name_exists(rules: dict[str, Rule]) -> None:
    """A metric is in a panel, in an alert, or said to be for ad-hoc use; a panel or alert names none that is not there."""
    exported = {each.name for each in (*metrics.ALL, *metrics_router.ALL)}
    shown = set().union(
        *(names(each.expression) for each in targets()), *(names(each.query) for each in rules.values())
    )
    assert shown <= exported
    assert exported - shown - set(AD_HOC) == set()
    assert set(AD_HOC) <= exported


def lost(before: Any, after: Any, where: str = "") -> list[str]:
    """The places that are not there any more, or have another value."""
    if isinstance(before, dict):
        after = after if isinstance(after, dict) else {}
        return [place for key, value in before.items() for place in lost(value, after.get(key), f"{where}.{key}")]
    if isinstance(before, list):
        after = after if isinstance(after, list) else []
        pairs = zip(before, [*after, *[None] * len(before)], strict=False)
        return [place for number, (one, other) in enumerate(pairs) for place in lost(one, other, f"{where}[{number}]")]
    return [] if before == after else [f"{where}: {before} became {after}"]


def overlaps(places: list[dict[str, int]]) -> list[tuple[int, int]]:
    """The pairs of panels that lie on each other."""
    return [
        (one, other)
        for one, a in enumerate(places) for other, b in enumerate(places)
        if one < other and a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    ]  # fmt: skip
