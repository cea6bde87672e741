"""The alerts: each fires when it has to and not otherwise, and tells a person what to do."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from forebay import metrics, metrics_router
from metrics.prometheus_kit import GRAFANA, RULES, SUITES, names, newer_promtool, promtool

if TYPE_CHECKING:
    from metrics.rules_kit import Rule

CASES: Final[dict[str, dict[str, Any]]] = tomllib.loads(Path(__file__).with_name("alert_cases.toml").read_text())
RUNBOOKS: Final = GRAFANA / "runbooks.md"
INSTANCE: Final = "host:1"
PACE: Final = "1m"
PARTS: Final = {"What it means", "What to look at", "What to do"}


def test_the_rules_are_sound() -> None:
    """Promtool has nothing to say about the file."""
    assert "rules found" in promtool("check", "rules", str(RULES))


def test_every_alert_fires_and_does_not(rules: dict[str, Rule], tmp_path: Path) -> None:
    """Each alert at its time, with its labels and words, and before and after that not."""
    assert set(rules) == set(CASES)
    assert "SUCCESS" in promtool("test", "rules", *unit_tests(rules, tmp_path))


@pytest.mark.parametrize("suite", SUITES)
def test_newer_debians_agree(rules: dict[str, Rule], tmp_path: Path, suite: str) -> None:
    """The same with what newer Debians have."""
    tree = newer_promtool(suite)
    assert "rules found" in promtool("check", "rules", str(RULES), tree=tree)
    assert "SUCCESS" in promtool("test", "rules", *unit_tests(rules, tmp_path), tree=tree)


def test_every_alert_has_its_section_and_every_section_its_alert(rules: dict[str, Rule]) -> None:
    """An alert links to what it means, what to look at and what to do; nothing else stands there."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL))
    assert list(sections) == re.findall(r"alert: (\w+)", RULES.read_text())  # Prometheus has an order of its own
    assert sections.keys() == rules.keys()
    for name, rule in rules.items():
        assert rule.annotations["runbook_url"] == f"grafana/runbooks.md#{name.lower()}"
        assert set(re.findall(r"^\*\*(.*?)\.\*\*", sections[name], re.MULTILINE)) == PARTS, name
        assert re.search(r"^```sh$", sections[name], re.MULTILINE), f"{name}: no command"


def test_every_alert_says_what_and_how_bad(rules: dict[str, Rule]) -> None:
    """A summary with the host, a sentence that explains it, and one of two severities."""
    for rule in rules.values():
        assert rule.labels.keys() == {"severity"}
        assert rule.labels["severity"] in {"critical", "warning"}
        assert rule.annotations.keys() == {"summary", "description", "runbook_url"}
        assert "$labels.instance" in rule.annotations["summary"]
        assert "{{" not in rule.annotations["description"]


def test_alerts_use_metrics_that_exist(rules: dict[str, Rule]) -> None:
    """A name in an expression is one that is exported."""
    exported = {each.name for each in (*metrics.ALL, *metrics_router.ALL)}
    assert set().union(*(names(each.query) for each in rules.values())) <= exported


def unit_tests(rules: dict[str, Rule], folder: Path) -> list[str]:
    """The cases as promtool wants them, a file for each pace: a day at the quick one takes too long."""
    files = []
    for pace in {case.get("every", PACE) for case in CASES.values()}:
        tests = [group(rules[name], case) for name, case in CASES.items() if case.get("every", PACE) == pace]
        path = folder / f"tests-{pace}.yml"
        path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": pace, "tests": tests}))
        files.append(str(path))
    return files


def group(rule: Rule, case: dict[str, Any]) -> dict[str, Any]:
    """One case. What it says is the rule's own text, filled in by hand where there is a value in it."""
    job = "forebay-sidecar" if "Router" in rule.name or rule.name == "ForebaySidecarDown" else "forebay-milter"
    common = {"job": job, "instance": INSTANCE}
    labels = rule.labels | common | case.get("labels", {})
    summary = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], rule.annotations["summary"])
    annotations = rule.annotations | {"summary": case.get("summary", summary)}
    firing = [{"exp_labels": labels, "exp_annotations": annotations}]
    moments = [(each, firing) for each in case["fires"]] + [(each, []) for each in case["quiet"]]
    return {
        "interval": case.get("every", PACE),
        "input_series": [
            {"series": labelled(name, common), "values": values} for name, values in case["series"].items()
        ],
        "alert_rule_test": [
            {"eval_time": moment, "alertname": rule.name, "exp_alerts": expected} for moment, expected in moments
        ],
    }


def labelled(series: str, more: dict[str, str]) -> str:
    """A series with more labels."""
    name, _, rest = series.partition("{")
    given = [rest.removesuffix("}")] if rest else []
    added = [f'{key}="{value}"' for key, value in more.items()]
    return f"{name}{{{','.join([*given, *added])}}}"
