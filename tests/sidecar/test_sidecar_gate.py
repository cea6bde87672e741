"""The gate: mail written straight into the spool is judged before the router sees it."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api.router import Site as AdapterSite
from forebay.config import Config
from forebay.judge import fingerprints, passes
from forebay.judge.fingerprints import Snapshot
from forebay.sidecar.examine import Examined, Examiner
from forebay.sidecar.journal import NAME
from forebay.sidecar.routers.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.sidecar_kit import Site

EVIL_HEADER = "To: " + "[[] " * 40 + "x@example.com\n"


@pytest.mark.parametrize("style", ["new", "open"])
def test_what_validators_refuse_never_reaches_the_router(sites: Callable[..., Site], style: str) -> None:
    """A good file passes, an evil one becomes an entry that says why; released, it passes to the router."""
    site = gated(sites(style))
    site.start()
    queue, site.queue = site.queue, door(site)
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
    site = gated(sites("new"))
    site.start()
    queue, site.queue = site.queue, door(site)
    made = site.put("evil")
    text = made.read_text().replace("to <b@example.com>", 'to <bob@[127.0.0."1]>', 1)
    hidden = made.with_name(".new")
    hidden.write_text(text)
    hidden.rename(door(site) / "77")
    site.queue = queue
    site.wait(lambda: "evil" in site.aside_names())


def test_a_copy_of_a_killer_is_refused_by_its_fingerprint(sites: Callable[..., Site]) -> None:
    """What has killed a worker does not pass again, although no validator finds anything in it."""
    site = gated(sites("open"))
    site.start()
    site.put("killer", "crash", sender="k@example.org")
    site.wait(lambda: site.aside_names() == ["killer"])
    again = Path(site.entries("aside")[0].aside).read_bytes()
    write(site, "again", again)
    site.wait(lambda: len(site.entries("aside")) == 2)
    assert json.loads(site.entries("aside")[1].evidence)["reason"].startswith("fingerprint: ")


def test_a_copy_of_what_is_being_tried_again_waits_at_the_gate(sites: Callable[..., Site]) -> None:
    """Between a strike and the end of the retry nobody else is to die of the same; it went well, so the copy passes."""
    site = gated(sites("open", workers=1))
    site.router_options = ["--scan", "4"]
    site.outage.touch()
    site.start()
    site.put("first", "frail", identity="same")
    site.wait(lambda: "may run once more" in site.log())
    queue, site.queue = site.queue, door(site)
    site.put("copy", "frail", identity="same")
    site.put("good")
    site.queue = queue
    site.wait(lambda: sorted(site.waiting()) == ["first", "good"])
    time.sleep(1)  # in which it is looked at again
    assert [each.name for each in door(site).iterdir()] == ["copy"]
    site.outage.unlink()
    site.wait(lambda: sorted(site.delivered()) == ["good", "same", "same"])
    assert "withheld" not in site.log()


def test_what_another_host_has_published_is_refused(sites: Callable[..., Site]) -> None:
    """By both kinds of fingerprints; one that turns out to be that of many messages is not matched any more."""
    site = gated(sites("open", fingerprints__suspend_after=2))
    site.settings['policy.actions."*"'] = "accept"
    evil = MESSAGE.replace("To: b@", EVIL_HEADER + "X: b@").encode()
    shaped, exact = examined(site, evil), examined(site, MESSAGE.encode())
    assert shaped.shape
    assert not exact.shape
    publish(site, shape=shaped.shape, exact=exact.exact)
    site.start()
    write(site, "shaped", evil.replace(b"Subject: hello", b"Subject: another"))
    site.wait(lambda: len(site.entries("aside")) == 1)
    for number in range(4):
        write(site, f"copy{number}", MESSAGE.encode())
        site.wait(lambda number=number: len(site.entries("aside")) + len(site.delivered()) == number + 2)
    assert [each.cause for each in site.entries("aside")] == ["gate"] * 3
    assert len(site.delivered()) == 2
    assert "is not matched in the spool any more" in site.log()


def test_what_waits_in_the_spool_is_compared_with_what_is_published(sites: Callable[..., Site]) -> None:
    """A copy of what another host's router died of is taken aside before it is taken up; released, it is left alone."""
    site = sites("open", workers=1)
    site.outage.touch()
    site.start()
    site.put("busy", "dns")
    site.wait(lambda: site.holders("busy"))
    site.put("copy")
    publish(site, exact=examined(site, (site.queue / "copy").read_bytes()).exact)
    site.wait(lambda: site.aside_names() == ["copy"])
    entry = site.entries("aside")[0]
    assert (entry.cause, json.loads(entry.evidence)["matched"][:5]) == ("copy", "exact")
    assert site.cli("quarantine", "release", entry.id) == 0
    site.put("other", sender="c@example.org")
    time.sleep(3)  # in which the spool is looked at: nothing is to happen
    site.outage.unlink()
    site.wait(lambda: set(site.delivered()) == {"busy", "copy", "other"})


def test_what_was_released_from_the_mta_passes_once(sites: Callable[..., Site]) -> None:
    """What a person let out of the MTA's quarantine is not set aside by the gate, nor in the spool behind it; a copy is."""
    site = gated(sites("open"))
    evil = MESSAGE.replace("To: b@", EVIL_HEADER + "X: b@").encode()
    found = examined(site, evil)
    assert found.exact
    publish(site, shape=found.shape, exact=found.exact)
    passes.offer(site.root / "state", found.exact.hex(), "1234abcd")
    site.start()
    write(site, "released", evil)
    site.wait(lambda: len(site.delivered()) == 1)
    assert "released as entry 1234abcd" in site.log()
    write(site, "again", evil)
    site.wait(lambda: [each.cause for each in site.entries("aside")] == ["gate"])
    assert len(site.delivered()) == 1


def test_what_was_revoked_does_not_stop_a_copy_of_a_killer(sites: Callable[..., Site]) -> None:
    """A conviction of this host gives way to a person's word; the killer itself stays aside."""
    site = gated(sites("open"))
    site.start()
    site.put("killer", "crash", sender="k@example.org")
    site.wait(lambda: site.aside_names() == ["killer"])
    entry = site.entries("aside")[0]
    again = Path(entry.aside).read_bytes()
    dropped = frozenset(each for each in (entry.exact, entry.shape) if each)
    fingerprints.write(site.root / "state", Snapshot(dropped=dropped))
    write(site, "again", again.replace(b"X-Do: crash", b"X-Do: good"))
    site.wait(lambda: len(site.delivered()) == 1)
    assert len(site.entries("aside")) == 1


def test_one_that_cannot_pass_keeps_nobody(sites: Callable[..., Site]) -> None:
    """A name that is taken in the router's directory: it is told once, and what comes behind it passes."""
    site = gated(sites("open", workers=1))
    site.outage.touch()
    site.start()
    site.put("a", "dns")
    site.wait(lambda: site.holders("a"))
    write(site, "a", MESSAGE.encode())
    write(site, "b", MESSAGE.replace("<m@", "<b@").encode())
    site.wait(lambda: "b" in site.waiting())
    time.sleep(1)  # in which it is tried again
    assert site.log().count("the gate cannot pass") == 1
    site.outage.unlink()
    site.wait(lambda: sorted(site.delivered()) == ["a", "b", "m"])


def test_without_its_journal_the_gate_holds_nothing_and_lets_nothing_evil_pass(sites: Callable[..., Site]) -> None:
    """While the journal is locked good mail passes, and what is refused waits where it is."""
    site = gated(sites("open"))
    site.start()
    other = sqlite3.connect(site.root / "state-sidecar" / NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    write(site, "a", MESSAGE.replace("To: b@", EVIL_HEADER + "X: b@").encode())
    write(site, "b", MESSAGE.replace("<m@", "<b@").encode())
    site.wait(lambda: site.delivered() == ["b"] and "database is locked" in site.log())
    assert [each.name for each in door(site).iterdir()] == ["a"]
    other.execute("ROLLBACK")
    other.close()
    site.wait(lambda: len(site.entries("aside")) == 1)


MESSAGE = (
    "From: k@example.org\nTo: b@example.com\nDate: Thu, 26 Nov 2026 01:00:00 +0000\nSubject: hello\n"
    "Message-ID: <m@example.org>\n\nbody\n"
)


def door(site: Site) -> Path:
    """Where writers leave mail for the gate."""
    return site.root / "door"


def gated(site: Site) -> Site:
    """A site with a gate."""
    door(site).mkdir()
    site.settings["router.input"] = [str(door(site))]
    return site


def write(site: Site, name: str, data: bytes) -> None:
    """Leave a message at the gate, whole from the first moment."""
    made = site.root / "tmp" / name
    made.write_bytes(data)
    made.rename(door(site) / name)


def examined(site: Site, data: bytes) -> Examined:
    """The fingerprints of a message."""
    adapter = Spool(AdapterSite(spool=(str(site.office),)))
    path = site.root / "tmp" / "examined"
    path.write_bytes(data)
    message = adapter.message(str(path))
    assert message
    return Examiner(Config(), adapter).examine(message)


def publish(site: Site, exact: bytes | None = None, shape: bytes | None = None) -> None:
    """Write down what the store says, as the milter's keeper does."""
    later = time.time() + 1000
    known = [{each: later} if each else {} for each in (exact, shape)]
    fingerprints.write(site.root / "state", Snapshot(known[0], known[1], at=time.time()))
