"""The show's messages: each meets, by the judge alone, with what the show says that it has to meet with."""

from __future__ import annotations

import pytest

from forebay.quickstart.samples import SAMPLES, SENDER, Action, Sample
from forebay.testing import Message, verdict


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.title)
def test_a_sample_meets_with_what_it_has_to(sample: Sample) -> None:
    """The verdict of the built-in validators is the one that is announced, for the reason that is announced."""
    header, _, body = sample.message.partition(b"\r\n\r\n")
    message = Message.parse(header).with_body(body).sent_by(SENDER).sent_to(sample.recipient)
    given = verdict(message, builtin=True)
    assert given.action.word == sample.action.value
    assert (given.reason.id if given.reason else "") == sample.validator


def test_every_action_is_shown() -> None:
    """A newcomer sees all that can happen, the evil line included where there is one."""
    assert {sample.action for sample in SAMPLES} == set(Action)
    for sample in SAMPLES:
        if sample.evil and not sample.evil.startswith(b"RCPT TO:"):
            assert sample.evil + b"\r\n" in sample.message
