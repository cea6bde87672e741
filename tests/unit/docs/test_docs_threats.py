"""The threat model: every threat names tests, and the tests are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from unit.docs.documents import REFERENCE, section

ROOT: Final = Path(__file__).parents[3]
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def threats() -> list[str]:
    """The rows of the table."""
    text = section(REFERENCE, "## Security")
    rows = [line for line in text.partition("### Threats")[2].splitlines() if line.startswith("| ")]
    return rows[2:]


@pytest.mark.parametrize("threat", threats(), ids=lambda row: row.split("|")[2].strip()[:60])
def test_every_threat_has_its_tests(threat: str) -> None:
    """Each row names at least one test, and each of them is written."""
    named = _TEST.findall(threat)
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, path


def test_all_who_can_reach_something_are_there() -> None:
    """Those that an administrator would ask about."""
    who = {row.split("|")[1].strip() for row in threats()}
    assert {"SMTP client", "local user", "plugin", "the database", "reader of metrics"} <= who
