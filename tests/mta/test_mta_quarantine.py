"""What was held on a real Postfix: found, explained, released, deleted, and never another message."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # has none
import pytest

from mta.private_site import DEADLINE, HELD, eventually, message
from mta.quarantine_kit import quarantine_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_site import Site
    from mta.quarantine_kit import Desk

EVIL = message(HELD[0])


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Site, Desk]]:
    """A site with a sidecar that guards no router."""
    with quarantine_site(queue_run_delay="1s", minimal_backoff_time="1s") as (site, desk), desk.sidecar():
        yield site, desk


def test_what_is_held_is_found_and_confirmed(place: tuple[Site, Desk]) -> None:
    """Each message that the MTA holds is one entry, which the clerk confirms with the size that the MTA says."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)
    desk.await_state(entry["id"], "held")
    assert desk.entry(queue_id)["size"] == site.postfix.held()[queue_id]["message_size"]
    shown = desk.ask("quarantine", "show", entry["id"])
    assert HELD[1] in shown
    assert "RFC 5322" in shown
    assert "To: joe@@example.com" in shown


def test_a_release_delivers_the_message_and_says_who(place: tuple[Site, Desk]) -> None:
    """It is delivered as it was held, the entry is released, and its record file is gone."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)["id"]
    assert desk.ask("quarantine", "release", entry) == f"{entry}: done\n"
    assert EVIL.replace(b"\r\n", b"\n").partition(b"\n\n")[2] in site.postfix.delivered(queue_id, DEADLINE)
    desk.await_state(entry, "released")
    assert not (site.milter.folder / "state/records/kept" / entry).exists()


def test_ids_come_from_standard_input_and_are_deleted(place: tuple[Site, Desk]) -> None:
    """`delete --yes -` removes each message named on a line, and those only."""
    site, desk = place
    ids = [site.send(EVIL).last.queue_id for _ in range(3)]
    entries = [desk.entry(each)["id"] for each in ids]
    desk.ask("quarantine", "delete", "--yes", "-", given="\n".join(entries[:2]))
    assert [each in site.postfix.held() for each in ids] == [False, False, True]
    desk.await_state(entries[0], "deleted")


def test_an_export_is_the_raw_message(place: tuple[Site, Desk]) -> None:
    """Byte for byte what the MTA holds."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)["id"]
    assert desk.ask("quarantine", "export", entry).encode() == site.postfix.held_message(queue_id)


def test_another_message_with_the_queue_id_is_not_touched(place: tuple[Site, Desk]) -> None:
    """Where the MTA's list says another size than what was confirmed, a release is refused."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)["id"]
    desk.await_state(entry, "held")
    path = next(path for path in (site.postfix.folder / "queue/hold").rglob(queue_id))
    longer = path.read_bytes()
    at = longer.index(b"C") + 1  # the first record says the size: its digits are made others
    number = longer[at + 1 : at + 16]
    path.write_bytes(longer.replace(number, b"%15d" % (int(number) + 7), 1))
    os.utime(path)
    assert site.postfix.held()[queue_id]["message_size"] != desk.entry(queue_id)["size"]
    said = desk.ask("quarantine", "release", entry, status=75)
    assert "done" not in said
    assert queue_id in site.postfix.held()


@pytest.mark.parametrize(("tool", "state"), [("-H", "released"), ("-d", "vanished")])
def test_what_an_operator_does_by_hand_is_noticed(place: tuple[Site, Desk], tool: str, state: str) -> None:
    """An entry whose message was released or deleted with postsuper is closed; one more request tells so."""
    site, desk = place
    queue_id = site.send(EVIL).last.queue_id
    entry = desk.entry(queue_id)["id"]
    desk.await_state(entry, "held")
    site.postfix.tool("postsuper", tool, queue_id)
    desk.run("quarantine", "release", entry)
    eventually(lambda: desk.entry(queue_id)["state"] in {state, "vanished"})
    assert not (site.milter.folder / "state/records/kept" / entry).exists()


def test_the_clerk_runs_beside_the_sidecar_and_ends_with_it() -> None:
    """Killed, it is started again; where the sidecar itself is killed, the clerk ends, and the next sidecar's takes over."""
    with quarantine_site() as (site, desk):
        with desk.sidecar() as first:
            eventually(lambda: len(clerks(first.pid)) == 2, lambda: desk.log)
            for each in clerks(first.pid):
                os.kill(each, signal.SIGKILL)
            queue_id = site.send(EVIL).last.queue_id
            desk.await_state(desk.entry(queue_id)["id"], "held")
            left = clerks(first.pid)
            first.kill()
            first.wait()
            eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in left))
        with desk.sidecar() as second:
            queue_id = site.send(EVIL).last.queue_id
            desk.await_state(desk.entry(queue_id)["id"], "held")
            left = clerks(second.pid)
        assert second.returncode == 0
        assert not any(Path(f"/proc/{each}").exists() for each in left)


def clerks(pid: int) -> list[int]:
    """The clerk's processes below a sidecar."""
    try:
        found = psutil.Process(pid).children(recursive=True)
        return [each.pid for each in found if "forebay.sidecar.clerk" in each.cmdline()]
    except psutil.Error:
        return []


def test_a_message_held_long_is_requeued() -> None:
    """After more than a quarter of maximal_queue_lifetime it begins anew: else it would bounce at its first deferral."""
    with quarantine_site(maximal_queue_lifetime="4s") as (site, desk), desk.sidecar():
        queue_id = site.send(EVIL).last.queue_id
        entry = desk.entry(queue_id)["id"]
        time.sleep(1.5)
        desk.ask("quarantine", "release", entry)
        eventually(lambda: f"{queue_id}: requeued" in site.postfix.log(), site.postfix.log)
        assert queue_id not in site.postfix.held()


def test_what_was_released_and_begins_anew_is_not_held_again() -> None:
    """Requeued, it is delivered, even where all mail meets the milter; a copy that comes in later is held like any other."""
    with (
        quarantine_site(maximal_queue_lifetime="4s", non_smtpd_milters="$smtpd_milters") as (site, desk),
        desk.sidecar(),
    ):
        queue_id = site.send(EVIL).last.queue_id
        entry = desk.entry(queue_id)["id"]
        time.sleep(1.5)
        desk.ask("quarantine", "release", entry)
        eventually(lambda: len(list((site.postfix.folder / "delivered").glob("[!.]*"))) == 1, site.postfix.log)
        assert not site.postfix.held()
        again = site.send(EVIL).last.queue_id
        eventually(lambda: again in site.postfix.held())


def test_hostile_bytes_never_reach_the_terminal(place: tuple[Site, Desk]) -> None:
    """Control characters of a message, of its envelope too, are shown escaped by list, show and digest."""
    site, desk = place
    evil = message({**HELD[0], b"Subject": b" \x1b]0;owned\x07\xff\x9b2J"})
    queue_id = site.send(evil).last.queue_id
    entry = desk.entry(queue_id)["id"]
    for words in (("list",), ("show", entry), ("show", entry, "--json"), ("digest",)):
        said = desk.run("quarantine", *words).stdout
        assert all(char == "\n" or char.isprintable() for char in said)
        assert said.isascii()
    assert r"\x1b]0;owned\x07" in desk.ask("quarantine", "show", entry)
