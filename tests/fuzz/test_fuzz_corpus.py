"""What the fuzzer began with and what it found, again in every run: atheris is not needed for that."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Final

import pytest

from fuzz.run import within
from fuzz.targets import TARGETS
from fuzz.verdict_targets import growth

CORPUS: Final = Path(__file__).with_name("corpus")
FILES: Final = sorted(path for path in CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_has_to_hold_holds(path: Path) -> None:
    """For these bytes, and for each half of them."""
    data = path.read_bytes()
    target = TARGETS[path.parent.name]
    for part in (data,) if target is growth else (data, data[: len(data) // 2], data[len(data) // 2 :]):
        target(part)


def test_every_target_begins_with_something() -> None:
    """Each has a folder with a few files, and there is no other."""
    assert {path.parent.name for path in FILES} == set(TARGETS)
    assert 40 <= len(FILES) <= 200
    assert all(path.stat().st_size <= 6000 for path in FILES)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_at_all_is_borne(name: str) -> None:
    """The first bytes that a fuzzer tries are none."""
    TARGETS[name](b"")


def test_who_burns_the_cpu_is_found_and_who_waits_is_not() -> None:
    """On a busy machine an input waits for its turn."""
    before = signal.getsignal(signal.SIGPROF)
    try:
        within(0.1, lambda _: time.sleep(0.3))(b"")
        with pytest.raises(TimeoutError):
            within(0.1, _burn)(b"")
    finally:
        signal.signal(signal.SIGPROF, before)


def _burn(_: bytes) -> None:
    while True:
        pass
