"""A guarded Postfix whose trivial-rewrite dies of an address: it has no message in hand, so none is to blame."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from forebay.quickstart.raw_smtp import RawClient
from mta.postfix_router_kit import evil, guarded
from mta.private_site import DEADLINE, SENDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.postfix_router_kit import Guarded

LIMITS: Final = '[router.services.rewrite]\nmemory = "64M"\nmessage_cpu = 1.0\n'
KILLERS: Final = {"segv": ("crash", 2), "memory": ("memory", 2), "cpu": ("cpu", 1)}
"""And how the sidecar calls these ends, and how many of each are waited for."""


def test_what_kills_trivial_rewrite_is_laid_to_no_message() -> None:
    """It dies of a recipient again and again, or never comes back from it, while whoever asked tries again; mail that is
    sent and delivered meanwhile flows, nothing is struck, held or moved; and once it is repaired, the recipient is taken.
    """
    with guarded(config=LIMITS, dying="trivial-rewrite") as postfix:
        postfix.send(evil("", "before"))
        good = ["before"]
        with insisting(postfix) as codes:
            while any(deaths(postfix, verdict) < number for verdict, number in KILLERS.values()):
                name = f"while-{len(good)}"
                postfix.send(evil("", name))
                good.append(name)
            postfix.wait(lambda: sorted(good) == postfix.names())
            postfix.repair()
        assert codes == dict.fromkeys(KILLERS, 250), postfix.told()
        assert (postfix.strikes(), postfix.entries()) == ({}, [])
        assert postfix.queue() == []


def deaths(postfix: Guarded, verdict: str) -> int:
    """How often a worker that held nothing came to this end."""
    return postfix.sidecar_log.read_text().count(f" ended: {verdict}, holding nothing")


@contextmanager
def insisting(postfix: Guarded) -> Iterator[dict[str, int]]:
    """Name the evil recipients, each in a session of its own; yields the codes that they are answered with in the end."""
    codes: dict[str, int] = {}

    def insist(how: str) -> None:
        with RawClient(postfix.port, DEADLINE) as client:
            client.command(b"MAIL FROM:" + SENDER)
            codes[how] = client.command(b'RCPT TO:<"X-Die: %b......"@example.com>' % how.encode()).code

    threads = [threading.Thread(target=insist, args=(how,)) for how in KILLERS]
    for each in threads:
        each.start()
    try:
        yield codes
    finally:
        postfix.repair()
        for each in threads:
            each.join()
