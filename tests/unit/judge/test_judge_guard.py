"""What goes wrong in a validator costs that validator, never the message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from forebay.api import (
    ACCEPT,
    REJECT,
    TAG,
    Action,
    BodyStartValidator,
    EnvelopeValidator,
    Field,
    FieldValidator,
    Finding,
    Header,
    HeaderValidator,
    Validator,
    validator,
)
from forebay.config import Config
from forebay.judge import breaker, guard
from forebay.judge.breaker import Breaker
from forebay.judge.discovery import Known
from forebay.judge.load import judge_of
from forebay.judge.runner import OURS, Judge
from forebay.testing import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from forebay.judge.verdict import Verdict

MESSAGE: Final = Message.parse(b"From: a@example.org\nSubject: hello\nSubject: again").with_body(b"text")


def third_party(check: Callable[..., object], kind: type[Validator] = FieldValidator, **spec: Any) -> type[Validator]:
    """A validator that does something, of a kind."""
    cls = type("Case", (kind,), {"check": lambda _, *what: check(*what), "__doc__": "Does something."})
    return validator(id="third", rfc="", **({"fields": ("subject",)} | spec if kind is FieldValidator else spec))(cls)


def judge(*validators: type[Validator], builtin: bool = False, **options: object) -> Judge:
    known = [Known(each, "plugin", "file", builtin=builtin) for each in validators]
    made, mistakes = judge_of(known, Config(validators={"third": options} if options else {}))
    assert not mistakes
    return made


def judged(made: Judge, message: Message = MESSAGE) -> tuple[Verdict, list[tuple[str, BaseException]]]:
    """The verdict, and who failed with what."""
    failures: list[tuple[str, BaseException]] = []
    made.failed = lambda who, error: failures.append((who, error))
    return made.judge(message.fields, message.envelope, message.body), failures


def raising(error: BaseException) -> Callable[..., object]:
    def check(*_: object) -> object:
        raise error

    return check


def raising_late(error: BaseException) -> Callable[..., Iterator[Finding]]:
    """Fails after it has found something."""

    def check(*_: object) -> Iterator[Finding]:
        yield Finding("third", b"Subject", 1, 0, 1, "found")
        raise error

    return check


ERRORS: Final = (ValueError("x"), SystemExit(1), GeneratorExit(), MemoryError(), RecursionError(), BaseException("x"))


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("kind", [FieldValidator, HeaderValidator, EnvelopeValidator, BodyStartValidator])
@pytest.mark.parametrize("builtin", [True, False])
def test_whatever_a_validator_raises_is_caught(error: BaseException, kind: type[Validator], builtin: bool) -> None:
    """It is told once a message, the message is tagged, and the next message is judged as if nothing had been."""
    made = judge(third_party(raising(error), kind), builtin=builtin)
    for _ in range(2):
        verdict, failures = judged(made)
        assert failures == [("third", error)]
        assert verdict.errors == ("third",)
        assert (verdict.action, verdict.findings[0].message) == (TAG, "this check failed")


def test_an_interrupt_of_the_operator_is_not_caught() -> None:
    """Ctrl-C ends `forebay check`, whoever is running."""
    with pytest.raises(KeyboardInterrupt):
        judged(judge(third_party(raising(KeyboardInterrupt()))))


def test_what_was_found_before_a_failure_does_not_count() -> None:
    """Half of an answer is none."""
    verdict, failures = judged(judge(third_party(raising_late(ValueError("late")), action=REJECT)))
    assert len(failures) == 1
    assert [each.message for each in verdict.findings] == ["this check failed"]


@pytest.mark.parametrize(("on_error", "action"), [("skip", ACCEPT), ("tag", TAG), ("tempfail", Action.TEMPFAIL)])
def test_on_error_says_what_a_failure_leads_to(on_error: str, action: Action) -> None:
    """The administrator's choice, by validator."""
    verdict, _ = judged(judge(third_party(raising(ValueError())), on_error=on_error))
    assert verdict.action is action
    assert verdict.errors == ("third",)


def test_others_are_asked_all_the_same() -> None:
    """The failure of one is no excuse for the next."""

    @validator(id="second", rfc="", action=REJECT)
    class Second(FieldValidator):
        """Finds everything."""

        def check(self, field: Field) -> Iterable[Finding]:
            """Report the field."""
            yield self.find("found", field)

    verdict, _ = judged(judge(third_party(raising(ValueError())), Second))
    assert verdict.action is REJECT
    assert {each.id for each in verdict.findings} == {"third", "second"}


def test_a_bug_of_our_own_scanners_costs_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tagged, and told under our own name."""
    monkeypatch.setattr("forebay.message.presence.usual", lambda *_: False)
    monkeypatch.setattr("forebay.message.presence.diagnose", raising(RuntimeError("bug")))
    verdict, failures = judged(judge())
    assert [who for who, _ in failures] == [OURS]
    assert (verdict.action, verdict.errors) == (TAG, (OURS,))


def finding(**changes: object) -> Finding:
    given = {
        "id": "third", "field": b"Subject", "field_index": 1, "start": 0, "end": 1, "message": "found", "action": None,
    }  # fmt: skip
    return Finding(**(given | changes))  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    ("nonsense", "told"),
    [
        (None, None),
        ([], None),
        ([finding()], None),
        ([finding(action=REJECT, end=6)], None),
        ([finding(field=b"", field_index=-1, end=0)], None),
        (7, "not iterable"),
        ([7], "returned int"),
        ("text", "returned str"),
        ([finding(id="other")], "another validator's id"),
        ([finding(action=Action.TEMPFAIL)], "no validator can ask for"),
        ([finding(action=4)], "no validator can ask for"),
        ([finding(action="reject")], "no validator can ask for"),
        ([finding(message="two\nlines")], "not one line"),
        ([finding(message="x" * 401)], "at most 400"),
        ([finding(message=b"bytes")], "not one line"),
        ([finding(field="Subject")], "wrong types"),
        ([finding(start=0.0)], "wrong types"),
        ([finding(start=True)], "wrong types"),
        ([finding(field_index=3)], "not there"),
        ([finding(field_index=-2)], "not there"),
        ([finding(field=b"subject")], "not there"),
        ([finding(start=-1)], "outside"),
        ([finding(start=1, end=0)], "outside"),
        ([finding(end=7)], "outside"),
        ([finding(field_index=-1, end=1 << 32)], "outside"),
    ],
)
@pytest.mark.parametrize("builtin", [True, False])
def test_what_is_no_finding_is_a_failure(nonsense: object, told: str | None, builtin: bool) -> None:
    """What the log, the reply and the marking of bytes could not stand on never leaves the validator."""
    verdict, failures = judged(judge(third_party(lambda _: nonsense), builtin=builtin))
    if told is None:
        assert not failures
        assert not verdict.errors
    else:
        ((who, error),) = failures
        assert who == "third"
        assert told in str(error)
        assert verdict.errors == ("third",)


def test_findings_without_end_are_cut() -> None:
    """A generator that never stops is taken a number of findings of."""

    def forever(field: Field) -> Iterator[Finding]:
        while True:
            yield Finding("third", field.name, field.index, 0, 0, "again")

    verdict, failures = judged(judge(third_party(forever)))
    assert not failures
    assert len(verdict.findings) == 2


def test_a_hash_or_a_name_cannot_trick_the_judge() -> None:
    """A class that pretends to be a finding is none."""

    class Pretender(Finding):
        pass

    _, failures = judged(judge(third_party(lambda _: [Pretender("third", b"Subject", 1, 0, 1, "x")])))
    assert isinstance(failures[0][1], guard.NonsenseError)


# -- benching --


SMALL: Final = 2_000_000
"""Nanoseconds: a budget that is overrun quickly."""


def burn(_: object) -> None:
    """Use more CPU time than a call may."""
    until = time.thread_time_ns() + SMALL
    while time.thread_time_ns() <= until:
        pass


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benching takes two milliseconds a call in place of fifty."""
    monkeypatch.setattr(guard, "BUDGET", SMALL)


@pytest.mark.usefixtures("small_budget")
def test_who_burns_cpu_time_again_and_again_is_benched() -> None:
    """It is told by whom and for how long, once; then `on_error` applies without a call."""
    calls: list[object] = []

    def check(field: Field) -> None:
        calls.append(field)
        burn(field)

    made = judge(third_party(check), on_error="skip")
    one = Message.parse(b"Subject: x")
    told = []
    for _ in range(breaker.OVERRUNS + 3):
        verdict, failures = judged(made, one)
        told += failures
    assert len(calls) == breaker.OVERRUNS
    assert made.benched == ("third",)
    assert verdict.errors == ("third",)
    ((who, error),) = told
    assert who == "third"
    assert "benched for 300 seconds" in str(error)


@pytest.mark.usefixtures("small_budget")
def test_built_in_validators_are_never_benched() -> None:
    """Nor measured."""
    made = judge(third_party(burn), builtin=True)
    for _ in range(breaker.OVERRUNS + 3):
        verdict, failures = judged(made, Message.parse(b"Subject: x"))
        assert not failures
        assert verdict.action is ACCEPT
    assert made.benched == ()


@pytest.mark.usefixtures("small_budget")
def test_who_waits_is_not_benched() -> None:
    """A busy or paused machine benches nobody: time on the clock does not count."""
    made = judge(third_party(lambda _: time.sleep(0.005)))
    for _ in range(breaker.OVERRUNS + 3):
        assert not judged(made, Message.parse(b"Subject: x"))[1]


def test_a_breaker_counts_within_a_window_and_forgives() -> None:
    """Five overruns within a minute bench for five minutes; five spread wider do not."""
    slow = Breaker()
    assert not any(slow.overran(20.0 * number) for number in range(20))
    assert not slow.tripped
    quick = Breaker()
    assert [quick.overran(1.0 + number) for number in range(breaker.OVERRUNS)] == [False] * 4 + [True]
    assert quick.tripped
    assert quick.is_benched(5.0 + breaker.BENCH - 0.1)
    assert not quick.is_benched(5.0 + breaker.BENCH)
    assert not quick.overran(6.0 + breaker.BENCH)


def test_the_watchdog_is_told_who_runs() -> None:
    """Before and after each call of third-party code, also where it fails; never of what is built in."""
    events: list[str] = []

    class Watch:
        def enter(self, validator_id: str) -> None:
            events.append(validator_id)

        def leave(self) -> None:
            events.append("back")

    for check in (lambda _: None, raising(ValueError())):
        made = judge(third_party(check))
        made.watch = Watch()
        judged(made, Message.parse(b"Subject: x"))
    assert events == ["third", "back"] * 2
    made = judge(third_party(lambda _: None), builtin=True)
    made.watch = Watch()
    judged(made)
    assert len(events) == 4


# -- who is called --


def test_a_validator_is_called_for_its_fields_only() -> None:
    """In their order, whatever the case of their names; without `fields` for every field."""
    seen: list[int] = []
    made = judge(third_party(lambda field: seen.append(field.index), fields=("subject", "x-none")))
    judged(made, Message.parse(b"SUBJECT: a\nTo: b@c.example\nsubject: c"))
    assert seen == [0, 2]
    seen.clear()
    judged(judge(third_party(lambda field: seen.append(field.index), fields=())), MESSAGE)
    assert seen == [0, 1, 2]


def test_a_header_validator_is_called_once_if_one_of_its_fields_is_there() -> None:
    """It sees the whole header and the envelope."""
    seen: list[Header] = []
    judged(judge(third_party(seen.append, HeaderValidator, fields=("x-none",))))
    assert not seen
    judged(judge(third_party(seen.append, HeaderValidator, fields=("x-none", "subject"))))
    (header,) = seen
    assert [field.name for field in header.fields] == [b"From", b"Subject", b"Subject"]
    assert header.envelope == MESSAGE.envelope


def test_the_body_is_asked_for_only_where_somebody_looks_at_it() -> None:
    """Its first bytes come with the header; without a body nobody is called."""
    seen: list[tuple[bytes, Header]] = []
    made = judge(third_party(lambda *what: seen.append(what), BodyStartValidator))
    assert made.needs_body
    judged(made, MESSAGE.with_body(b""))
    assert not seen
    judged(made)
    assert seen[0][0] == b"text"
    assert not judge(third_party(lambda _: None)).needs_body


def test_a_validator_that_is_switched_off_is_not_called() -> None:
    """`enabled = false`."""
    made = judge(third_party(raising(ValueError())), enabled=False)
    assert made.ids == ()
    assert judged(made)[1] == []
