"""Matching: what is like a killer is stopped, and nothing else is."""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import spamassassin

from bench.kit.mail import hostile
from forebay.config import Config, Exempt, Policy
from forebay.config_store import Fingerprints
from forebay.judge import fingerprints
from forebay.judge.fingerprints import Snapshot, load_judge_and_matcher
from forebay.judge.reach import Reach, counted
from forebay.message.envelope import Envelope
from forebay.message.finding import Action
from forebay.message.split import split
from forebay.testing import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.judge.fingerprints import Matcher
    from forebay.judge.runner import Judge

FOREVER: Final = time.time() + 1e6
ALL_TAGGED: Final = Config(policy=Policy(actions={"*": "tag"}))
JUDGE, MATCHER = load_judge_and_matcher(ALL_TAGGED)

KILLER: Final = Message.parse(
    b"Received: from a by b; Mon, 3 Nov 2025 10:00:00 +0000\nFrom: Ann <ann@example.org>\n"
    b"To: Joe " + b"[[] " * 50 + b"<joe@example.com>\nDate: Mon, 3 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: hello\n"
)
LETTER: Final = Message.parse(
    b"From: News <news@example.org>\nTo: readers@example.org\nDate: Mon, 3 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <issue-7@example.org>\nSubject: our newsletter\n"
)


def envelope(message: Message) -> Envelope:
    return Envelope(message.sender, message.recipients, message.client, message.authenticated, message.smtputf8)


def digests(message: Message, matcher: Matcher = MATCHER) -> tuple[bytes | None, bytes | None]:
    return matcher.digests(message.fields, envelope(message), message.body)


def action(message: Message, judge: Judge = JUDGE, matcher: Matcher = MATCHER) -> Action:
    """What is done with a message."""
    verdict = judge.judge(message.fields, envelope(message), message.body)
    return matcher.match(verdict, message.fields, envelope(message), message.body)[0].action


def knowing(
    config: Config, *, exact: Iterable[bytes | None] = (), shape: Iterable[bytes | None] = ()
) -> tuple[Judge, Matcher]:
    """A judge and a matcher that know these."""
    judge, matcher = load_judge_and_matcher(config)
    matcher.snapshot = Snapshot(
        dict.fromkeys(filter(None, exact), FOREVER), dict.fromkeys(filter(None, shape), FOREVER)
    )
    return judge, matcher


def changed(name: bytes, value: bytes) -> Message:
    """The killer with another value of one field."""
    fields = tuple((key, value if key == name else old) for key, old in KILLER.fields)
    return Message(fields, KILLER.body, KILLER.sender, KILLER.recipients)


EVIL_TO: Final = b"[[] " * 50 + b"<joe@example.com>"
VARIANTS: Final = {
    "message-id": changed(b"Message-ID", b" <quite-another@example.net>"),
    "date": changed(b"Date", b" Tue, 4 Nov 2025 11:00:00 +0100"),
    "received": changed(b"Received", b" from c by d; Tue, 4 Nov 2025 11:00:00 +0100"),
    "subject": changed(b"Subject", b" something else"),
    "from": changed(b"From", b" Bob <bob@example.net>"),
    "display name": changed(b"To", b" Robert " + EVIL_TO),
    "one more word": changed(b"To", b" Joe the Third of Nowhere " + EVIL_TO),
    "folded": changed(b"To", b" Joe " + b"[[]\n " * 50 + b"<joe@example.com>"),
    "a few more": changed(b"To", b" Joe " + b"[[] " * 52 + b"<joe@example.com>"),
    "recipients": Message(KILLER.fields, b"", b"<x@example.net>", (b"<y@example.net>", b"<z@example.net>")),
    "client": Message(KILLER.fields, b"", KILLER.sender, KILLER.recipients, "198.51.100.7", authenticated=True),
    "body": Message(KILLER.fields, b"quite another body\n", KILLER.sender, KILLER.recipients),
    "more fields": Message((*KILLER.fields, (b"X-Mailer", b" y")), b"", KILLER.sender, KILLER.recipients),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_of_a_killer_is_known_by_its_shape(name: str) -> None:
    """What the sender changes without effort does not matter."""
    judge, matcher = knowing(ALL_TAGGED, shape=[digests(KILLER)[1]])
    assert digests(KILLER)[1]
    assert action(VARIANTS[name], judge, matcher) is Action.QUARANTINE


@pytest.mark.parametrize(
    ("configured", "expected"), [("quarantine", Action.QUARANTINE), ("reject", Action.REJECT), ("tag", Action.TAG)]
)
def test_the_action_is_the_configured_one(configured: str, expected: Action) -> None:
    """An exact match makes of a good message what the configuration says."""
    config = Config(fingerprints=Fingerprints(action=configured))  # type: ignore[arg-type]  # one of them
    judge, matcher = knowing(config, exact=[digests(LETTER)[0]])
    assert action(LETTER, judge, matcher) is expected


def test_under_observe_it_is_only_counted() -> None:
    """The verdict says what would have been done."""
    judge, matcher = knowing(Config(policy=Policy(preset="observe")), exact=[digests(LETTER)[0]])
    verdict = judge.judge(LETTER.fields, envelope(LETTER))
    found, digest = matcher.match(verdict, LETTER.fields, envelope(LETTER))
    assert (found.action, found.would) == (Action.ACCEPT, Action.QUARANTINE)
    assert digest == digests(LETTER)[0]


def test_who_is_exempt_is_matched_all_the_same() -> None:
    """Authenticated clients too, for whom a rejection becomes a quarantine; only `exempt.full` is left alone."""
    mine = Message(LETTER.fields, b"", LETTER.sender, LETTER.recipients, "192.0.2.1", authenticated=True)
    judge, matcher = knowing(Config(fingerprints=Fingerprints(action="reject")), exact=[digests(LETTER)[0]])
    assert action(mine, judge, matcher) is Action.QUARANTINE
    full = Config(policy=Policy(exempt=Exempt(full=("192.0.2.0/24",))))  # type: ignore[arg-type]  # as TOML has it
    judge, matcher = knowing(full, exact=[digests(LETTER)[0]])
    assert action(mine, judge, matcher) is Action.ACCEPT


def test_an_expired_one_is_not_matched() -> None:
    """Whether or not the snapshot has been renewed since."""
    judge, matcher = knowing(Config())
    matcher.snapshot = Snapshot({digests(LETTER)[0] or b"": time.time() - 1})
    assert action(LETTER, judge, matcher) is Action.ACCEPT


def test_a_replayed_newsletter_suspends_the_fingerprint() -> None:
    """At most suspend_after readers' copies are held; the next issue is not touched at all."""
    judge, matcher = knowing(Config(), exact=[digests(LETTER)[0]])
    copies = [Message(LETTER.fields, b"", LETTER.sender, (b"<reader%d@example.com>" % n,)) for n in range(200)]
    held = sum(action(each, judge, matcher) is Action.QUARANTINE for each in copies)
    assert held == Config().fingerprints.suspend_after
    following = tuple((name, value.replace(b"issue-7", b"issue-8")) for name, value in LETTER.fields)
    assert action(Message(following), judge, matcher) is Action.ACCEPT


def test_all_processes_count_together(tmp_path: Path) -> None:
    """However many count at once, no more than so many see a count that is not beyond; recipients differ by case only once."""
    go, children = tmp_path / "go", []
    for number in range(6):
        child = os.fork()
        if not child:
            reach = Reach(tmp_path, 20)
            while not go.exists():
                time.sleep(0.001)
            names = [b"<R%d.%d@example.com>" % (number, each) for each in range(30)]
            within = sum(not reach.is_beyond(b"x" * 16, [name]) for name in names)
            within += sum(not reach.is_beyond(b"y" * 16, [name.lower()]) for name in [*names[:3], *names[:3]])
            os._exit(within)
        children.append(child)
    go.touch()
    within = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    assert within <= 20 + 6 * 6
    assert within >= 6 * 6 + 1
    assert len(list((tmp_path / "reached" / (b"y" * 16).hex()).iterdir())) == 18


def test_a_count_that_cannot_be_kept_is_kept_in_memory(tmp_path: Path) -> None:
    """Without a directory each worker counts alone; with a bound of 0 nobody counts."""
    reach = Reach(tmp_path / "missing", 3)
    assert [reach.is_beyond(b"x" * 16, [b"<%d@a.example>" % each]) for each in range(5)] == [False] * 3 + [True] * 2
    assert reach.is_beyond(b"y" * 16, [b"<%d@a.example>" % each for each in range(1000)])
    assert not Reach(tmp_path, 0).is_beyond(b"x" * 16, [b"<%d@a.example>" % each for each in range(1000)])


def test_what_else_lies_among_the_counts_is_left_alone(tmp_path: Path) -> None:
    """A directory that somebody has made there is no fingerprint, and stops nobody."""
    assert not Reach(tmp_path, 3).is_beyond(b"x" * 16, [b"<a@a.example>"])
    (tmp_path / "reached" / "lost+found").mkdir()
    assert counted(tmp_path) == [b"x" * 16]


def test_a_resend_storm_of_a_killer_suspends_nothing() -> None:
    """A shape is stopped for the thousandth recipient as for the first; so is an exact one that has other findings."""
    judge, matcher = knowing(ALL_TAGGED, shape=[digests(KILLER)[1]])
    storm = [Message(KILLER.fields, b"", KILLER.sender, (b"<r%d@example.com>" % n,)) for n in range(1000)]
    assert {action(each, judge, matcher) for each in storm} == {Action.QUARANTINE}


def killers(number: int) -> list[Message]:
    """Killers of as many kinds."""
    chance = random.Random(6)
    pieces = [
        b"[[] ",
        b'"" ',
        b"<> ",
        b"(( ",
        b"a@b@c ",
        b"<a ",
        b":; ",
        b"[a@ ",
        b'"<',
        b"@@ ",
        b"a:b ",
        b"((",
        b"\\ ",
        b">> ",
        b"<<",
    ]
    names = [b"To", b"Cc", b"Reply-To", b"From", b"Bcc", b"Resent-To"]
    made: dict[bytes, Message] = {}
    while len(made) < number:
        value = (
            b" x " + chance.choice(pieces) * chance.choice([1, 3, 9, 30, 90]) + chance.choice(pieces) + b"y@example.com"
        )
        message = changed(b"To", b" joe@example.com")
        fields = (*message.fields, (chance.choice(names), value))
        found = Message(fields)
        digest = digests(found)[1]
        if digest:
            made.setdefault(digest, found)
    return list(made.values())


@pytest.fixture(scope="module")
def known() -> tuple[Judge, Matcher]:
    """A matcher that knows 200 shapes."""
    return knowing(ALL_TAGGED, shape=[digests(each)[1] for each in killers(200)])


def test_no_real_mail_has_a_killers_shape(known: tuple[Judge, Matcher]) -> None:
    """Of the 6,046 messages of the SpamAssassin corpus, those with findings among them, none matches 200 shapes."""
    judge, matcher = known
    assert len(matcher.snapshot.shape) == 200
    matched, tagged, total = [], 0, 0
    for folder in spamassassin.folders(spamassassin.HAM + spamassassin.SPAM):
        for path in sorted(Path(folder).iterdir()):
            parts = split(path.read_bytes())
            mail = Envelope(parts.sender or b"<a@example.org>", (b"<b@example.com>",))
            verdict = judge.judge(parts.fields, mail, parts.body[:65535])
            total += 1
            tagged += bool(verdict.findings)
            if matcher.match(verdict, parts.fields, mail, parts.body[:65535])[1]:
                matched.append(str(path))
    print(f"{total} messages, {tagged} with findings, {len(matched)} matches")
    assert matched == []
    assert total == 6046
    assert tagged > 500


def test_no_harmless_malformed_mail_has_a_killers_shape(known: tuple[Judge, Matcher]) -> None:
    """10,000 messages with the mistakes that programs make: none matches."""
    judge, matcher = known
    chance = random.Random(7)
    words = [b"Ann", b"Bob B.", b"=?utf-8?q?J=C3=B6rg?=", b"sales", b"M\xfcller", b"O'Neill", b"Dr. Who", b"a.b.", b""]
    dates = [
        b" 3 Nov 2025 10:00",
        b" Mon, 03-Nov-25 10:00:00 GMT",
        b" Montag, 3. November",
        b" Mon, 3 Nov 2025 10:00:00 +0000",
        b"",
    ]
    ids = [b" <1@x>", b" 1@x", b" <1>", b" <>", b" <a b@c>", b" <1@x><2@y>"]
    found = 0
    for _ in range(10_000):
        person = b" %s <%s@example.org>" % (chance.choice(words), chance.choice([b"ann", b"bob.b", b"x_y"]))
        fields = [
            (b"From", person),
            (b"To", chance.choice([person, b" ann@example.org;", b" ann@example.org,", b" undisclosed-recipients:;"])),
        ]
        fields += [
            (b"Date", chance.choice(dates)),
            (b"Message-ID", chance.choice(ids)),
            (b"Subject", b" " + chance.choice(words)),
        ]
        fields += [(b"Received", b" from a"), (b"X Bad", b" y")][: chance.randrange(3)]
        message = Message(tuple(fields))
        verdict = judge.judge(message.fields, envelope(message))
        found += bool(matcher.match(verdict, message.fields, envelope(message))[1])
    assert found == 0


def test_a_look_up_costs_less_than_a_microsecond() -> None:
    """Of CPU time, the least of several runs, with as many fingerprints as ever."""
    snapshot = {n.to_bytes(16): FOREVER for n in range(10_000)}
    rounds = 20_000
    best = 1.0
    for _ in range(7):
        began = time.process_time()
        for _ in range(rounds):
            fingerprints._is_live(snapshot, b"0123456789abcdef")
        best = min(best, (time.process_time() - began) / rounds)
    print(f"{best * 1e9:.0f} ns")
    assert best < 1e-6


def test_a_snapshot_survives_a_restart(tmp_path: Path) -> None:
    """What was written is read; a damaged file is nothing, and no error."""
    snapshot = Snapshot({b"a" * 16: 1.5}, {b"b" * 16: 2.5}, is_full=True, at=3.0)
    fingerprints.write(tmp_path, snapshot)
    assert fingerprints.read(tmp_path) == snapshot
    for damaged in (b"", b"[]", b'{"fingerprints": [[1]]}', b"\xff"):
        (tmp_path / fingerprints.NAME).write_bytes(damaged)
        assert fingerprints.read(tmp_path) == fingerprints.NOTHING


@pytest.mark.parametrize("number", range(len(hostile())))
@pytest.mark.parametrize("fold", [b"\n\t", b"\n        "])
def test_a_flood_has_one_fingerprint_however_it_is_folded(number: int, fold: bytes) -> None:
    """Where reading ends is counted in steps, and without blanks: every view of a message ends at the same place."""
    message = hostile()[number]
    again = tuple((name, re.sub(rb"\n[ \t]+", fold, value.lstrip(b" "))) for name, value in message.fields)
    known = digests(message)
    assert known[1]
    assert digests(replace(message, fields=again)) == known
