"""The gate: mail written straight into the spool is judged before the router sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

EVIL_HEADER = "To: " + "[[] " * 40 + "x@example.com\n"


@pytest.mark.parametrize("style", ["new", "open"])
def test_what_validators_refuse_never_reaches_the_router(sites: Callable[..., Site], style: str) -> None:
    """A good file passes, an evil one becomes an entry that says why; released, it passes to the router."""
    site = sites(style)
    door = site.root / "door"
    door.mkdir()
    site.settings["router.input"] = [str(door)]
    site.start()
    queue, site.queue = site.queue, door
    site.put("good")
    path = site.put("evil", header=EVIL_HEADER)
    inode = path.stat().st_ino
    site.queue = queue
    site.wait(lambda: site.delivered() == ["good"] and site.aside_names() == ["evil"])
    entry = site.entries("aside")[0]
    assert (entry.cause, Path(entry.aside).stat().st_ino) == ("gate", inode)
    assert "address" in json.loads(entry.evidence)["reason"]
    assert site.cli("quarantine", "release", entry.id) == 0
    site.wait(lambda: site.delivered() == ["good", "evil"])


def test_an_evil_recipient_in_the_envelope_is_refused(sites: Callable[..., Site]) -> None:
    """Envelope lines are judged as well: that is what the smallest known killer consists of."""
    site = sites("new")
    door = site.root / "door"
    door.mkdir()
    site.settings["router.input"] = [str(door)]
    site.start()
    queue, site.queue = site.queue, door
    made = site.put("evil")
    text = made.read_text().replace("to <b@example.com>", 'to <bob@[127.0.0."1]>', 1)
    hidden = made.with_name(".new")
    hidden.write_text(text)
    hidden.rename(door / "77")
    site.queue = queue
    site.wait(lambda: "evil" in site.aside_names())


def test_a_copy_of_a_killer_is_refused_by_its_fingerprint(sites: Callable[..., Site]) -> None:
    """What has killed a worker does not pass again, although no validator finds anything in it."""
    site = sites("open")
    door = site.root / "door"
    door.mkdir()
    site.settings["router.input"] = [str(door)]
    site.start()
    site.put("killer", "crash", sender="k@example.org")
    site.wait(lambda: site.aside_names() == ["killer"])
    again = Path(site.entries("aside")[0].aside).read_bytes()
    (door / "again").write_bytes(again)
    site.wait(lambda: len(site.entries("aside")) == 2)
    assert json.loads(site.entries("aside")[1].evidence)["reason"] == "fingerprint"
