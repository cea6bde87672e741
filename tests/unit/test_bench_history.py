"""The history of the benchmarks: what it tells of a run that is slower than those before it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bench.kit import report
from bench.kit.mail import hostile, of_size, realistic
from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG
from forebay.config import Config
from forebay.judge.load import load_judge
from forebay.message.envelope import Envelope

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.testing import Message


def line(ratio: float, **changed: object) -> dict[str, Any]:
    """A run, one like any other."""
    return {"bench": "x", "python": "3.11.2", "cpus": 2, "ratios": {"cost": ratio}, **changed}


def test_a_run_that_is_slower_than_those_before_it_is_told() -> None:
    """By a good deal more than noise: the median of the runs before it counts."""
    before = [line(2.0), line(2.2), line(9.0)]
    assert report.regressions([*before, line(2.8)], "x") == []
    assert report.regressions([*before, line(2.9)], "x") == ["x: cost 2.90, before 2.20"]
    assert report.regressions([], "x") == report.regressions([line(1)], "y") == []


@pytest.mark.parametrize("other", [{"python": "3.13.0"}, {"cpus": 64}, {"bench": "y"}, {"ratios": {"another": 2.0}}])
def test_a_run_is_compared_with_its_like_only(other: dict[str, object]) -> None:
    """The same benchmark on the same Python and as many CPUs, and with enough of them."""
    assert report.regressions([line(2.0, **other), line(2.0), line(2.0), line(20)], "x") == []


def test_a_run_is_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table, or as a line of JSON; a damaged line of the history is no obstacle."""
    monkeypatch.setattr(report, "HISTORY", tmp_path / "bench.jsonl")
    monkeypatch.setattr("sys.argv", ["x"])
    for cost in (1.0, 1.0, 1.0, 2.0):
        report.report("x", ("what", "us"), [("this", 7)], {"cost": cost})
    said = capsys.readouterr().out
    assert "| this | 7 |" in said
    assert said.endswith("slower than before: x: cost 2.00, before 1.00\n")
    with report.HISTORY.open("a") as file:
        file.write("{\n")
    assert [run["ratios"]["cost"] for run in report.read(report.HISTORY)] == [1, 1, 1, 2]
    monkeypatch.setattr("sys.argv", ["x", "--json"])
    report.report("x", ("what", "us"), [("this", 7)], {"cost": 1.0})
    assert json.loads(capsys.readouterr().out)["rows"] == [{"what": "this", "us": 7}]


def test_what_is_measured_with_is_what_it_is_called() -> None:
    """Realistic mail is taken, hostile mail is noticed at least; both fit into what Postfix passes on."""
    judge = load_judge(Config())

    def action(message: Message) -> object:
        return judge.judge(message.fields, Envelope(message.sender, message.recipients), message.body).action

    assert {action(each) for each in [*realistic(60), of_size(1000), of_size(58_000)]} <= {ACCEPT, TAG}
    assert REJECT in {action(each) for each in hostile()} <= {TAG, QUARANTINE, REJECT}
    for each in [*hostile(), of_size(58_000)]:
        assert 50_000 < sum(len(name) + len(value) for name, value in each.fields) < 62_000
