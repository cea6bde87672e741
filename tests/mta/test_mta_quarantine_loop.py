"""The whole loop on the real thing: SMTP, Postfix, the spool, a router that dies, and the next one held at SMTP time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from fleet.fleet_kit import host
from forebay.quickstart import private_postfix as postfixes
from forebay.quickstart.debs import unpack
from forebay.quickstart.raw_smtp import RawClient
from mta.private_site import CACHE, DEADLINE, REFUSED, SENDER, eventually, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from fleet.fleet_kit import Host
    from forebay.quickstart.private_postfix import PrivatePostfix
    from forebay.quickstart.raw_smtp import Answers

INTO_SPOOL: Final = """\
office={office}
sender="$2"
shift 2
made="$office/public/in.$$"
{{ echo "from <$sender>"; for each in "$@"; do echo "to <$each>"; done; echo env-end; cat; }} >"$made" &&
mv "$made" "$office/router/$(stat -c %i "$made")"
"""
"""What Postfix delivers with, here: a file in the router's spool, as ZMailer's own tools write it."""

KILLER: Final = message(REFUSED[0], b"X-Do: crash\r\n")


class Chain:
    """Postfix, and the host whose milter it asks and whose router it delivers to."""

    def __init__(self, postfix: PrivatePostfix, one: Host) -> None:
        self.postfix = postfix
        self.host = one

    def send(self, data: bytes, recipient: bytes = b"<joe@example.com>") -> Answers:
        """Send one message by SMTP."""
        with RawClient(self.postfix.port, DEADLINE) as client:
            return client.send(SENDER, (recipient,), data)

    def first_hold(self, data: bytes, recipient: bytes = b"<joe@example.com>") -> float:
        """Send again and again until one is held; when that was, in seconds since 1970."""
        until = time.monotonic() + DEADLINE
        while True:
            queue_id = self.send(data, recipient).last.queue_id
            at = time.time()
            if f"{queue_id}: quarantine: fingerprint" in self.host.milter.log():
                eventually(lambda queue_id=queue_id: queue_id in self.postfix.held())  # type: ignore[misc]  # a default binds it
                return at
            assert time.monotonic() < until


@contextmanager
def chain(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """Run it until the end of the block."""
    arguments = "${{queue_id}} ${{sender}} ${{recipient}}"
    patch.setattr(postfixes, "MASTER_CF", postfixes.MASTER_CF.replace("${{queue_id}}", arguments))
    with postfixes.private_folder() as folder, host("a", folder / "host") as one:
        for each in (one.site.office, one.site.office / "public", one.site.office / "router"):
            each.chmod(0o777)
        patch.setattr(postfixes, "DELIVER", INTO_SPOOL.replace("{office}", str(one.site.office)))
        with postfixes.private_postfix(unpack("postfix", CACHE), folder, smtpd_milters=one.milter.address) as postfix:
            yield Chain(postfix, one)


def digests(one: Host, name: str) -> set[bytes]:
    """The digests of one kind of what lies aside."""
    return {getattr(each, name) for each in one.site.entries("aside")}


def test_a_killer_by_smtp_is_held_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets through once, kills twice, lies aside with its waiting copies; then it is held, and good mail goes on."""
    with chain(tmp_path, monkeypatch) as site:
        for _ in range(3):
            site.send(KILLER)
        eventually(lambda: len(site.host.site.entries("aside")) >= 1)
        died = site.host.site.entries("aside")[0].at
        held = site.first_hold(KILLER.replace(b"crash", b"route").replace(b"<1@", b"<2@").replace(b"hello", b"another"))
        print(f"second death to first hold through Postfix: {1000 * (held - died):.0f} ms")
        site.send(message({b"Message-ID": b" <good@example.org>"}))
        eventually(lambda: "good" in site.host.site.delivered())
        eventually(lambda: len(site.host.site.entries("aside")) >= 3)


def test_both_views_of_a_message_have_the_same_fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the milter wrote down of a message that it holds is what the sidecar reads in the spool after the release."""
    with chain(tmp_path, monkeypatch) as site:
        # Each has an id of its own: with the same one, the second may be moved aside as a copy before it has killed anybody.
        other = {b"To": b" joe@@example.com,\r\n\t ann@example.com", b"Message-ID": b" <other@example.org>"}
        cases = [KILLER, message(other, b"X-Do: crash\r\n")]
        for data in cases:
            site.send(data)
        eventually(lambda: len(digests(site.host, "shape")) == len(cases))
        for data in cases:
            site.first_hold(data)
        eventually(lambda: len(site.host.desk.entries("--kind", "mta-hold")) >= len(cases))
        seen: list[dict[str, Any]] = site.host.desk.entries("--kind", "mta-hold")
        for name in ("shape", "exact"):
            assert {each[name] for each in seen} == {each.hex() for each in digests(site.host, name) if each}


def test_evil_in_the_envelope_recipient_gets_through_postfix_and_is_held_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header is good; what the router dies of is the recipient alone, as Postfix passes it on."""
    evil = b"<joe@@example.com>"  # most other evils Postfix refuses, or repairs before it delivers
    with chain(tmp_path, monkeypatch) as site:
        answers = site.send(message(None, b"X-Do: crash\r\n"), evil)
        assert answers.last.text.startswith("250"), answers
        eventually(lambda: len(site.host.site.entries("aside")) == 1)
        site.first_hold(message({b"Message-ID": b" <7@example.net>", b"Subject": b" other"}), evil)
