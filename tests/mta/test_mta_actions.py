"""Every action on a real Postfix: what the client reads, what lies in the queue, what was delivered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import private_folder, private_postfix
from forebay.quickstart.raw_smtp import RawClient
from mta.private_site import (
    CACHE,
    DEADLINE,
    GOOD,
    HELD,
    RECIPIENT,
    REFUSED,
    SENDER,
    TAGGED,
    eventually,
    message,
    tag_of,
)
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_site import Site

ODD = message({b"X-Fails": b" yes"})

# A check whose failure is answered with a temporary error, for the action that is none of a validator's.
FAILING = """\
from forebay.api import *

@validator(id="failing", rfc="", fields=("x-fails",), action=TAG, good=[], bad=[])
class Failing(FieldValidator):
    '''Fails.'''

    def check(self, field):
        raise LookupError("boom")

plugin = Plugin(name="failing", api=1, validators=(Failing,))
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A Postfix with a milter, one of whose validators fails."""
    with private_folder() as folder:
        (folder / "failing.py").write_text(FAILING)
        config = f'[plugins]\ndirectory = "{folder}"\n[validators.failing]\non_error = "tempfail"\n'
        with private_site(config, milter='reply_url = "https://example.org/why?a=100%25"') as where:
            yield where


def test_a_good_message_is_delivered_as_it_was_written(site: Site) -> None:
    """Accept: nothing is added to it, nothing is taken away, byte for byte."""
    delivered = site.delivered(GOOD)
    assert delivered.endswith(GOOD.replace(b"\r\n", b"\n"))
    assert tag_of(delivered) == ""


def test_a_tag_is_one_field_above_the_others(site: Site) -> None:
    """Tag: the message is delivered with the host's name, the action and the validator; the blank after the colon is one."""
    changed, validator = TAGGED
    delivered = site.delivered(message(changed))
    assert tag_of(delivered) == f" mx.example.org; tag; {validator}"


def test_a_quarantined_message_lies_in_the_hold_queue(site: Site) -> None:
    """Quarantine: the client is told the queue id, under which the message is held and not delivered, with its tag."""
    changed, validator = HELD
    last = site.send(message(changed)).last
    assert last.text == f"250 2.0.0 Ok: queued as {last.queue_id}"
    assert site.postfix.held()[last.queue_id]["sender"] == "jane@example.org"
    assert tag_of(site.postfix.held_message(last.queue_id)) == f" mx.example.org; quarantine; {validator}"
    assert f"{last.queue_id}: quarantine: {validator}: To: second @ in an address at byte 6; from=" in site.milter.log()
    eventually(lambda: f"{last.queue_id}: milter-hold:" in site.postfix.log(), site.postfix.log)
    assert not (site.postfix.folder / "delivered" / last.queue_id).exists()


def test_a_refusal_says_why_and_where(site: Site) -> None:
    """Reject: one line with place, validator and URL, a per cent sign in it included; Postfix keeps nothing."""
    changed, validator = REFUSED
    before = site.postfix.queue()
    reply = site.reply(message(changed))
    assert reply == (f"550 5.6.0 To: unbalanced '\"' at byte 2 ({validator}); see https://example.org/why?a=100%25")
    assert site.postfix.queue() == before


def test_a_refusal_has_the_queue_id_of_postfix(site: Site) -> None:
    """Both logs name the message alike, so that one can be found from the other."""
    changed, validator = REFUSED
    site.reply(message(changed))
    (queue_id,) = re.findall(rf" (\w+): reject: {validator}", site.milter.log())[-1:]
    eventually(lambda: f"{queue_id}: milter-reject: END-OF-MESSAGE" in site.postfix.log(), site.postfix.log)


def test_a_failing_check_may_be_answered_with_a_temporary_error(site: Site) -> None:
    """Tempfail: 451 with the matching status, and the client comes again."""
    assert site.reply(ODD).startswith("451 4.3.0 a check of this message failed; try again later; see https://")


def test_all_actions_mixed_over_one_connection(site: Site) -> None:
    """What became of one message says nothing about the next one of the session."""
    kinds = {
        "accept": GOOD, "tag": message(TAGGED[0]), "quarantine": message(HELD[0]), "reject": message(REFUSED[0]),
        "tempfail": ODD,
    }  # fmt: skip
    order = ["accept", "reject", "accept", "tag", "quarantine", "tempfail", "accept", "quarantine"]
    order += ["reject", "reject", "tag", "tempfail", "tag", "accept"]
    with site.client() as client:
        lasts = [client.send(SENDER, (RECIPIENT,), kinds[each]).last for each in order]
    held = site.postfix.held()
    for action, last in zip(order, lasts, strict=True):
        assert last.code == {"reject": 550, "tempfail": 451}.get(action, 250)
        assert (last.queue_id in held) == (action == "quarantine")
        if action in {"accept", "tag"}:
            assert bool(tag_of(site.postfix.delivered(last.queue_id, DEADLINE))) == (action == "tag")


def test_a_message_to_many_is_judged_once(site: Site) -> None:
    """One verdict, whatever the number of recipients."""
    many = [b"<r%d@example.com>" % number for number in range(50)]
    before = site.milter.metrics()['forebay_messages_total{action="reject"}']
    assert site.send(message(REFUSED[0]), recipients=many).last.code == 550
    assert site.milter.metrics()['forebay_messages_total{action="reject"}'] == before + 1


def test_rset_forgets_a_message(site: Site) -> None:
    """An envelope that is given up leaves nothing behind for the next message of the session."""
    with site.client() as client:
        client.command(b"MAIL FROM:<a@[192.0.2.1>")
        client.command(b"RCPT TO:<b@[192.0.2.1>")
        assert client.command(b"RSET").code == 250
        assert client.send(SENDER, (RECIPIENT,), GOOD).last.code == 250
        assert client.command(b"QUIT").code == 221


def test_a_client_that_vanishes_leaves_nothing(site: Site) -> None:
    """At any point of a message the client may be gone: the session ends, and nothing is queued or judged."""
    data = message(REFUSED[0])
    before = site.milter.metrics()['forebay_messages_total{action="reject"}']
    for commands in (
        (), (b"MAIL FROM:" + SENDER,), (b"MAIL FROM:" + SENDER, b"RCPT TO:" + RECIPIENT),
        (b"MAIL FROM:" + SENDER, b"RCPT TO:" + RECIPIENT, b"DATA"),
    ):  # fmt: skip
        with site.client() as client:
            for each in commands:
                client.command(each)
            if commands[-1:] == (b"DATA",):
                client.raw(data[: len(data) // 2])
    eventually(lambda: site.milter.metrics()["forebay_connections"] == 0)
    assert site.milter.metrics()['forebay_messages_total{action="reject"}'] == before
    assert site.reply(GOOD).startswith("250 ")


def test_nothing_is_accepted_while_the_milter_is_away() -> None:
    """With default_action tempfail, as the guides have it, Postfix answers every sender with a temporary error."""
    with private_folder() as folder, private_postfix(unpack("postfix", CACHE), folder) as postfix:
        with RawClient(postfix.port, DEADLINE) as client:
            assert client.command(b"MAIL FROM:" + SENDER).text.startswith("451 4.7.1 Service unavailable")
        eventually(lambda: "connect to Milter service" in postfix.log(), postfix.log)
