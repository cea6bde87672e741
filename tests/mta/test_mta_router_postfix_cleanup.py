"""A Postfix whose cleanup dies of a message in maildrop, which postsuper cannot hold: it is moved aside, and back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from mta.postfix_router_kit import CLEANUP_OF_PICKUP, evil, guarded

if TYPE_CHECKING:
    from mta.postfix_router_kit import Guarded

KILLERS = ("segv", "memory", "cpu")
LOCAL = ("-f", "jane@example.org", "joe@example.com")


@pytest.mark.parametrize("services", ["", CLEANUP_OF_PICKUP], ids=["shared", "own"])
def test_what_kills_cleanup_is_moved_aside(services: str) -> None:
    """After two deaths, while mail by SMTP and by sendmail(1) flows; released, it is delivered once. The cleanup of
    pickup may be the one of smtpd as well.
    """
    with guarded(services=services, dying_cleanup=True) as postfix:
        for how in KILLERS:
            postfix.submit(evil(how, f"killer-{how}"), *LOCAL)
        good: list[str] = []
        postfix.wait(lambda: flows(postfix, good) and len(postfix.entries("aside")) == len(KILLERS))
        postfix.wait(lambda: sorted(good) == postfix.names())
        entries = postfix.entries("aside")
        assert sorted(each.cause for each in entries) == ["cpu", "crash", "memory"]
        strikes = postfix.strikes()
        assert strikes.keys() == {each.original.rpartition("/")[2] for each in entries}
        assert set(strikes.values()) <= {2, 3}, postfix.told()  # pickup may have it in hand again at the second death
        assert postfix.queue() == []
        postfix.repair()
        for entry in entries:
            postfix.release(entry.id)
        postfix.wait(lambda: sorted([*good, *(f"killer-{how}" for how in KILLERS)]) == postfix.names())
        assert len(postfix.entries()) == len(KILLERS)  # what the router made of the released ones is nobody's copy
        assert postfix.waiting("maildrop") == set()
        postfix.wait(lambda: postfix.waiting("forebay-aside") == set())  # what lay aside goes after the answer


def flows(postfix: Guarded, good: list[str]) -> bool:
    """Send one more of each; what was sent so far is in `good`."""
    for way in ("smtp", "local"):
        name = f"{way}-{len(good)}"
        if way == "smtp":
            postfix.send(evil("", name))
        else:
            postfix.submit(evil("", name), *LOCAL)
        good.append(name)
    time.sleep(0.3)  # pickup tries everything again whenever something new comes in
    return True
