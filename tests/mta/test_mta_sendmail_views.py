"""One message, two views: what the milter is shown, and what lies in Sendmail's queue, have the same fingerprints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from forebay.api.router import Message, Site
from forebay.config import Config
from forebay.sidecar.examine import Examined, Examiner
from forebay.sidecar.routers.sendmail import Sendmail
from mta.private_sendmail import queue_id
from mta.private_site import FIELDS, RECIPIENT, SENDER, eventually, message
from mta.sendmail_desk import sendmail_desk
from unit.corpus.test_corpus_killers import KILLERS, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mta.private_sendmail import SendmailSite
    from mta.quarantine_kit import Desk

MOST: Final = 64_000
"""A longer field Sendmail does not show to a milter at all: the client reads 451."""
ENVELOPES: Final = (
    b"<joe@[1.2.3.4>", b'<joe@a"b".com>', b"<.joe@example.com>", b'<a\\"b@example.com>', b"<@a,@b:joe@example.com>",
)  # fmt: skip
"""Recipients with something wrong that Sendmail accepts."""


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[SendmailSite, Desk]]:
    """A site that quarantines whatever has a defect, and holds it."""
    more = "define(`confMAX_HEADERS_LENGTH', `1048576')dnl\ndefine(`confMAX_MIME_HEADER_LENGTH', `0/0')dnl"
    with sendmail_desk('[policy.actions]\n"*" = "quarantine"\n', settings=more) as (site, desk):
        yield site, desk


def corpus() -> dict[str, bytes]:
    """Every killer of the corpus whose evil is in a field that Sendmail shows whole."""
    found = {}
    for each in KILLERS:
        header = written(each, each["size"] // len(each["unit"]) if "unit" in each else 0).encode("latin-1")
        if "rcpt" in each or len(header) > MOST or b"\r" in header:
            continue
        names = {line.partition(b":")[0].strip().lower() for line in header.split(b"\n")}
        ordinary = b"".join(b"%b:%b\r\n" % (name, value) for name, value in FIELDS.items() if name.lower() not in names)
        found[str(each["what"])] = ordinary + header.replace(b"\n", b"\r\n") + b"\r\n\r\nHello\r\n"
    return found


CASES: Final = {
    **corpus(),
    "folded": message({b"To": b" joe@@example.com,\r\n\t ann@example.com,\r\n   \t<a@@b>"}),
    "a NUL": message({b"To": b" joe@@example.com\0 and more"}),
    "nearly 64,000 bytes": message({b"To": b" " + b"<a@@b>,\r\n " * 5000 + b"x@y"}),
    "60,000 bytes on one line": message({b"Cc": b" " + b"a@b@c, " * 9000 + b"x@y"}),
    "bytes that mean macros": message({b"To": b" \x81\x9f\xff\xfe joe@@example.com \xff"}),
    "no Date, no Message-ID": message({b"To": b" joe@@example.com", b"Date": None, b"Message-ID": None}),
    "Bcc and Return-Path": message(more=b"Bcc: joe@@example.com\r\nReturn-Path: <<a@b>\r\n"),
    "a field of two queue-file lines": message({b"To": b" joe@@example.com"}, b"H??X: y\r\n?P?Return-Path: z\r\n"),
}


ANEW: Final = frozenset({"many addresses", "nearly 64,000 bytes"})
"""Whose shape differs although nothing is cut: Sendmail lays a list of addresses out anew."""


def adapter_of(site: SendmailSite) -> Sendmail:
    return Sendmail(Site(spool=(str(site.sendmail.queue),)))


def in_queue(site: SendmailSite, name: str) -> Examined:
    """The fingerprints of a message as it lies in the queue."""
    adapter = adapter_of(site)
    path = f"{site.sendmail.queue}/hf{name}"
    found = adapter.message(path)
    assert found
    return Examiner(Config(), adapter).examine(Message(path, found.identity, found.size, 0))


def is_whole(site: SendmailSite, name: str, data: bytes) -> bool:
    """Whether Sendmail has cut nothing out of the header: it does, at addresses longer than it can take."""
    fields = adapter_of(site).read(f"{site.sendmail.queue}/hf{name}").fields or ()
    kept = squeezed(b"".join(b"%b:%b" % each for each in fields))
    return all(squeezed(each) in kept for each in data.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b"").splitlines())


def squeezed(text: bytes) -> bytes:
    """Without blanks and NULs, of which Sendmail keeps not all."""
    return bytes(each for each in text if each > 32)


def compare(site: SendmailSite, desk: Desk, sent: dict[str, str]) -> int:
    """Compare both views of messages, by what they are; how many of them have a shape."""
    eventually(lambda: {each["place"] for each in desk.entries("--all")} >= set(sent.values()))
    shown = {each["place"]: each for each in desk.entries("--all")}
    shapes = 0
    for what, name in sent.items():
        there = in_queue(site, name)
        assert (shown[name]["exact"] or "") == (there.exact or b"").hex(), what
        assert ((shown[name]["shape"] or "") == (there.shape or b"").hex()) is (what not in ANEW), what
        shapes += bool(there.shape)
    return shapes


def test_a_killer_in_the_header_has_the_same_fingerprints_in_both_views(place: tuple[SendmailSite, Desk]) -> None:
    """Of all sizes up to those that Sendmail does not show, as far as it has cut nothing out of what it keeps."""
    site, desk = place
    sent = {}
    for what, data in CASES.items():
        reply = site.send(data).last
        if queue_id(reply) in site.sendmail.queued("hf"):  # else it has taken the evil out
            sent.update({what: queue_id(reply)} if is_whole(site, queue_id(reply), data) else {})
        elif not queue_id(reply):
            assert reply.code in {421, 451, 552, 554}, (what, reply.text)
    assert len(sent) >= 38, sorted(set(CASES) - set(sent))
    assert compare(site, desk, sent) >= 28


def test_a_killer_in_the_envelope_alone_has_the_same_shape_in_both_views(place: tuple[SendmailSite, Desk]) -> None:
    """Recipients, and senders, with something wrong that Sendmail passes on; the header is good."""
    site, desk = place
    sent = {}
    for number, each in enumerate(ENVELOPES):
        data = message({b"Message-ID": b" <%d@example.org>" % number})
        for sender, recipient in ((SENDER, each), (each, RECIPIENT)):
            reply = site.send(data, sender, (recipient,)).last
            if queue_id(reply) in site.sendmail.queued("hf"):
                sent[f"{sender!r} to {recipient!r}"] = queue_id(reply)
    assert len(sent) >= 4, sent
    assert compare(site, desk, sent) >= 3
