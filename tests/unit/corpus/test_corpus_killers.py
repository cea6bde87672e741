"""What killed real parsers is refused at the size at which it did, and passes at a size that ordinary mail has."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forebay.api import ACCEPT, TAG, Example
from forebay.config import Config
from forebay.testing import Message
from forebay.testing.running import Runner

if TYPE_CHECKING:
    from forebay.judge.verdict import Verdict

FILE = Path(__file__).resolve().parents[2] / "corpus" / "killers.toml"
CORPUS = tomllib.loads(FILE.read_text(encoding="utf-8"))
KILLERS, TAGGED, ACCEPTED = CORPUS["killer"], CORPUS["tagged"], CORPUS["accepted"]

ORDINARY = {
    b"from": b" a@example.org",
    b"to": b" b@example.org",
    b"date": b" Thu, 22 Aug 2002 12:36:23 +0000",
    b"message-id": b" <1@example.org>",
    b"mime-version": b" 1.0",
}
LINE = 70
RUNNER = Runner((), Config(), builtin=True)


def name(killer: dict[str, Any]) -> str:
    return str(killer["what"])


@pytest.mark.parametrize("killer", KILLERS, ids=name)
def test_killer_is_refused(killer: dict[str, Any]) -> None:
    """At the size at which it does harm it is quarantined or rejected, for what it is."""
    header = written(killer, killer["size"] // len(killer["unit"]) if "unit" in killer else 0)
    verdict = judged(header, killer.get("rcpt"))
    refusing = {each.id for each in verdict.findings if each.action not in {ACCEPT, TAG}}
    assert verdict.action > TAG
    assert set(killer["by"]) <= refusing


@pytest.mark.parametrize("killer", KILLERS, ids=name)
def test_harmless_is_not(killer: dict[str, Any]) -> None:
    """The same construct, as ordinary mail has it, is accepted or tagged."""
    verdict = judged(killer["ham"] if "ham" in killer else written(killer, killer["harmless"]), None)
    assert verdict.action <= TAG, verdict.reason


@pytest.mark.parametrize("tagged", TAGGED, ids=name)
def test_what_ordinary_mail_has_is_tagged(tagged: dict[str, Any]) -> None:
    """What has hurt a parser and stands in ordinary mail is found, and passes."""
    verdict = judged(tagged["header"], None)
    assert verdict.action is TAG
    assert set(tagged["by"]) <= {each.id for each in verdict.findings}


@pytest.mark.parametrize("accepted", ACCEPTED, ids=name)
def test_what_is_well_formed_is_accepted(accepted: dict[str, Any]) -> None:
    """What has hurt a parser and breaks no rule is not found."""
    assert judged(accepted["header"], None).action is ACCEPT


def written(killer: dict[str, Any], count: int) -> str:
    """The header of a killer with so many units, in short lines where it is folded."""
    header = str(killer["header"])
    for unit in (killer.get("unit", ""), killer.get("unit2", "")):
        if unit:
            each = max(1, LINE // len(unit)) if killer.get("fold") else count or 1
            lines = [unit * min(each, count - done) for done in range(0, count, each)]
            header = header.replace("%", "\n ".join(lines), 1)
    return header


def judged(header: str, rcpt: str | None) -> Verdict:
    """The verdict of `protect` on a message that has this header, and is ordinary otherwise."""
    example = Example(header.encode("latin-1"), recipients=((rcpt or "<c@example.org>").encode("latin-1"),))
    message = Message.cut(example) if b"\r" in example.header else Message.of(example)
    present = {field.lower() for field, _ in message.fields}
    for field, value in ORDINARY.items():
        if field not in present:
            message = message.field(field, value)
    return RUNNER.verdict(message)
