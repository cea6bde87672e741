"""The sections [router], [router.limits] and [sidecar]: every mistake is told, and what to write instead."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from forebay.cli.sidecar import load
from forebay.config import Config
from forebay.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

WRONG = """
[router]
adapter = "zmialer"
workers = "("
spool = ["/a"]
input = ["/a", "/b"]
colour = "red"
[router.limits]
memory = "64M"
memory_brake = "65M"
total_memory = "32M"
strikes = 0
message_time = "long"
[sidecar]
mode = "watch"
set_aside_max = -1
metrics = "9892"
limits = "cgroup"
"""


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Each with its place, and the nearest name where one was misspelt."""
    path = tmp_path / "forebay.toml"
    path.write_text(WRONG)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    told = {mistake.place: mistake.text for mistake in caught.value.mistakes}
    assert set(told) == {
        "router.adapter", "router.workers", "router.input", "router.colour", "router.limits.memory_brake",
        "router.limits.total_memory", "router.limits.strikes", "router.limits.message_time", "sidecar.mode",
        "sidecar.set_aside_max", "sidecar.metrics", "sidecar.limits",
    }  # fmt: skip
    assert "did you mean zmailer?" in told["router.adapter"]
    assert caught.value.exit_code == os.EX_CONFIG


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[router]\nadapter = "spool"\n', "router.spool"),
        ('[router]\nadapter = "spool"\nspool = ["/a"]\nclaim = "x{pid}"\n', "router.claim"),
        ('[router]\nadapter = "command"\nspool = ["/a"]\ncommand = ["/bin/true"]\n', "router.command"),
    ],
)
def test_adapters_tell_what_they_lack(tmp_path: Path, text: str, place: str) -> None:
    """A spool without directories, a claim without a name, a command without a place for the message."""
    path = tmp_path / "forebay.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert [mistake.place for mistake in caught.value.mistakes] == [place]


def test_the_defaults_make_sense() -> None:
    """The brake lies at least 10 MiB below the limit, and the reserve is never given away."""
    limits = Config().router.limits
    assert limits.brake <= limits.memory - (10 << 20)
    assert limits.total <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - limits.reserve
    assert Config().router.adapter == "none"
