"""A router with a killer in its spool: who is struck, what is moved, what goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

STYLES = ["open", "new", "old", "single"]
GOOD = 24


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("do", ["memory", "crash", "abort"])
def test_a_killer_is_retried_once_and_set_aside(sites: Callable[..., Site], style: str, do: str) -> None:
    """A killer costs at most strikes + workers - 1 workers, lies aside, and every good message is routed once."""
    site = sites(style)
    site.start()
    for number in range(GOOD // 2):
        site.put(f"a{number}")
    killer = site.put("killer", do)
    status = killer.stat()
    for number in range(GOOD // 2):
        site.put(f"b{number}")
    site.wait(lambda: len(set(site.delivered())) == GOOD and site.aside_names() == ["killer"])
    assert sorted(site.delivered()) == sorted(set(site.delivered()))
    entry = site.entries("aside")[0]
    now = Path(entry.aside).stat()
    assert (now.st_ino, now.st_mtime_ns, now.st_mode) == (status.st_ino, status.st_mtime_ns, status.st_mode)
    assert entry.cause == {"abort": "crash"}.get(do, do)
    lost = site.kills("lost")  # where nobody tells how a process has ended, three ends are one strike
    # Where it could not be told which of two messages was to blame, it is withheld and let back, to one more round.
    rounds = site.log().count(f"withheld (suspect): {killer}")
    assert 2 <= site.kills(entry.cause) + lost <= 2 + 4 - 1 + 2 * lost + 4 * rounds, site.log()
    assert Path(entry.aside).with_suffix(".json").is_file()


def test_its_story_is_in_the_log_for_machines_too(sites: Callable[..., Site]) -> None:
    """As JSON each strike, set-aside and release is one line with members of its own."""
    site = sites("new", log__format="json")
    site.start()
    where = str(site.put("killer", "exit 3"))
    site.wait(lambda: site.aside_names() == ["killer"])
    entry = site.entries("aside")[0]
    assert site.cli("quarantine", "release", entry.id) == 0
    site.wait(lambda: '"released"' in site.log())
    told = [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]
    first = {each["event"]: each for each in reversed(told) if "event" in each}
    about = {"cause": "error", "confidence": "certain", "path": where}
    entry_too = about | {"entry": entry.id, "bytes": entry.size}
    for event, members in (("strike", about | {"strikes": 1}), ("set-aside", entry_too), ("released", entry_too)):
        written = first[event]
        assert written == {name: written[name] for name in ("time", "level", "pid", "message", "event")} | members


@pytest.mark.parametrize(("do", "cause"), [("cpu", "cpu"), ("disk", "disk"), ("exit 3", "error"), ("helper", "memory")])
def test_other_ways_to_kill(sites: Callable[..., Site], do: str, cause: str) -> None:
    """Burning CPU, filling the disk, an error status and a killed helper are strikes as well."""
    site = sites("single" if do == "helper" else "new", router__limits__file_size=16 << 20,
                 router__limits__message_cpu=1.0 if do == "cpu" else 20.0)  # fmt: skip
    site.start()
    site.put("good")
    site.put("killer", "memory" if do == "helper" else do)
    site.wait(lambda: site.aside_names() == ["killer"] and site.delivered() == ["good"])
    assert site.entries("aside")[0].cause == cause
    assert "nobody knows" not in site.log()  # several may have died of it at once
    if site.zmailer:
        site.wait(lambda: list((site.office / "public").iterdir()) == [])


def test_a_message_that_waits_is_never_moved(sites: Callable[..., Site]) -> None:
    """During a DNS outage workers are ended for the time, no message is struck, and mail goes on afterwards."""
    site = sites("new", router__limits__message_time=1.0, router__limits__message_cpu=0.9)
    site.outage.touch()
    site.start()
    for number in range(6):
        site.put(f"m{number}", "dns")
    site.wait(lambda: site.kills("waiting") >= 8)
    assert site.entries() == []
    site.outage.unlink()
    site.wait(lambda: len(set(site.delivered())) == 6)


def test_a_status_of_75_is_no_strike(sites: Callable[..., Site]) -> None:
    """Try again later is what it says."""
    site = sites("single")
    site.start()
    site.put("later", "exit 75")
    site.wait(lambda: site.kills("deferred") == 1)
    assert site.entries() == []


def test_without_cgroups_memory_is_polled(sites: Callable[..., Site]) -> None:
    """With rlimits alone the killer is found too, and set aside."""
    site = sites("new", sidecar__limits="rlimit")
    site.start()
    site.put("good")
    site.put("killer", "memory")
    site.wait(lambda: site.aside_names() == ["killer"] and site.delivered() == ["good"])
