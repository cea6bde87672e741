"""What a verdict lists: the most severe findings, in the order of the message, and not more than a person reads."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG, Action, Diagnosis, Envelope, Finding
from forebay.config import Config, Policy
from forebay.errors import ConfigError
from forebay.judge.findings import MOST_KEPT, Findings
from forebay.judge.runner import ENOUGH
from forebay.judge.verdict import CLEAN
from forebay.message.rfc5322_address import MOST_EFFORT
from forebay.testing import Message, Runner
from forebay_validators.budgets_header import HeaderReadingEffort

EVERYTHING: Final = Runner((), Config(), builtin=True)
ACTIONS: Final = st.sampled_from((ACCEPT, TAG, QUARANTINE, REJECT))


def make(action: Action, index: int = 0, start: int = 0, text: str = "") -> Finding:
    return Finding("id", b"X", index, start, start, text, action)


def test_nothing_found_is_the_clean_verdict() -> None:
    """One object for all of them."""
    assert Findings().verdict(observe=False) is CLEAN
    assert CLEAN.reason is None


@given(st.lists(st.tuples(ACTIONS, st.integers(-1, 50), st.integers(0, 5)), max_size=400))
def test_the_most_severe_are_kept_in_the_order_of_the_message(given: list[tuple[Action, int, int]]) -> None:
    """However many there are and in whatever order they come; what is not wanted would not have been listed."""
    findings = Findings()
    for action, index, start in given:
        if findings.wants(action, index, start):
            findings.add(make(action, index, start), action)
    verdict = findings.verdict(observe=False)
    ordered = sorted(set(given), key=lambda each: (-each[0], each[1], each[2]))
    listed = [(each.action, each.field_index, each.start) for each in verdict.findings]
    assert listed == ordered[:MOST_KEPT]
    assert verdict.action is (ordered[0][0] if ordered else ACCEPT)
    if verdict.findings:
        assert verdict.reason is verdict.findings[0]


def test_one_finding_counts_once() -> None:
    """What is found in two ways is listed once."""
    findings = Findings()
    for _ in range(3):
        findings.add(make(TAG), TAG)
    assert len(findings.verdict(observe=False).findings) == 1


def test_a_severe_finding_after_many_mild_ones_decides() -> None:
    """A wall of harmless defects hides nothing."""
    fields = b"".join(b"X-A%d: \xe9\n" % number for number in range(300))
    message = Message.parse(b"From: a@example.org\n" + fields + b"To: <a@b.example")
    verdict = EVERYTHING.verdict(message)
    assert verdict.action is REJECT
    assert len(verdict.findings) == MOST_KEPT
    assert verdict.reason is not None
    assert verdict.reason.id == "address-unbalanced-angle"


def test_a_severe_finding_among_many_others_as_severe_is_enough() -> None:
    """Once the verdict and its list are complete, nobody reads on."""
    findings = Findings()
    for number in range(2 * MOST_KEPT):
        assert not findings.is_full
        findings.add(make(REJECT, number), REJECT)
    assert findings.is_full
    assert not findings.wants(REJECT, MOST_KEPT, 0)
    assert findings.wants(REJECT, 3, 0)
    assert not Findings().is_full


def test_mild_findings_are_never_enough() -> None:
    """As long as something more severe may come, everybody is asked."""
    message = Message.parse(b"".join(b"X%d: \xe9\n" % number for number in range(500)) + b"From: <a@b.example")
    assert EVERYTHING.verdict(message).action is REJECT


def test_who_is_refused_for_a_long_field_is_not_read_to_the_end() -> None:
    """Nobody needs the other fields any more: reading them is what a flood of such messages would cost."""
    fields = b"From: a@example.org\nTo: %s\nCc: <a@b\nBcc: (\n"
    short, long = (EVERYTHING.verdict(Message.parse(fields % (b"(" * size))) for size in (ENOUGH // 2, ENOUGH * 2))
    assert {finding.field for finding in short.findings if finding.action is REJECT} == {b"To", b"Cc", b"Bcc"}
    assert {finding.field for finding in long.findings if finding.action is REJECT} == {b"To"}


def test_who_is_not_refused_is_read_to_the_end() -> None:
    """However much there was to read: what may be tagged or held only hides nothing behind it."""
    addresses = b"a@example.org, " * 500 + b"b@example.org"
    message = Message.parse(b"From: a@example.org\nTo: %s\nCc: %s\nReply-To: <a@b\n" % (addresses, addresses))
    runner = Runner((), Config(policy=Policy(actions={"header-reading-effort": "tag"})), builtin=True)
    assert [finding.field for finding in runner.verdict(message).findings if finding.action is REJECT] == [b"Reply-To"]


def test_the_effort_of_reading_is_that_of_all_fields() -> None:
    """Three lists in an odd form, none of which is too much alone."""
    odd = b"J. D <a@example.org>, " * 150 + b"b@example.org"
    two, three = b"From: a@example.org\nTo: %s\nCc: %s\n", b"From: a@example.org\nTo: %s\nCc: %s\nBcc: %s\n"
    few, many = (
        EVERYTHING.verdict(Message.parse(two % (odd, odd))),
        EVERYTHING.verdict(Message.parse(three % ((odd,) * 3))),
    )
    assert few.action < REJECT
    assert many.reason
    assert (many.reason.id, many.reason.field) == ("header-reading-effort", b"Bcc")


def test_what_is_not_read_is_refused() -> None:
    """A field is read as far as the budget goes at most: a larger one would let through what nobody has read."""
    limit = HeaderReadingEffort.reject_above
    assert limit == MOST_EFFORT
    table = {"header-reading-effort": {"reject_above": limit + 1}}
    with pytest.raises(ConfigError, match=r"validators\.header-reading-effort\.reject_above"):
        Runner((), Config(validators=table), builtin=True)


def test_the_same_defect_in_a_field_is_counted() -> None:
    """The first has its place, the others are a number."""
    verdict = EVERYTHING.verdict(Message.parse(b"To: a@b.example, c)@d.example, e)f)@g.example"))
    (told,) = [each for each in verdict.findings if each.id == "address-unbalanced-paren"]
    assert told.message == 'unbalanced ")" at byte 16 (and 2 more)'
    assert (told.field, told.start, told.end) == (b"To", 15, 16)


def test_a_budget_says_how_much_there_is_and_how_much_may_be() -> None:
    """Both numbers, and what they count."""
    verdict = EVERYTHING.verdict(Message.parse(b"To: " + b"." * 40 + b" <a@example.org>"))
    assert any(each.message == "40 dots, more than 20" for each in verdict.findings)


def test_what_was_noted_before_the_cut_is_reported() -> None:
    """A defect that `forebay check` sees in the file, at its field; of a field that was dropped, without one."""
    noted = Diagnosis()
    noted.note("bare-lf", 0, 0, "line that ends with LF alone", 1)
    noted.note("name-blank-before-colon", 0, 0, "blank before the colon", 7)
    message = Message(((b"From", b" a@example.org"), (b"To", b" b@example.org")), noted=noted)
    found = {each.id: each for each in EVERYTHING.verdict(message).findings}
    assert (found["bare-lf"].field, found["bare-lf"].field_index) == (b"To", 1)
    assert (found["header-space-before-colon"].field, found["header-space-before-colon"].field_index) == (b"", -1)


def test_the_envelope_has_names_of_its_own() -> None:
    """Sender and recipients are judged like addresses of the header, under the names of their commands."""
    message = Message.parse(b"From: a@example.org\nTo: b@example.org").sent_by(b"<a@b@c>").sent_to(b'<"x@y>')
    places = {(each.field, each.field_index, each.start) for each in EVERYTHING.verdict(message).findings}
    assert {(b"MAIL FROM", -1, 4), (b"RCPT TO", -1, 1)} <= places


def test_a_recipient_is_judged_alone() -> None:
    """For `reject_at_rcpt`: nothing but its path counts."""
    judge = EVERYTHING._judge
    assert judge.judge_recipient(Envelope(b"<a@b>"), b"<a@b.example>") is CLEAN
    assert judge.judge_recipient(Envelope(b"<a@b@c>"), b"<a@b.example>") is CLEAN
    verdict = judge.judge_recipient(Envelope(b"<a@b>"), b'<"a@b.example>')
    assert verdict.action is REJECT
    assert {each.field for each in verdict.findings} == {b"RCPT TO"}


def test_collecting_stops_where_the_verdict_is_known() -> None:
    """The session need not collect more than the budgets of bytes and fields allow."""
    judge = EVERYTHING._judge
    size, count = judge.collect_bytes, judge.collect_fields
    assert judge.judge([(b"X", b"a" * size)], Envelope()).action is REJECT
    assert judge.judge([(b"X", b"")] * (count + 1), Envelope()).action is REJECT
