"""What was quarantined by a real Sendmail: found, explained, released, deleted, and never another message."""

from __future__ import annotations

import fcntl
import shutil
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.private_postfix import private_folder
from mta.private_sendmail import queue_id
from mta.private_site import GOOD, HELD, eventually, message
from mta.sendmail_desk import held, sendmail_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_sendmail import SendmailSite
    from mta.quarantine_kit import Desk

EVIL = message(HELD[0])


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[SendmailSite, Desk]]:
    """A site with a sidecar that guards no router."""
    with sendmail_desk() as (site, desk), desk.sidecar():
        yield site, desk


def judged(site: SendmailSite) -> float:
    """How many messages the milter has judged."""
    return sum(value for name, value in site.milter.metrics().items() if name.startswith("forebay_messages_total{"))


def test_what_is_quarantined_is_found_and_confirmed(place: tuple[SendmailSite, Desk]) -> None:
    """Each quarantined message is one entry, which the sidecar confirms with its size; `show` tells why."""
    site, desk = place
    name = held(site, EVIL)
    entry = desk.entry(name)
    desk.await_state(entry["id"], "held")
    assert desk.entry(name)["size"] >= len(EVIL.replace(b"\r\n", b"\n")) - 1
    shown = desk.ask("quarantine", "show", entry["id"])
    assert HELD[1] in shown
    assert "To: joe@@example.com" in shown


def test_a_release_delivers_the_message_once(place: tuple[SendmailSite, Desk]) -> None:
    """It is delivered as it was held, the milter is not asked again, its neighbour stays, and its record is gone."""
    site, desk = place
    name, other = held(site, EVIL), held(site, EVIL)
    entry = desk.entry(name)["id"]
    before = judged(site)
    assert desk.ask("quarantine", "release", entry) == f"{entry}: done\n"
    assert EVIL.replace(b"\r\n", b"\n") in site.sendmail.delivered(name)
    desk.await_state(entry, "released")
    assert judged(site) == before
    assert other in site.sendmail.queued("hf")
    assert not (site.milter.folder / "state/records/kept" / entry).exists()
    eventually(lambda: name not in site.sendmail.queued("qf") | site.sendmail.queued("df"))


def test_a_message_without_a_body_is_released(place: tuple[SendmailSite, Desk]) -> None:
    """The file of its body is empty, and that is no reason to take it for gone."""
    site, desk = place
    name = held(site, message(HELD[0], body=b""))
    entry = desk.entry(name)["id"]
    assert desk.ask("quarantine", "release", entry) == f"{entry}: done\n"
    site.sendmail.delivered(name)


def test_a_deletion_removes_both_files_of_that_message_only(place: tuple[SendmailSite, Desk]) -> None:
    """Ids come from standard input; nothing of the deleted is left in the queue, everything of the other is."""
    site, desk = place
    names = [held(site, EVIL) for _ in range(3)]
    entries = [desk.entry(each)["id"] for each in names]
    desk.ask("quarantine", "delete", "--yes", "-", given="\n".join(entries[:2]))
    for kind in ("hf", "df"):
        assert [each in site.sendmail.queued(kind) for each in names] == [False, False, True]
    desk.await_state(entries[0], "deleted")
    assert not list(site.sendmail.queue.glob(f"*{names[0]}"))


def test_an_export_is_the_raw_message(place: tuple[SendmailSite, Desk]) -> None:
    """The header as the client wrote it, below what the milter added, and the body."""
    site, desk = place
    odd = message({**HELD[0], b"Subject": b" one\r\n\t\xff\x81 two"}, body=b"a\r\n..b\r\n")
    name = held(site, odd)
    exported = desk.run("quarantine", "export", desk.entry(name)["id"])
    assert exported.returncode == 0
    text = odd.replace(b"\r\n", b"\n").replace(b"\n..b", b"\n.b").decode("utf-8", "replace")
    tag, _, rest = exported.stdout.partition("\n")
    assert tag.startswith(f"X-Forebay: mx.example.org; quarantine; {HELD[1]}")
    assert rest == text


@pytest.mark.parametrize("verb", ["release", "delete"])
def test_an_innocent_with_the_same_queue_id_is_not_touched(place: tuple[SendmailSite, Desk], verb: str) -> None:
    """Sender, time and size are the same, the body is another file: refused, whatever the queue id."""
    site, desk = place
    name = held(site, EVIL)
    entry = desk.entry(name)["id"]
    desk.await_state(entry, "held")
    body = site.sendmail.queue / f"df{name}"
    kept = body.with_name("kept")
    shutil.copy2(body, kept)
    body.rename(site.sendmail.folder / "elsewhere")  # so that no inode is used again
    kept.rename(body)
    said = desk.run("quarantine", verb, *(["--yes"] if verb == "delete" else []), entry)
    assert said.returncode == 75
    assert "done" not in said.stdout
    assert name in site.sendmail.queued("hf") & site.sendmail.queued("df")
    (site.sendmail.folder / "elsewhere").unlink()


def test_an_id_that_is_a_part_of_another_is_not_released(place: tuple[SendmailSite, Desk]) -> None:
    """Sendmail's -qI takes every id with that text in it: refused, since another one would be released too."""
    site, desk = place
    name = held(site, EVIL)
    entry = desk.entry(name)["id"]
    longer = site.sendmail.queue / f"hf{name}1"
    shutil.copy2(site.sendmail.queue / f"hf{name}", longer)
    assert f"would take {name}1 as well" in desk.ask("quarantine", "release", entry, status=75)
    assert name in site.sendmail.queued("hf")
    longer.unlink()
    desk.ask("quarantine", "release", entry)


def test_what_sendmail_has_locked_is_left_alone(place: tuple[SendmailSite, Desk]) -> None:
    """As long as somebody has the lock on its file, a message is neither released nor deleted; afterwards it is."""
    site, desk = place
    name = held(site, EVIL)
    entry = desk.entry(name)["id"]
    with (site.sendmail.queue / f"hf{name}").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "busy" in desk.ask("quarantine", "delete", "--yes", entry, status=75)
        assert "busy" in desk.ask("quarantine", "release", entry, status=75)
    assert name in site.sendmail.queued("hf")
    desk.ask("quarantine", "delete", "--yes", entry)
    assert name not in site.sendmail.queued("hf")


@pytest.mark.parametrize(("how", "state"), [("release", "released"), ("delete", "vanished")])
def test_what_an_operator_does_by_hand_is_noticed(place: tuple[SendmailSite, Desk], how: str, state: str) -> None:
    """An entry whose message was released with Sendmail's command, or whose files were removed, is closed."""
    site, desk = place
    name = held(site, EVIL)
    entry = desk.entry(name)["id"]
    desk.await_state(entry, "held")
    if how == "release":
        site.sendmail.tool("-qQ", "-Q", f"-qI{name}")
    else:
        for kind in ("hf", "df"):
            (site.sendmail.queue / f"{kind}{name}").unlink()
    desk.run("quarantine", "release", entry)
    eventually(lambda: desk.entry(name)["state"] == state, lambda: desk.entry(name))


def test_many_queue_directories_are_looked_through() -> None:
    """Queue directories named by a pattern, with directories of their own for control files and bodies."""
    with private_folder() as folder:
        for queue in ("q1", "q2"):
            for kind in ("qf", "df", "xf"):
                (folder / "many" / queue / kind).mkdir(mode=0o700, parents=True)
        settings = f"define(`QUEUE_DIR', `{folder}/many/q*')dnl"
        with sendmail_desk(settings=settings, folder=folder) as (site, desk), desk.sidecar():
            names = [queue_id(site.send(EVIL).last) for _ in range(6)]
            entries = [desk.entry(each)["id"] for each in names]
            desk.ask("quarantine", "release", *entries[:3])
            desk.ask("quarantine", "delete", "--yes", *entries[3:5])
            for each in names[:3]:
                site.sendmail.delivered(each)
            eventually(lambda: len(list((folder / "many").rglob("?f?*"))) == 2)
            assert {each.name[2:] for each in (folder / "many").rglob("?f?*")} == {names[5]}


def test_good_mail_goes_on(place: tuple[SendmailSite, Desk]) -> None:
    """After all this a good message is delivered."""
    site, _ = place
    assert site.delivered(GOOD)
