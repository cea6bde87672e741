"""Whole messages: the examples of the RFCs, and what today's programs write, get what stands in their expected.txt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, QUARANTINE, TAG, Action, Envelope
from forebay.config import Config, Policy
from forebay.judge.load import load_judge
from forebay.message.split import split

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
RFC, PROGRAMS = CORPUS / "rfc", CORPUS / "programs"
MESSAGES = sorted((*RFC.glob("*.eml"), *PROGRAMS.glob("*.eml")))

REFUSED = {"obs-route", "group-syntax-in-from", "from-multiple-mailboxes"}

PROTECT = load_judge(Config())
OBSERVE = load_judge(Config(policy=Policy(preset="observe")))


def expected(folder: Path) -> dict[str, list[str]]:
    """By file: the action, and the ids of the findings that act."""
    lines = (folder / "expected.txt").read_text(encoding="ascii").splitlines()
    return {name: rest for name, *rest in (line.split() for line in lines if line[:1] != "#")}


EXPECTED = {folder: expected(folder) for folder in (RFC, PROGRAMS)}


def judged(path: Path) -> tuple[Verdict, Verdict]:
    """What `protect` and `observe` say of a message; its Return-Path, if any, is its envelope sender."""
    cut = split(path.read_bytes())
    envelope = Envelope(cut.sender or b"<a@example.com>", (b"<b@example.com>",))
    protect, observe = (each.judge(cut.fields, envelope, cut.body, cut.diagnosis) for each in (PROTECT, OBSERVE))
    return protect, observe


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.name)
def test_message(path: Path) -> None:
    """Each message gets the action and the findings that are expected, and passes under `observe`."""
    protect, observe = judged(path)
    found = sorted({each.id for each in protect.findings if each.action is not ACCEPT})
    assert [protect.action.word, *found] == EXPECTED[path.parent][path.name]
    assert {each.id for each in protect.findings if each.action not in {ACCEPT, TAG}} <= REFUSED
    assert observe.action is ACCEPT


def test_refused_examples() -> None:
    """Of the RFCs' only a source route (A.6.1) and a group in From or Sender (RFC 6854) are quarantined, none rejected."""
    refused = {
        name: Action[rest[0].upper()] for name, rest in EXPECTED[RFC].items() if rest[0] not in {"accept", "tag"}
    }
    assert set(refused.values()) == {QUARANTINE}
    assert all(name.startswith(("6854-", "5322-a.6.1-")) for name in refused)


def test_refused_programs() -> None:
    """Nothing that today's programs write is refused."""
    assert {rest[0] for rest in EXPECTED[PROGRAMS].values()} <= {"accept", "tag"}


def test_all_are_there() -> None:
    """Nothing is expected of a file that does not exist."""
    assert sum(map(len, EXPECTED.values())) == len(MESSAGES)
