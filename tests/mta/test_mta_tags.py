"""The tag on a real Postfix: forged ones of this host are gone, those of others stay, and ours is there once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mta.private_site import HELD, TAGGED, Site, message, tag_of
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = b"X-Forebay: mx.other.example; tag; date-obsolete\r\n"
FORGED = b"X-Forebay: mx.example.org; accept; nothing-at-all\r\n"
OURS = " mx.example.org; tag; header-missing-message-id"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A milter that signs as mx.example.org."""
    with private_site() as where:
        yield where


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (b"", ""),
        (OTHERS, " mx.other.example; tag; date-obsolete"),
        (FORGED, ""),
        (FORGED + OTHERS + FORGED, " mx.other.example; tag; date-obsolete"),
        (OTHERS + FORGED + OTHERS, "\n".join([" mx.other.example; tag; date-obsolete"] * 2)),
        (FORGED * 20, ""),
        (b"x-forebay:mx.EXAMPLE.org;x\r\n", ""),
        (b"X-Forebay:\r\n\tmx.example.org;\r\n\ttag\r\n", ""),
        (b"X-Forebay: mx.example.org\r\n", ""),
        (b"X-Forebay: mx.example.org.evil.example; tag\r\n", " mx.example.org.evil.example; tag"),
    ],
)
def test_forged_tags_are_taken_off(site: Site, given: bytes, left: str) -> None:
    """In a message that is accepted, and in one that gets a tag of our own, above those that stay."""
    assert tag_of(site.delivered(message(more=given))) == left
    assert tag_of(site.delivered(message(TAGGED[0], given))) == "\n".join(filter(None, (OURS, left)))


def test_forged_tags_of_a_held_message_are_taken_off(site: Site) -> None:
    """A person who looks at it must not be told that we found nothing."""
    last = site.send(message(HELD[0], FORGED + OTHERS)).last
    tags = tag_of(site.postfix.held_message(last.queue_id))
    assert tags == " mx.example.org; quarantine; address-multiple-at\n mx.other.example; tag; date-obsolete"


def test_a_forged_tag_beyond_what_is_collected_is_taken_off() -> None:
    """Collecting stops where a budget is spent; where that budget only tags, a tag at the end is seen all the same."""
    config = "[policy.actions]\nheader-count = 'tag'\nheader-total-too-large = 'tag'\n[policy]\npreset = 'protect'\n"
    with private_site(config) as site:
        filler = b"".join(b"X-Filler: %d\r\n" % number for number in range(1200))
        tags = tag_of(site.delivered(message(more=filler + FORGED + OTHERS)))
        assert tags == " mx.example.org; tag; header-count\n mx.other.example; tag; date-obsolete"


def test_another_name_of_the_field() -> None:
    """tag_field and hostname are what the administrator chose."""
    with private_site(milter='tag_field = "X-Rack"\n') as site:
        delivered = site.delivered(
            message(TAGGED[0], b"X-Rack: mx.example.org; accept; x\r\nX-Forebay: mx.example.org; x\r\n")
        )
        assert delivered.count(b"X-Rack:") == 1
        assert b"X-Rack: mx.example.org; tag; header-missing-message-id\n" in delivered
        assert b"X-Forebay: mx.example.org; x\n" in delivered
