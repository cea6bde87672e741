"""What `forebay check` costs: in proportion to the number of messages and to the size of each, whatever is in them."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.cli.conftest import Forebay

GOOD = (
    b"Received: from a.example (a.example [192.0.2.1]) by b.example with ESMTP id x; Thu, 22 Aug 2002 12:36:23 +0000\n"
    b"From: Jane <jane@example.org>\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: hello\n"
)
PER_DOUBLING = 3.2
"""Twice, and room for a machine that has something else to do."""


def cheapest(function: Callable[[], object], times: int) -> float:
    """CPU seconds of the cheapest of some calls."""
    spent = []
    for _ in range(times):
        started = time.process_time()
        function()
        spent.append(time.process_time() - started)
    return min(spent)


def grows(small: Callable[[], object], large: Callable[[], object]) -> float:
    """How many times as much the larger takes; measured again where the machine may have been at fault."""
    ratio = float("inf")
    for _ in range(4):
        ratio = min(ratio, cheapest(large, 3) / cheapest(small, 3))
        if ratio < PER_DOUBLING:
            break
    return ratio


def test_four_times_the_messages_take_four_times_the_time(forebay: Forebay, tmp_path: Path) -> None:
    """A directory costs what its messages cost; what is loaded once only makes the ratio smaller."""
    for directory, number in (("few", 400), ("many", 1600)):
        (tmp_path / directory).mkdir()
        for each in range(number):
            (tmp_path / directory / f"{each}.eml").write_bytes(GOOD + b"\nbody\n")
    few = cheapest(lambda: forebay("check", tmp_path / "few"), 3)
    many = cheapest(lambda: forebay("check", tmp_path / "many"), 3)
    assert many < 7 * few


HOSTILE = {
    "brackets": (b"To:", b" [[]"),
    "folds": (b"Subject:", b"\n x"),
    "fields": (b"X: y", b"\nX: y"),
    "blank lines that are none": (b"X: y", b"\n \n\t"),
    "returns": (b"X:", b"\r"),
    "zeros": (b"X:", b"a\0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_header_takes_twice_the_time(forebay: Forebay, tmp_path: Path, name: str) -> None:
    """Cut, judged and shown."""
    beginning, again = HOSTILE[name]
    paths = []
    for size in (1 << 19, 1 << 20):
        path = tmp_path / str(size)
        path.write_bytes(GOOD + beginning + again * (size // len(again)) + b"\n\nbody\n")
        paths.append(path)
    assert grows(lambda: forebay("check", paths[0]), lambda: forebay("check", paths[1])) < PER_DOUBLING


def test_a_large_header_is_kept_a_few_times_and_no_more(forebay: Forebay, tmp_path: Path) -> None:
    """10 MB of it, by the default budgets."""
    path = tmp_path / "large"
    path.write_bytes(GOOD + b"To:" + b" [[]" * 2_500_000 + b"\n\nbody\n")
    forebay("check", tmp_path / "large")
    tracemalloc.start()
    try:
        assert forebay("check", path).status == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 << 20
