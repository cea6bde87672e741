"""Two instances of one Postfix, by postmulti(1): each asks a milter of its own, and each has its own quarantine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.private_postfix import private_folder
from forebay.testing import milter_service
from mta.installed_postfix import installed
from mta.postfix_instances import SECOND, instances
from mta.private_site import DEADLINE, GOOD, HELD, REFUSED, TAGGED, eventually, message, tag_of
from mta.quarantine_kit import desk_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.installed_postfix import Installed
    from mta.postfix_instances import Instance
    from mta.quarantine_kit import Desk

OPEN = 'socket_mode = "0666"\nworkers = 1\n'
LENIENT = f'[policy.actions]\n{HELD[1]} = "tag"\n{REFUSED[1]} = "quarantine"\n'
BACK = {"queue_run_delay": "1s", "minimal_backoff_time": "1s"}


@dataclass(frozen=True, slots=True)
class Place:
    """Both, and the desk of each: the first refuses what the second holds, and holds what the second tags."""

    where: Installed
    first: Instance
    second: Instance
    desks: tuple[Desk, Desk]

    def listed(self) -> list[set[str]]:
        """The queue ids that each desk lists as held."""
        return [{each["place"] for each in desk.entries() if each["state"] == "held"} for desk in self.desks]

    def held(self) -> list[set[str]]:
        """The queue ids in the hold queue of each."""
        return [set(each.held()) for each in (self.first, self.second)]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Both instances, a milter and a sidecar for each."""
    with (
        private_folder() as folder,
        installed(folder) as where,
        milter_service(milter=OPEN) as strict,
        milter_service(LENIENT, milter=OPEN) as lenient,
        instances(
            where, folder, {**BACK, "smtpd_milters": strict.address}, {**BACK, "smtpd_milters": lenient.address}
        ) as (first, second),
    ):
        desks = desk_of(strict, first), desk_of(lenient, second)
        with desks[0].sidecar(), desks[1].sidecar():
            yield Place(where, first, second, desks)


def test_postmulti_knows_both(place: Place) -> None:
    """Both are enabled; the default one is that of /etc/postfix."""
    listed = [line.split() for line in place.where.run("postmulti", "-l").splitlines()]
    assert listed == [["-", "-", "y", "/etc/postfix"], [SECOND, "both", "y", f"{place.second.folder}/etc"]]
    place.where.run("postmulti", "-p", "status")


def test_each_asks_its_own_milter(place: Place) -> None:
    """The same message has another fate in each; what is good passes both."""
    assert place.first.send(message(REFUSED[0])).code == 550
    assert place.second.send(message(REFUSED[0])).queue_id in place.second.held()
    assert place.first.send(message(HELD[0])).queue_id in place.first.held()
    tagged = place.second.delivered(place.second.send(message(HELD[0])).queue_id, DEADLINE)
    assert tag_of(tagged) == f" mx.example.org; tag; {HELD[1]}"
    for each in (place.first, place.second):
        assert tag_of(each.delivered(each.send(GOOD).queue_id, DEADLINE)) == ""
        assert TAGGED[1] in tag_of(each.delivered(each.send(message(TAGGED[0])).queue_id, DEADLINE))


def test_each_has_its_own_quarantine(place: Place) -> None:
    """A list and a status tell of what that instance holds; a release and a deletion touch nothing of the other's."""
    released, deleted, kept = (place.first.send(message(HELD[0])).queue_id for _ in range(3))
    other = place.second.send(message(REFUSED[0])).queue_id
    eventually(lambda: place.listed() == place.held(), lambda: (place.listed(), place.held()))
    for desk, held in zip(place.desks, place.held(), strict=True):
        assert json.loads(desk.ask("status", "--json"))["quarantine"]["mta-hold"] == len(held)
    desk, others = place.desks
    ids = {each["place"]: each["id"] for each in desk.entries()}
    desk.ask("quarantine", "release", ids[released])
    desk.ask("quarantine", "delete", "--yes", ids[deleted])
    assert b"Hello" in place.first.delivered(released, DEADLINE)
    assert others.run("quarantine", "release", ids[kept]).stderr == f"forebay: {ids[kept]}: no such entry\n"
    eventually(lambda: place.listed() == place.held(), lambda: (place.listed(), place.held()))
    assert ({released, deleted, kept} & place.held()[0], other in place.held()[1]) == ({kept}, True)
