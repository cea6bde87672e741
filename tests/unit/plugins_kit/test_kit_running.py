"""The test kit: messages, the real runner, assertions, examples."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import pytest
from annotated_types import Gt
from hypothesis import given

from forebay import testing
from forebay.api import (
    ACCEPT,
    QUARANTINE,
    REJECT,
    TAG,
    BodyStartValidator,
    EnvelopeValidator,
    Example,
    Field,
    FieldValidator,
    Finding,
    Header,
    Plugin,
    validator,
)
from forebay.config import Config, Policy
from forebay.errors import ConfigError
from forebay.judge.guard import NonsenseError
from forebay.testing import Message, Runner, assert_found, assert_verdict, run, run_examples, strategies, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.api import Envelope


@validator(
    id="shouts", rfc="", fields=("subject",), action=TAG, author_action=REJECT, good=[b"Subject: hi"],
    bad=[b"Subject: HELLO", Example(b"Subject: OH no", options=(("most", 1),))],
)  # fmt: skip
class Shouts(FieldValidator):
    """Tags a subject in capitals."""

    most: Annotated[int, Gt(0)] = 4

    def check(self, field: Field) -> Iterable[Finding]:
        """Report all words in capitals."""
        at = 0
        for word in field.value.split(b" "):
            if word.isupper() and len(word) > self.most:
                yield self.find("shouting", field, at, at + len(word))
            at += len(word) + 1


@validator(id="whole", rfc="", action=QUARANTINE, good=[b"X: y"], bad=[Example(sender=b"<evil@example.org>")])
class Whole(EnvelopeValidator):
    """Holds what comes from an evil sender."""

    def check(self, envelope: Envelope) -> Iterable[Finding]:
        """Report the sender."""
        if b"evil" in envelope.sender:
            yield self.find("evil sender", b"MAIL FROM", 1, 5)


@validator(id="raises", rfc="", good=[b"X: y"], bad=[b"X: boom"])
class Raises(FieldValidator):
    """Fails."""

    def check(self, field: Field) -> Iterable[Finding]:
        """Fail."""
        if b"boom" in field.value:
            raise LookupError("boom")
        return ()


@validator(id="nonsense", rfc="", good=[b"X: y"], bad=[b"X: y"])
class Nonsense(BodyStartValidator):
    """Points to where nothing is."""

    def check(self, start: bytes, header: Header) -> Iterable[Finding]:
        """Report a field that is not there."""
        yield self.find("x", Field(99, b"X", b""), 0, 1)


def test_a_message_keeps_every_byte() -> None:
    """Nothing that an author puts into a message is changed."""
    message = Message().field(b"Sub\0ject", b"\xff\r\n\0").sent_by(b"<").sent_to(b"a", b"").with_body(b"\n")
    assert message.fields == ((b"Sub\0ject", b"\xff\r\n\0"),)
    assert (message.sender, message.recipients, message.body) == (b"<", (b"a", b""), b"\n")
    assert message.header.fields[0].value == b"\xff\r\n\0"
    assert message.header.envelope == message.envelope
    assert message.without(b"SUB\0JECT").fields == ()


def test_the_bytes_of_a_header_are_cut_into_fields() -> None:
    """Lines end with LF or CRLF, folds stay as LF and blank, and the leading blank of a value stays."""
    message = Message.parse(b"Subject: one\r\n two\nTo:a@example.org\n")
    assert message.fields == ((b"Subject", b" one\n two"), (b"To", b"a@example.org"))
    assert message.data == b"Subject: one\r\n two\r\nTo:a@example.org\r\n\r\n"


def test_a_line_that_is_no_field_is_told() -> None:
    """An author who forgot the colon learns where such a line ends up."""
    with pytest.raises(ValueError, match="no colon"):
        Message.parse(b"Subject: x\nno field\n")


def test_a_validator_is_run_with_options() -> None:
    """Findings come back with the action of the preset `protect`; options change what is found."""
    (found,) = run(Shouts, b"Subject: HELLO you")
    assert (found.id, found.field, found.start, found.end, found.action) == ("shouts", b"Subject", 1, 6, TAG)
    assert run(Shouts, b"Subject: HELLO you", most=5) == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [({"mots": 3}, "did you mean most"), ({"most": 0}, "greater than 0"), ({"most": "3"}, "whole number")],
)
def test_wrong_options_are_refused_as_in_the_configuration(options: dict[str, object], told: str) -> None:
    """The mistake has the place and the words that an operator would read."""
    with pytest.raises(ConfigError, match=rf"validators\.shouts\..*{told}"):
        run(Shouts, b"Subject: x", **options)


def test_a_verdict_is_that_of_the_configuration() -> None:
    """Plugins and single validators are judged together, by a configuration as an operator writes it."""
    plugin = Plugin("kit", 1, (Shouts, Whole))
    shouting = Message.parse(b"Subject: HELLO")
    assert_verdict(verdict(shouting, plugin), TAG, "shouts")
    assert_verdict(verdict(shouting.sent_by(b"<evil@example.org>"), plugin), QUARANTINE, "shouts", "whole")
    assert_verdict(verdict(shouting, plugin, config='[policy.actions]\n"sh*" = "reject"\n'), REJECT)
    assert_verdict(verdict(shouting, plugin, config='[policy]\npreset = "observe"\n'), ACCEPT)
    assert_verdict(verdict(b"Subject: a\xff", Shouts, builtin=True, config="[validators.shouts]\nmost = 9\n"), REJECT)
    with pytest.raises(ConfigError, match=r"policy\.preset"):
        verdict(shouting, plugin, config='[policy]\npreset = "sloppy"\n')
    with pytest.raises(ConfigError, match="not TOML"):
        verdict(shouting, plugin, config="[")


def test_what_a_validator_raises_is_raised_in_the_test() -> None:
    """An author sees his own exception, where the milter would count it and go on."""
    with pytest.raises(LookupError, match="boom"):
        run(Raises, b"X: boom")
    with pytest.raises(NonsenseError, match="a field that is not there"):
        run(Nonsense, Message.parse(b"X: y").with_body(b"z"))


def test_a_runner_forgets_a_failure() -> None:
    """One message that made a validator fail does not fail the next."""
    runner = Runner.of(Raises)
    with pytest.raises(LookupError):
        runner.run(b"X: boom")
    assert runner.run(b"X: y") == ()


def test_places_are_asserted_by_their_bytes_or_offsets() -> None:
    """A wrong place fails with the finding marked in its field, escaped."""
    message = Message().field(b"Subject", b" \x1b HELLO WORLD")
    found = run(Shouts, message)
    assert_found(message, found, b"HELLO", b"WORLD")
    assert_found(message, found, (3, 8), (9, 14))
    assert_found(message, ())
    with pytest.raises(AssertionError) as caught:
        assert_found(message, found, b"HELLO", b"THERE")
    assert "    " + r" \x1b HELLO WORLD" in str(caught.value)
    assert "    " + " " * 6 + "^^^^^" in str(caught.value)
    with pytest.raises(AssertionError, match="expected b'x'; nothing was found"):
        assert_found(message, (), b"x")


def test_a_wrong_verdict_is_told_with_its_findings() -> None:
    """The failure says what the verdict is, and why."""
    with pytest.raises(AssertionError, match=r"expected reject; the verdict is tag\n  shouts: shouting"):
        assert_verdict(verdict(b"Subject: HELLO", Shouts), REJECT)
    with pytest.raises(AssertionError, match="expected tag by other"):
        assert_verdict(verdict(b"Subject: HELLO", Shouts), TAG, "other")
    with pytest.raises(AssertionError, match="nothing was found"):
        assert_verdict(verdict(b"Subject: x", Shouts), TAG)


def test_examples_that_hold_pass() -> None:
    """Options, envelope and body of an example reach the validator."""
    run_examples(Plugin("kit", 1, (Shouts, Whole)))


def example_validator(**given: object) -> type[FieldValidator]:
    """A validator like Shouts, with other examples."""
    arguments: dict[str, object] = {"id": "loud", "rfc": "", "good": [b"X: hi"], "bad": [b"X: HI"]}

    class Loud(FieldValidator):
        """Tags capitals."""

        def check(self, field: Field) -> Iterable[Finding]:
            """Report capitals."""
            if field.text.isupper():
                yield self.find("loud", field)

    return validator(**(arguments | given))(Loud)  # type: ignore[arg-type]  # what is given is wrong on purpose


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"good": []}, "loud: no good example"),
        ({"bad": []}, "loud: no bad example"),
        ({"good": [b"X: A", b"X: a"]}, "loud: good example 1: found by mistake: loud"),
        ({"bad": [b"X: A", b"X: a"]}, "loud: bad example 2: nothing was found: b'X: a'"),
        ({"bad": [Example(b"X: A", action=REJECT)]}, "loud: bad example 1: the action is tag, not reject"),
        ({"good": [Example(b"X: a", options=(("x", 1),))]}, "loud: good example 1: its options are refused"),
        ({"bad": [b"no field"]}, "loud: bad example 1: the validator raised ValueError"),
    ],
)
def test_examples_that_do_not_hold_are_told(given: dict[str, object], told: str) -> None:
    """Each example that is wrong is named with what is wrong."""
    with pytest.raises(AssertionError) as caught:
        run_examples(example_validator(**given))
    assert told in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """An author does not run the test once for each mistake."""
    with pytest.raises(AssertionError) as caught:
        run_examples(Plugin("kit", 2, (example_validator(good=[]), example_validator(bad=[b"X: x"]))))
    assert len(str(caught.value).splitlines()) == 4


def test_an_author_action_and_a_bounce_have_their_own_default() -> None:
    """What a bad example leads to is what the validator states for its kind of field and message."""
    bad = [b"From: A", b"X: A", Example(b"X: A", sender=b"<>"), Example(b"X: A", action=TAG)]
    run_examples(example_validator(author_action=REJECT, null_sender=ACCEPT, bad=bad))


STRICT = Runner((), Config(policy=Policy(preset="strict")), builtin=True)


@given(strategies.well_formed())
def test_well_formed_messages_are_accepted_by_the_strictest(message: Message) -> None:
    """The strategy makes nothing that the built-in validators refuse, even under `strict`."""
    assert STRICT.verdict(message).action is ACCEPT


@given(strategies.malformed())
def test_malformed_messages_are_borne(message: Message) -> None:
    """Whatever the strategy makes, the built-in validators come to a verdict."""
    STRICT.verdict(message)


def test_the_kit_is_imported_lazily() -> None:
    """The plugin is loaded in every run of pytest: nothing but pytest itself may come with it."""
    code = (
        "import sys, pytest; before = set(sys.modules); import forebay.testing.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["forebay", "forebay.testing", "forebay.testing.pytest_plugin"]


def test_every_public_name_of_the_kit_is_there() -> None:
    """What `__all__` lists can be imported; what is not there is told as always."""
    for name in testing.__all__:
        assert getattr(testing, name).__doc__
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no_such_name"):
        testing.no_such_name  # noqa: B018 - the access is what is tested
