"""A Postfix whose cleanup dies of a message in maildrop, which postsuper cannot hold: it is moved aside, and back."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.raw_smtp import RawClient
from mta.postfix_router_kit import CLEANUP_OF_PICKUP, evil, guarded
from mta.private_site import DEADLINE, RECIPIENT, SENDER

if TYPE_CHECKING:
    from mta.postfix_router_kit import Guarded

KILLERS = ("segv", "memory", "cpu")
LOCAL = ("-f", "jane@example.org", "joe@example.com")


@pytest.mark.parametrize("services", ["", CLEANUP_OF_PICKUP], ids=["shared", "own"])
def test_what_kills_cleanup_is_moved_aside(services: str) -> None:
    """After two deaths, while mail by SMTP and by sendmail(1) flows; released, it is delivered once. The cleanup of
    pickup may be the one of smtpd as well.
    """
    with guarded(services=services, dying="cleanup") as postfix:
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


AWAY = {"non_smtpd_milters": "{ unix:/nobody.sock, default_action=tempfail }"}
KILLS = 4


def test_what_cleanup_has_put_off_is_innocent_of_what_comes_next() -> None:
    """Local mail stays in maildrop while its milter is away, and the same cleanup serves smtpd right after it: what that
    dies of came by SMTP, and the message in maildrop is neither struck nor moved.
    """
    with guarded(AWAY, dying="cleanup") as postfix:
        postfix.submit(evil("", "put-off"), *LOCAL)
        for number in range(KILLS):
            is_put_off_again(postfix)
            dies(postfix, f"killer-{number}")
        postfix.wait(lambda: postfix.sidecar_log.read_text().count("ended: crash") == KILLS)
        assert (postfix.strikes(), postfix.entries()) == ({}, []), postfix.told()
        assert len(postfix.waiting("maildrop")) == 1


def is_put_off_again(postfix: Guarded) -> None:
    """Wait until cleanup has had it in hand once more."""
    before = postfix.log().count("milter-reject")
    postfix.wait(lambda: postfix.log().count("milter-reject") > before)


def dies(postfix: Guarded, name: str) -> None:
    """Send by SMTP what cleanup dies of; there is no answer that says more than to try again."""
    with suppress(OSError, EOFError), RawClient(postfix.port, DEADLINE) as client:
        assert client.send(SENDER, (RECIPIENT,), evil("segv", name)).last.code in {421, 451}
