"""smtpd_milters of a real Postfix: what it does while a milter is away, several milters in a row, a chrooted smtpd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.ports import free_port
from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.postfix_services import ServicePostfix, milter_at, postfix_with, smtpd
from mta.private_site import DEADLINE, GOOD, HELD, RECIPIENT, REFUSED, SENDER, TAGGED, message, recording, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterService

OPEN = 'socket_mode = "0666"\nworkers = 1\n'
EVIL = message(REFUSED[0])

Deserted = tuple[ServicePostfix, dict[tuple[str, str], int]]


def judged(milter: MilterService) -> float:
    """How many messages a milter has judged."""
    return sum(value for name, value in milter.metrics().items() if name.startswith("forebay_messages_total{"))


def send(port: int, data: bytes) -> str:
    """The last reply to one message."""
    with RawClient(port, DEADLINE) as client:
        return client.send(SENDER, (RECIPIENT,), data).last.text


@pytest.fixture(scope="module")
def milter() -> Iterator[MilterService]:
    """A milter that protects."""
    with milter_service(milter=OPEN) as service:
        yield service


@pytest.fixture(scope="module")
def deserted() -> Iterator[Deserted]:
    """A Postfix whose milters are all away, with a port for each way to say what is to happen then."""
    with private_folder() as folder:
        nobody = f"unix:{folder}/nobody.sock"
        ports, services = {}, ""
        for action in ("tempfail", "reject", "accept", "quarantine"):
            ports[action, "one"], ports[action, "all"] = free_port(), free_port()
            one = f"{{ {nobody}, default_action={action}, connect_timeout=2s }}"
            services += smtpd(ports[action, "one"], smtpd_milters=one)
            services += smtpd(ports[action, "all"], smtpd_milters=nobody, milter_default_action=action)
        with postfix_with(folder, {"smtpd_milters": ""}, services) as postfix:
            yield postfix, ports


@pytest.mark.parametrize("whose", ["one", "all"])
@pytest.mark.parametrize(
    ("action", "reply"),
    [("tempfail", "451 4.7.1 Service unavailable"), ("reject", "554 mx.forebay.test ESMTP not accepting connections"),
     ("accept", "250 "), ("quarantine", "250 ")],
)  # fmt: skip
def test_while_the_milter_is_away(deserted: Deserted, action: str, reply: str, whose: str) -> None:
    """default_action, of one milter (Postfix 3.0) or of all: with accept, evil mail is delivered unchecked."""
    postfix, ports = deserted
    with RawClient(ports[action, whose], DEADLINE) as client:
        if action == "reject":
            assert client.greeting.text == reply
            return
        last = client.send(SENDER, (RECIPIENT,), EVIL).last
    assert last.text.startswith(reply)
    assert (last.queue_id in postfix.held()) == (action == "quarantine")
    if action == "accept":
        assert b"Hello" in postfix.delivered(last.queue_id, DEADLINE)


def test_settings_of_one_milter_are_not_those_of_another(milter: MilterService) -> None:
    """One that is away and may be does not keep forebay from being asked, wherever it stands."""
    with private_folder() as folder:
        away = f"{{ unix:{folder}/nobody.sock, default_action=accept }}"
        forebay = f"{{ {milter.address}, default_action=tempfail, command_timeout=30s }}"
        for order in (f"{away}, {forebay}", f"{forebay}, {away}"):
            with postfix_with(folder, {"smtpd_milters": order}) as postfix:
                assert send(postfix.port, EVIL).startswith("550 5.6.0 ")
                assert send(postfix.port, GOOD).startswith("250 ")


def test_a_later_milter_sees_what_an_earlier_one_added(milter: MilterService) -> None:
    """Why forebay stands first: then it sees the client's header, and nobody else's fields."""
    with recording() as ours:
        own = ours.site.milter.address
        for order, tags in ((f"{milter.address}, {own}", 1), (f"{own}, {milter.address}", 0)):
            with private_folder() as folder, postfix_with(folder, {"smtpd_milters": order}) as postfix:
                assert send(postfix.port, message(TAGGED[0])).startswith("250 ")
            names = [name for name, _ in json.loads(ours._file.read_text())["fields"]]
            assert names.count("X-Forebay") == tags


def test_what_one_milter_refuses_or_holds_the_next_is_not_asked_about(milter: MilterService) -> None:
    """Postfix asks no later milter at the end of a message that an earlier one quarantined: not one for viruses either."""
    with private_folder() as folder, milter_service(milter=OPEN) as later:
        order = {"smtpd_milters": f"{milter.address}, {later.address}"}
        with postfix_with(folder, order) as postfix:
            for data in (EVIL, message(HELD[0])):
                send(postfix.port, data)
            assert len(postfix.held()) == 1
            assert judged(later) == 0
            send(postfix.port, GOOD)
            assert judged(later) == 1


def test_two_instances_share_one_milter(milter: MilterService) -> None:
    """As postmulti makes them: each with a configuration and a queue of its own; queue ids are told from each other by the MTA only."""
    with private_folder() as one, private_folder() as two:
        settings = {"smtpd_milters": milter.address}
        with postfix_with(one, settings) as first, postfix_with(two, settings) as second:
            for postfix in (first, second):
                assert send(postfix.port, EVIL).startswith("550 5.6.0 ")
                assert send(postfix.port, message(HELD[0])).startswith("250 ")
            assert len(first.held()) == len(second.held()) == 1
            assert first.held().keys() != second.held().keys()


def test_a_chrooted_smtpd_reaches_a_socket_in_the_queue_directory() -> None:
    """As in Debian's master.cf: a path relative to the queue directory is found with a chroot and without."""
    for chroot in (True, False):
        with private_folder() as folder, private_folder() as own:
            place = folder / "queue/forebay"
            place.mkdir(parents=True)
            with (
                milter_at(place / "milter.sock", own),
                postfix_with(folder, {"smtpd_milters": "unix:forebay/milter.sock"}, chroot=chroot) as postfix,
                RawClient(postfix.port, DEADLINE) as client,
            ):
                assert client.send(SENDER, (RECIPIENT,), EVIL).last.text.startswith("550 5.6.0 ")
                assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
                assert (folder / "queue" in roots()) == chroot


@pytest.mark.parametrize(("chroot", "reply"), [(True, "451 4.7.1 Service unavailable"), (False, "550 5.6.0 ")])
def test_a_chrooted_smtpd_does_not_reach_a_socket_elsewhere(milter: MilterService, chroot: bool, reply: str) -> None:
    """A path that the same smtpd finds without the chroot: nothing is accepted unchecked."""
    settings = {"smtpd_milters": milter.address}
    with private_folder() as folder, postfix_with(folder, settings, chroot=chroot) as postfix:
        assert send(postfix.port, EVIL).startswith(reply)


def roots() -> set[Path]:
    """The root directories of all processes."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/root"):
        try:
            found.add(each.readlink())
        except OSError:
            continue  # it has ended
    return found


def test_a_tag_is_there_once_where_a_message_meets_forebay_twice(milter: MilterService) -> None:
    """Two hosts in a row, or one that is asked twice: a tag of this host is taken off before its new one is put."""
    with private_folder() as folder, postfix_with(folder, {"smtpd_milters": milter.address}) as postfix:
        with RawClient(postfix.port, DEADLINE) as client:
            first = client.send(SENDER, (RECIPIENT,), message(TAGGED[0])).last
            delivered = postfix.delivered(first.queue_id, DEADLINE)
            again = client.send(SENDER, (RECIPIENT,), delivered.replace(b"\n", b"\r\n")).last
        assert tag_of(postfix.delivered(again.queue_id, DEADLINE)).count("mx.example.org;") == 1
