"""What holds for any bytes: no validator raises, what is well-formed is never refused, what is not is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forebay.api import QUARANTINE, Diagnosis
from forebay.config import Config, Policy
from forebay.judge.plan import HEADER_MEASURES
from forebay.judge.quick import BYTES_PER_LINE
from forebay.message import lines, measures, presence, rfc2047, rfc5321
from forebay.message.field import Field
from forebay.message.grammars import GRAMMARS
from forebay.message.header import Header
from forebay.message.kinds import DEFECTS, MEASURES
from forebay.testing import Message, Runner, strategies
from unit.growth import LONG
from unit.judge.promises import check, check_recognised
from unit.message.grammar_pieces import RIGHT, addr_specs, address_lists, container, values

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

PROTECT: Final = Runner((), Config(), builtin=True)
STRICT: Final = Runner((), Config(policy=Policy(preset="strict")), builtin=True)
USUAL: Final = Message.parse(
    b"From: Joe <joe@example.org>\nDate: Mon, 3 Nov 2025 10:00:00 +0000\nMessage-ID: <1@example.org>\nMIME-Version: 1.0"
)

NAMES: Final = sorted({*GRAMMARS, b"subject", b"x-other", b"authentication-results", b"list-id", b"list-post"})
STRUCTURE: Final = b'<>()"[],@'

names = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(NAMES).map(bytes.title), st.binary(max_size=5), strategies.names()
)
paths = st.one_of(st.just(b"<>"), addr_specs.map(b"<%s>".__mod__), st.binary(max_size=40), values(b"to"))


def few(examples: int) -> settings:
    """Examples by the hundred are many for what takes a whole judge."""
    return settings(max_examples=1000 if LONG else examples)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any fields with anything in them, most of it nearly right, and any envelope."""
    drawn = draw(st.lists(names, max_size=6))
    fields = tuple((name, draw(values(name.lower()))) for name in drawn)
    body = draw(st.one_of(st.just(b""), st.binary(max_size=80), values(b"body")))
    recipients = tuple(draw(st.lists(paths, max_size=3)))
    return Message(fields, body, draw(paths), recipients, smtputf8=draw(st.booleans()))


@given(messages())
def test_no_validator_raises_and_every_finding_has_its_place(message: Message) -> None:
    """Whatever the bytes are; the runner raises what a validator or a scanner of ours raises."""
    verdict = PROTECT.verdict(message)
    assert not verdict.errors
    for each in verdict.findings:
        assert each.message.isascii()
        assert each.message.isprintable()
        source = message.source(each)
        assert 0 <= each.start <= each.end
        if each.field_index >= 0 or each.field in {b"MAIL FROM", b"body"}:
            assert each.end <= len(source)
        if each.field_index >= 0:
            assert each.field == message.fields[each.field_index][0]


@few(40)
@given(strategies.malformed(), st.booleans())
def test_no_validator_raises_on_a_good_message_gone_bad(message: Message, smtputf8: bool) -> None:
    """Nor on messages that were well-formed but for a few pieces; both presets find the same."""
    assert not PROTECT.verdict(message).errors
    given_utf8 = Message(message.fields, message.body, message.sender, message.recipients, smtputf8=smtputf8)
    found, strict = PROTECT.verdict(given_utf8), STRICT.verdict(given_utf8)
    assert strict.action >= found.action
    if len(found.findings) < 60:
        assert {(each.id, each.start) for each in found.findings} == {(each.id, each.start) for each in strict.findings}


@few(30)
@given(messages())
def test_the_same_message_has_the_same_verdict(message: Message) -> None:
    """Nothing is remembered from one message to the next."""
    assert PROTECT.verdict(message) == PROTECT.verdict(message)


# -- address lists --

LISTS: Final = (b"To", b"Cc", b"Reply-To", b"Resent-To")


@given(st.one_of(address_lists, strategies.address_lists().map(b" ".__add__)), st.sampled_from(LISTS))
def test_a_well_formed_list_is_never_refused(value: bytes, name: bytes) -> None:
    """Whatever RFC 5322's grammar makes passes `protect`, and `strict` too."""
    message = USUAL.field(name, value)
    message = message if name != b"Resent-To" else message.field(b"To", b" a@example.org")
    for judge in (PROTECT, STRICT):
        verdict = judge.verdict(message)
        assert verdict.action < QUARANTINE, verdict.findings


@given(addr_specs, st.sampled_from((b"From", b"Sender")))
def test_a_well_formed_author_is_never_refused(spec: bytes, name: bytes) -> None:
    """One address, with a display name or without one."""
    for value in (b" " + spec, b" Joe Doe <" + spec + b">", b' "Doe, Joe" <' + spec + b">"):
        message = USUAL.without(name).field(name, value).field(b"To", b" a@example.org")
        for judge in (PROTECT, STRICT):
            assert judge.verdict(message).action < QUARANTINE


@given(addr_specs)
def test_a_well_formed_path_is_never_refused(spec: bytes) -> None:
    """In the envelope."""
    message = USUAL.field(b"To", b" a@example.org").sent_by(b"<" + spec + b">").sent_to(b"<" + spec + b">")
    assert STRICT.verdict(message).action < QUARANTINE


def is_found(value: bytes) -> bool:
    """Whether something is found in a To with this value."""
    return any(each.field == b"To" for each in PROTECT.verdict(USUAL.field(b"To", value)).findings)


@given(address_lists, st.data())
def test_one_structural_byte_less_is_always_found(value: bytes, data: st.DataObject) -> None:
    """By the judge as a whole, whose recognisers are in front of the scanner."""
    places = [
        at for at in range(len(value)) if value[at] in STRUCTURE and container(value, at) in {b"", value[at : at + 1]}
    ]
    assume(places)
    at = data.draw(st.sampled_from(places))
    assert is_found(value[:at] + value[at + 1 :])


@given(address_lists, st.sampled_from(list(STRUCTURE + b";:")), st.data())
def test_one_structural_byte_more_is_always_found(value: bytes, byte: int, data: st.DataObject) -> None:
    """Anywhere outside of quotes and comments."""
    places = [at for at in range(len(value) + 1) if not container(value, at)]
    at = data.draw(st.sampled_from(places))
    assert is_found(value[:at] + bytes([byte]) + value[at:])


# -- recognition and diagnosis --


@pytest.mark.parametrize("name", {GRAMMARS[name]: name for name in sorted(GRAMMARS)}.values(), ids=bytes.decode)
@given(data=st.data())
def test_what_is_recognised_is_clean_and_small(name: bytes, data: st.DataObject) -> None:
    """The scanner finds nothing in it, and no measure beyond what the judge takes for granted."""
    check_recognised(name, data.draw(values(name)))


B8: Final = b" " * 8
COMMENTS: Final = b"(a(b))" * 16
LARGEST: Final = (
    (b"date", B8.join((b"", b"Wed,", b"31", b"Dec", b"2025", b"10:00:00", b"+0000", b"(" + b"x" * 64 + b")"))),
    (b"received", COMMENTS + b"; Mon, 3 Nov 2025 10:00:00 +0000 (UTC)"),
    (b"message-id", b" <" + b"a" * 146 + b"@b>"),
    (b"references", b" <a@b>" * 100),
    (b"content-type", b' multipart/x; boundary="' + b"=?" * 35 + b'"; charset=a; format=a; delsp=a; name=a; type=a; '
     b'protocol=a; micalg=a; report-type="' + b"x" * 70 + b'"'),
    (b"content-disposition", b' attachment; filename="' + b"a" * 71 + b'"'),
    (b"mime-version", b" 1.0 (" + b"x" * 60 + b")"),
    (b"cc", b"a@b," * 99 + b"a@b"),
    (b"cc", b"".join(b'""' for _ in range(99)) + b"<a@b>"),
    (b"cc", b"a " * 99 + b"<a@b>"),
    (b"cc", b'a""' * 99 + b"<a@b>"),
)  # fmt: skip
"""As much of everything as each recogniser lets through."""


@pytest.mark.parametrize(("name", "value"), LARGEST)
def test_the_largest_that_is_recognised_is_small(name: bytes, value: bytes) -> None:
    """The bounds that the judge takes for granted hold at their edge."""
    assert GRAMMARS[name].recognise(value)
    check_recognised(name, value)


def test_right_values_are_recognised() -> None:
    """Each grammar knows something, else its properties say nothing."""
    assert set(RIGHT) >= set(GRAMMARS)
    for name, grammar in GRAMMARS.items():
        assert any(grammar.recognise(value) for value in RIGHT[name]), name


@given(values(b"subject"))
def test_recognised_encoded_words_are_clean(value: bytes) -> None:
    """And few."""
    diagnosis = rfc2047.scan(value).diagnosis
    check(diagnosis, len(value))
    if rfc2047.recognise(value):
        assert diagnosis.defects == []
        assert rfc2047.count(value) <= rfc2047.MOST_WORDS


@given(paths)
def test_a_recognised_path_is_clean(value: bytes) -> None:
    """With or without SMTPUTF8."""
    for smtputf8 in (False, True):
        diagnosis = rfc5321.diagnose(value, smtputf8=smtputf8)
        check(diagnosis, len(value))
        if rfc5321.recognise(value):
            assert diagnosis.defects == []


@given(values(b"subject"))
def test_plain_bytes_are_clean_and_short_lines_are_few(value: bytes) -> None:
    """What the judge takes for granted of a value that it does not look at."""
    diagnosis = lines.diagnose(Field(0, b"X", value))
    check(diagnosis, len(value) + 1)
    if lines.plain((value,)):
        assert diagnosis.defects == []
        assert diagnosis.peaks["fold-lines"].value <= len(value) // BYTES_PER_LINE + 1
    assert lines.look(value).counts == diagnosis.counts


def occasional(strategy: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return st.one_of(st.just(b" a@b"), st.just(b" x"), strategy)


@few(50)
@given(st.lists(st.sampled_from([*NAMES, b"return-path", b"x-mailbox-line", b"list-id"]), max_size=8), st.data())
def test_a_usual_header_lacks_nothing(drawn: list[bytes], data: st.DataObject) -> None:
    """Whatever stands in its fields; strays are looked for apart."""
    columns = [b"from", b"to", b"date", b"message-id", *drawn]
    given_values = [data.draw(occasional(values(name))) for name in columns]
    diagnosis = presence.diagnose(Header.of(zip(columns, given_values, strict=True)))
    strays = Diagnosis()
    presence.look_for_strays(columns, strays)
    if presence.usual(columns, given_values):
        assert diagnosis.defects == strays.defects
    for defect in diagnosis.defects:
        assert defect.kind in DEFECTS
        assert -1 <= defect.field_index < len(columns)
    for peak in measures.measure(columns, given_values).peaks.values():
        assert peak.measure in MEASURES


SMALL = dict.fromkeys(HEADER_MEASURES, 6) | {"header-bytes": 60, "author-field-bytes": 12, "field-bytes": 15}


@few(200)
@given(
    st.lists(st.sampled_from([*NAMES, b"received", b"dkim-signature", b"", b"a b", b"\xe9"]), max_size=12), st.data()
)
def test_a_header_of_usual_measures_exceeds_nothing(columns: list[bytes], data: st.DataObject) -> None:
    """The quick look at names and sizes errs on the side of measuring."""
    sizes = [data.draw(st.integers(0, 20)) for _ in columns]
    given_values = [b"x" * size for size in sizes]
    diagnosis = measures.measure(columns, given_values, SMALL)
    if measures.usual(columns, sizes, SMALL):
        assert diagnosis.defects == []
        assert all(peak.value <= SMALL[measure] for measure, peak in diagnosis.peaks.items())


def test_an_ordinary_header_has_usual_measures() -> None:
    """Else the quick look is worth nothing."""
    assert measures.usual([b"from", b"to", b"date"], [4, 4, 6], SMALL)
    assert not measures.usual([b"from"] * 7, [0] * 7, SMALL)


@given(st.lists(st.lists(st.sampled_from([b"=", b"?", b"=?", b"\n", b".", b"x"])).map(b"".join)))
def test_where_encoded_words_are_is_known_from_all_values_at_once(given_values: list[bytes]) -> None:
    """As by looking into each of them."""
    joined = lines.join(given_values)
    found = rfc2047.where(joined, list(map(len, given_values)), len(lines.BETWEEN))
    assert found == {index for index, value in enumerate(given_values) if b"=?" in value}
