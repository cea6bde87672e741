"""The examples of RFC 5322 (appendix A), 6854, 2047 and 2231 pass, but for what stands in expected.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from forebay.api import ACCEPT, QUARANTINE, TAG, Action, Envelope
from forebay.config import Config, Policy
from forebay.judge.load import load_judge
from forebay.message.split import split

RFC = Path(__file__).resolve().parents[2] / "corpus" / "rfc"
LINES = (RFC / "expected.txt").read_text(encoding="ascii").splitlines()
EXPECTED = {name: tuple(rest) for name, *rest in (line.split() for line in LINES if line[:1] != "#")}
REFUSED = {"obs-route", "group-syntax-in-from", "from-multiple-mailboxes"}
ENVELOPE = Envelope(b"<a@example.com>", (b"<b@example.com>",))

PROTECT = load_judge(Config())
OBSERVE = load_judge(Config(policy=Policy(preset="observe")))


@pytest.mark.parametrize("name", sorted(path.name for path in RFC.glob("*.eml")))
def test_example(name: str) -> None:
    """Each example gets the action and the findings that expected.txt says, and passes under `observe`."""
    cut = split((RFC / name).read_bytes())
    verdict = PROTECT.judge(cut.fields, ENVELOPE, cut.body, cut.diagnosis)
    found = sorted({each.id for each in verdict.findings if each.action is not ACCEPT})
    assert (verdict.action.word, *found) == EXPECTED[name]
    assert {each.id for each in verdict.findings if each.action not in {ACCEPT, TAG}} <= REFUSED
    assert OBSERVE.judge(cut.fields, ENVELOPE, cut.body, cut.diagnosis).action is ACCEPT


def test_refused_examples() -> None:
    """Only a source route (A.6.1) and a group in From or Sender (RFC 6854) are refused, and these are quarantined."""
    refused = {name: rest[0] for name, rest in EXPECTED.items() if Action[rest[0].upper()] > TAG}
    assert set(refused.values()) == {QUARANTINE.word}
    assert all(name.startswith(("6854-", "5322-a.6.1-")) for name in refused)
    assert len(EXPECTED) == len(list(RFC.glob("*.eml")))
