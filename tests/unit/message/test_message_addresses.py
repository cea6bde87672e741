"""The address grammar: what is found, where, and that the recogniser never passes what the scanner would not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forebay.message import address_tokens, address_usual, pattern, rfc5321, rfc5322_address
from forebay.message.address_reading import Reading
from forebay.message.address_table import AUTOMATON, CLASSES, PURE, STRUCTURE
from forebay.message.kinds import DEFECTS, MEASURES
from forebay.message.rfc5322_address import AddressList
from unit.message.grammar_pieces import address_lists, container

TOKEN = pattern.compile(
    rb"(?:[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]++"
    rb'|"(?:[^"\\]|\\.)*+"?+|\((?:[^()\\]|\\.)*+\)?+|[()<>\[\]:;@\\,.])[\x00-\x20\x7f]*+',
    re.DOTALL,
)
CASES = Path(__file__).with_name("address_cases.txt")


def byte_by_byte(value: bytes, *, author: bool = False) -> AddressList:
    """What is read where nothing is skipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reading, "may_skip", False)
        reading = rfc5322_address.read(value, author=author)
    return AddressList(tuple(reading.mailboxes), reading.diagnosis)


def told(found: AddressList) -> tuple[object, ...]:
    """All that is said of a list, as what can be compared."""
    diagnosis = found.diagnosis
    return found.mailboxes, diagnosis.defects, diagnosis.counts, diagnosis.peaks


def kinds(value: bytes, **flags: bool) -> list[str]:
    return [defect.kind for defect in rfc5322_address.scan(value, **flags).diagnosis.defects]


def cases() -> list[tuple[bytes, str]]:
    lines = [line for line in CASES.read_text(encoding="ascii").splitlines() if not line.startswith("#")]
    pairs = [line.rpartition(" |") for line in lines]
    return [(ast.literal_eval(value), wanted.strip()) for value, _, wanted in pairs]


@pytest.mark.parametrize(("value", "wanted"), cases())
def test_each_defect_has_its_kind_and_place(value: bytes, wanted: str) -> None:
    """The scanner notes what a person would mark, in the order of the bytes."""
    defects = rfc5322_address.scan(value, author=True).diagnosis.defects
    assert "; ".join(f"{defect.kind} {defect.start} {defect.end}" for defect in defects) == wanted


@given(address_lists)
def test_a_well_formed_list_has_no_defect(value: bytes) -> None:
    """Whatever the grammar of RFC 5322 generates is passed without a word."""
    assert kinds(value) == []


@given(address_lists, st.data())
def test_one_structural_byte_less_is_found(value: bytes, data: st.DataObject) -> None:
    """Taking one structural byte away leaves something to be noted."""
    places = [
        at
        for at in range(len(value))
        if value[at] in b'<>()"[],@' and container(value, at) in {b"", value[at : at + 1]}
    ]
    assume(places)
    at = data.draw(st.sampled_from(places))
    assert kinds(value[:at] + value[at + 1 :]) != []


@given(address_lists, st.sampled_from(list(b'<>()"[],;:@')), st.data())
def test_one_structural_byte_more_is_found(value: bytes, byte: int, data: st.DataObject) -> None:
    """Adding one structural byte outside quotes and comments leaves something to be noted."""
    places = [at for at in range(len(value) + 1) if not container(value, at)]
    at = data.draw(st.sampled_from(places))
    assert kinds(value[:at] + bytes([byte]) + value[at:]) != []


@given(
    st.one_of(address_lists, st.binary(max_size=80), st.text('ab@<>()",;:.[]\\ =?_-\n\t', max_size=40).map(str.encode))
)
def test_recognised_means_nothing_to_note(value: bytes) -> None:
    """What the regular expression passes, the scanner passes too, and finds the same in it."""
    for author, recognise in ((False, address_usual.recognise_list), (True, address_usual.recognise_mailbox)):
        usual = rfc5322_address.measure_usual(value, author=author)
        assert bool(usual) == recognise(value)
        if usual:
            slowly = byte_by_byte(value, author=author).diagnosis
            assert slowly.defects == usual.defects == []
            assert slowly.peaks == usual.peaks
    if rfc5321.recognise(value):
        assert [d.kind for d in rfc5321.diagnose(value).defects] == []


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_any_bytes_are_read(value: bytes, author: bool, smtputf8: bool) -> None:
    """No bytes make the scanner raise; every defect and measure is a known one, in place."""
    diagnosis = rfc5322_address.scan(value, author=author, smtputf8=smtputf8).diagnosis
    for defect in diagnosis.defects:
        assert defect.kind in DEFECTS
        assert 0 <= defect.start <= defect.end <= len(value)
    for peak in diagnosis.peaks.values():
        assert peak.measure in MEASURES
        assert peak.value > 0
        assert 0 <= peak.start <= peak.end <= len(value)


usual = st.sampled_from(
    [b"a@b", b" Jane Doe <jane@x.org>", b'\n "q, <r@s>" "t" <a.b@c-d.e>', b"longer@much.longer.example.org "]
)
odd = st.sampled_from(
    [b"a@b (c)", b"J. D <a@b>", b"x", b"", b"g: a@b", b"a@b;", b"<a@b", b"a@b>", b'"', b"(", b"[", b"a@[1.2.3.4]"]
)


@given(st.lists(st.one_of(usual, usual, usual, odd), max_size=40), st.integers(0, 12))
def test_usual_mailboxes_are_skipped_without_a_trace(elements: list[bytes], before: int) -> None:
    """Whether a long list's usual mailboxes are taken in one step or byte by byte, the same is found and measured."""
    value = b",".join([b"x@y", *[b"a@b, c@d,\n e@f, g@h, <i@j>, k <l@m>"] * before, *elements])
    assert told(rfc5322_address.scan(value)) == told(byte_by_byte(value))


@given(st.one_of(st.binary(max_size=60), st.text('ab@<>()[],;:."\\ \n\t\x01\x7f', max_size=40).map(str.encode)))
def test_tokens_are_counted_as_they_are_taken(value: bytes) -> None:
    """Counting bytes comes to as many as taking one token after the other: atom, quoted string, comment or special."""
    taken = TOKEN.split(value)
    assert b"".join(taken).strip(bytes(range(33)) + b"\x7f") == b""
    assert address_tokens.count(value) == len(taken) - 1


@pytest.mark.parametrize("author", [True, False])
def test_an_invisible_character_in_a_usual_mailbox_is_told(author: bool) -> None:
    """U+202E turns the name around that a person reads: a usual form hides it from nobody."""
    value = " Jane \u202eEoD <a@b>".encode()
    assert kinds(value, author=author) == ["bidi-or-zero-width"]
    assert not address_usual.recognise_mailbox(value)
    assert not address_usual.recognise_list(value)


def test_long_lists_are_cheap_where_they_are_usual() -> None:
    """Eight hundred colleagues are read, with one that is written in an odd way, or without; eight hundred odd ones are not."""
    colleague = b"\n Jane Doe <jane.doe@example.org>,"
    lists = colleague * 800 + b" a@b", colleague * 400 + b" J. D <a@b>," + colleague * 400, b" J. D <a@b>," * 800
    efforts = [rfc5322_address.scan(value).diagnosis.effort for value in lists]
    assert [effort > rfc5322_address.MOST_EFFORT for effort in efforts] == [False, False, True]


def test_measures_of_a_list() -> None:
    """Addresses, comments, words and runs are counted."""
    value = b" one two three <a@b> (x(y)z), c@d,,, ......, g:;"
    peaks = {name: peak.value for name, peak in rfc5322_address.scan(value).diagnosis.peaks.items()}
    assert peaks["addresses"] == 3  # the dots count as one
    assert peaks["comments"] == 1
    assert peaks["comment-depth"] == 2
    assert peaks["phrase-words"] == 3
    assert peaks["empty-elements"] == 2
    assert peaks["dot-run"] == 6
    assert peaks["group-depth"] == 1


def test_mailboxes_are_kept_with_their_parts() -> None:
    """What a validator sees of a mailbox is what was written."""
    (first, second) = rfc5322_address.scan(b' "Doe, J." <joe@example.org>, sue@example.com').mailboxes
    assert (first.phrase, first.local_part, first.domain) == (b'"Doe, J."', b"joe", b"example.org")
    assert (second.phrase, second.local_part, second.domain) == (b"", b"sue", b"example.com")
    assert (second.start, second.end) == (30, 45)


def test_a_mailbox_ends_with_its_domain() -> None:
    """What follows it, blanks and comments, is no part of the address, and adds nothing to its size."""
    (first, second) = rfc5322_address.scan(b" <a@b  (c)>, d@e (f)").mailboxes
    assert (first.domain, first.start, first.end) == (b"b", 2, 5)
    assert (second.domain, second.start, second.end) == (b"e", 13, 16)


def test_the_first_mailboxes_are_kept_and_all_are_counted() -> None:
    """Sixty-four of them; the longest is told of wherever it stands."""
    found = rfc5322_address.scan(b"longest@example.org" + b",a@b" * 99)
    assert len(found.mailboxes) == 64
    assert found.diagnosis.peaks["addresses"].value == 100
    longest = found.diagnosis.peaks["address-bytes"]
    assert (longest.value, longest.start, longest.end) == (19, 0, 19)


def test_smtputf8_makes_letters_of_high_bytes() -> None:
    """Under RFC 6532 bytes above 127 may stand in an address."""
    assert kinds(" <ren\u00e9@b\u00fccher.example>".encode(), smtputf8=True) == []


def test_people_s_lapses_are_not_syntax_errors() -> None:
    """Fifty recipients separated by semicolons, with underscores in their domains, are no attack."""
    value = b";".join(b" joe%d@my_host.example" % number for number in range(50))
    peaks = rfc5322_address.scan(value).diagnosis.peaks
    assert "address-errors" not in peaks


def test_the_scanner_stops_at_a_thousand_errors() -> None:
    """After a thousand errors nothing is looked at, and the count says at least a thousand."""
    diagnosis = rfc5322_address.scan(b" [[] " * 5000).diagnosis
    assert diagnosis.peaks["address-errors"].value == rfc5322_address.MOST_ERRORS


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"<>", []),
        (b"<joe@example.org>", []),
        (b"<joe+tag@[192.0.2.1]>", []),
        (b'<"j e"@example.org>', []),
        (b'<bob@[127.0.0."1]>', ["domain-literal-special"]),
        (b"<@relay:joe@example.org>", ["route"]),
        (b"<joe@example.org", ["angle-unbalanced"]),
        (b"<a@b@c>", ["at-multiple"]),
        (b"<Postmaster>", []),
        (b"<joe>", ["local-part-naked"]),
    ],
)
def test_envelope_paths(path: bytes, wanted: list[str]) -> None:
    """Paths are read by the same table; the null path is well-formed."""
    diagnosis = rfc5321.diagnose(path)
    assert [defect.kind for defect in diagnosis.defects] == wanted


def test_the_table_names_every_class_and_event() -> None:
    """Each event of the table is a defect of its own or has a function; each byte has a class."""
    assert AUTOMATON.events == ("", *PURE, *STRUCTURE)
    assert max(AUTOMATON.classes) < len(CLASSES)
    assert set(PURE) <= set(DEFECTS)
