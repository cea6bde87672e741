"""Every action on a real Sendmail: what the client reads, what lies in the queue, what was delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.private_sendmail import TIMES, private_sendmail, queue_id, sendmail_site
from mta.private_site import (
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterService
    from mta.private_sendmail import SendmailSite

ODD = message({b"X-Fails": b" yes"})

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
def site() -> Iterator[SendmailSite]:
    """A Sendmail with a milter, one of whose validators fails."""
    with private_folder() as folder:
        (folder / "failing.py").write_text(FAILING)
        config = f'[plugins]\ndirectory = "{folder}"\n[validators.failing]\non_error = "tempfail"\n'
        with sendmail_site(config, milter='reply_url = "https://example.org/why?a=100%25"') as where:
            yield where


def held(site: SendmailSite) -> str:
    """Send a message that is to be quarantined, and return its id."""
    last = site.send(message(HELD[0])).last
    assert queue_id(last) in site.sendmail.queued("hf"), last.text
    return queue_id(last)


def judged(milter: MilterService) -> float:
    """How many messages a milter has judged."""
    return sum(value for name, value in milter.metrics().items() if name.startswith("forebay_messages_total{"))


def test_the_version_is_known(site: SendmailSite) -> None:
    """It is Debian's Sendmail 8, and it answers as what it is."""
    assert site.sendmail.version.startswith("8.")
    with site.client() as client:
        assert f"Sendmail {site.sendmail.version}" in client.greeting.text


def test_a_good_message_is_delivered_as_it_was_written(site: SendmailSite) -> None:
    """Accept: nothing is added to it, nothing is taken away, byte for byte."""
    delivered = site.delivered(GOOD)
    assert delivered.endswith(GOOD.replace(b"\r\n", b"\n"))
    assert tag_of(delivered) == ""


def test_a_tag_is_one_field_above_the_others(site: SendmailSite) -> None:
    """Tag: above Sendmail's own Received; the blank after the colon is one."""
    changed, validator = TAGGED
    delivered = site.delivered(message(changed))
    assert tag_of(delivered) == f" mx.example.org; tag; {validator}"
    assert delivered.startswith(b"X-Forebay: ")


def test_a_forged_tag_is_taken_off(site: SendmailSite) -> None:
    """One that pretends to be ours, also where ours is put in its place; those of other hosts stay."""
    forged = b"X-Forebay: mx.example.org; accept; x\r\nX-Forebay: mx.other.example; tag; y\r\n" * 2
    others = [" mx.other.example; tag; y"] * 2
    assert tag_of(site.delivered(message(more=forged))) == "\n".join(others)
    ours = f" mx.example.org; tag; {TAGGED[1]}"
    assert tag_of(site.delivered(message(TAGGED[0], forged))) == "\n".join([ours, *others])


def test_a_quarantined_message_is_in_the_queue_with_its_reason(site: SendmailSite) -> None:
    """Quarantine: the client reads 250; `sendmail -bp -qQ` tells why, and `mailq` alone does not list it."""
    changed, validator = HELD
    last = site.send(message(changed)).last
    name = queue_id(last)
    assert last.text == f"250 2.0.0 {name} Message accepted for delivery"
    reason = f"To: second @ in an address at byte 6 ({validator})"
    lines = site.sendmail.control_file(name).splitlines()
    assert f"q{reason}" in lines
    assert f"H??X-Forebay: mx.example.org; quarantine; {validator}" in lines
    listed = site.sendmail.tool("-bp", "-qQ")
    assert name in listed
    assert f"QUARANTINE: {reason}" in listed
    assert name not in site.sendmail.tool("-bp")
    assert f"{name}: quarantine: {validator}: To: second @ in an address at byte 6; from=" in site.milter.log()
    assert f"{name}: milter=forebay, quarantine={reason}" in site.sendmail.log()
    assert not (site.sendmail.folder / "delivered" / name).exists()


def test_a_quarantined_message_is_released(site: SendmailSite) -> None:
    """`-qQ -Q -qIid` makes it an ordinary one, the next run of the queue delivers it; the milter is not asked again."""
    name, other = held(site), held(site)
    before = judged(site.milter)
    site.sendmail.tool("-qQ", "-Q", f"-qI{name}")
    assert name in site.sendmail.queued("qf")
    assert {name, other} & site.sendmail.queued("hf") == {other}
    site.sendmail.tool("-q", f"-qI{name}")
    assert tag_of(site.sendmail.delivered(name)) == f" mx.example.org; quarantine; {HELD[1]}"
    assert other in site.sendmail.queued("hf")
    assert judged(site.milter) == before


def test_without_an_id_a_queue_run_delivers_all_that_is_quarantined() -> None:
    """Why the guide warns of `-qQ` alone: it releases everything."""
    with sendmail_site() as site:
        names = [held(site), held(site)]
        site.sendmail.tool("-q")  # an ordinary run leaves them
        assert site.sendmail.queued("hf") == set(names)
        site.sendmail.tool("-qQ")
        for each in names:
            assert b"Hello" in site.sendmail.delivered(each)


def test_an_ordinary_message_in_the_queue_can_be_quarantined(site: SendmailSite) -> None:
    """By hand: `-Qreason -qIid`; a release without -qQ does nothing to it."""
    name = held(site)
    site.sendmail.tool("-qQ", "-Q", f"-qI{name}")
    site.sendmail.tool("-Qby hand", f"-qI{name}")
    assert "qby hand" in site.sendmail.control_file(name).splitlines()
    site.sendmail.tool("-Q", f"-qI{name}")
    assert name in site.sendmail.queued("hf")


def test_a_refusal_says_why_and_where(site: SendmailSite) -> None:
    """Reject: one line with place, validator and URL, a per cent sign in it included; Sendmail keeps nothing."""
    changed, validator = REFUSED
    eventually(lambda: not site.sendmail.queued("qf"))  # what others sent is delivered
    before = site.sendmail.queued("df")
    last = site.send(message(changed)).last
    assert last.text == f"550 5.6.0 To: unbalanced '\"' at byte 2 ({validator}); see https://example.org/why?a=100%25"
    eventually(lambda: site.sendmail.queued("df") == before)
    assert site.sendmail.queued("qf") == set()


def test_a_failing_check_may_be_answered_with_a_temporary_error(site: SendmailSite) -> None:
    """Tempfail: 451 with the matching status, and the client comes again."""
    reply = site.send(ODD).last.text
    assert reply.startswith("451 4.3.0 a check of this message failed; try again later; see https://")


def test_all_actions_mixed_over_one_connection(site: SendmailSite) -> None:
    """What became of one message says nothing about the next one of the session."""
    kinds = {
        "accept": GOOD, "tag": message(TAGGED[0]), "quarantine": message(HELD[0]), "reject": message(REFUSED[0]),
        "tempfail": ODD,
    }  # fmt: skip
    order = ["accept", "reject", "accept", "tag", "quarantine", "tempfail", "accept", "quarantine"]
    order += ["reject", "reject", "tag", "tempfail", "tag", "accept"]
    with site.client() as client:
        lasts = [client.send(SENDER, (RECIPIENT,), kinds[each]).last for each in order]
    for action, last in zip(order, lasts, strict=True):
        assert last.code == {"reject": 550, "tempfail": 451}.get(action, 250)
        assert (queue_id(last) in site.sendmail.queued("hf")) == (action == "quarantine")
        if action in {"accept", "tag"}:
            assert bool(tag_of(site.sendmail.delivered(queue_id(last)))) == (action == "tag")


def test_several_milters_in_a_row() -> None:
    """What one refuses the next is not asked about; what one holds, it is (Postfix asks nobody any more then)."""
    with private_folder() as folder, milter_service() as first, milter_service(milter="tag_field = 'X-Next'") as later:
        filters = "\n".join(
            f"INPUT_MAIL_FILTER(`{name}', `S={each.address}, F=T, T={TIMES}')dnl"
            for name, each in (("first", first), ("later", later))
        )
        with private_sendmail(folder, filters) as sendmail, RawClient(sendmail.port, DEADLINE) as client:
            assert client.send(SENDER, (RECIPIENT,), message(REFUSED[0])).last.code == 550
            assert judged(later) == 0
            last = client.send(SENDER, (RECIPIENT,), message(HELD[0])).last
            assert judged(later) == 1
            lines = sendmail.control_file(queue_id(last))
            assert f"X-Next: mx.example.org; quarantine; {HELD[1]}" in lines
            assert f"X-Forebay: mx.example.org; quarantine; {HELD[1]}" in lines


@pytest.mark.parametrize(
    ("flags", "reply"),
    [
        ("F=T, ", "451 4.3.2 Please try again later"),
        ("F=R, ", "554 mx.forebay.test ESMTP not accepting messages"),
        ("", ""),
    ],
    ids=["F=T", "F=R", "none"],
)
def test_while_the_milter_is_away(flags: str, reply: str) -> None:
    """F=T, as the guide has it, makes senders come again. Without a flag mail is accepted unchecked."""
    with private_folder() as folder:
        filters = f"INPUT_MAIL_FILTER(`forebay', `S=unix:{folder}/nobody.sock, {flags}T=C:1s')dnl"
        with private_sendmail(folder, filters) as sendmail:
            if not reply:
                with RawClient(sendmail.port, DEADLINE) as client:
                    assert client.send(SENDER, (RECIPIENT,), message(REFUSED[0])).last.code == 250
                return
            with RawClient(sendmail.port, DEADLINE) as client:
                said = client.greeting if client.greeting.code >= 400 else client.command(b"MAIL FROM:" + SENDER)
                assert said.text == reply
