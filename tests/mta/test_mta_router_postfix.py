"""A Postfix whose delivery dies of some messages: they are on hold after two deaths, and all other mail flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mta.postfix_router_kit import evil, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.postfix_router_kit import Guarded

KILLERS = {"segv": "crash", "memory": "memory", "cpu": "cpu", "helper": "cpu"}
"""And what each is convicted for; the last one's CPU time is that of what its filter has started."""


@pytest.fixture(scope="module")
def postfix() -> Iterator[Guarded]:
    """One for all tests of this file."""
    with guarded() as made:
        yield made


def test_what_kills_the_filter_is_put_on_hold(postfix: Guarded) -> None:
    """Each kind of killer after two deaths; mail that was sent before, between and after is delivered; so are they, released."""
    ids = {}
    for number, how in enumerate(KILLERS):
        postfix.send(evil("", f"before-{number}"))
        ids[how] = postfix.send(evil(how, f"killer-{how}"))
    good = [f"before-{number}" for number in range(len(KILLERS))]

    def all_held() -> bool:
        name = f"while-{len(good)}"
        postfix.send(evil("", name))
        good.append(name)
        return set(ids.values()) <= set(postfix.held())

    postfix.wait(all_held)
    postfix.wait(lambda: sorted(good) == postfix.names())
    assert set(postfix.held()) == set(ids.values())
    entries = {each.identity[24:].decode(): each for each in postfix.entries("aside")}
    assert {how: entries[queue_id].cause for how, queue_id in ids.items()} == KILLERS
    assert postfix.strikes() == dict.fromkeys(ids.values(), 2)
    postfix.repair()
    for entry in entries.values():
        postfix.release(entry.id)
    postfix.wait(lambda: sorted([*good, *(f"killer-{how}" for how in KILLERS)]) == postfix.names())
    assert postfix.queue() == []
    assert postfix.entries("aside") == []
