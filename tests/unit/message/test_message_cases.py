"""MIME fields, encoded-words, dates, identifiers, trace fields and paths: what is found, and where."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.message import body_start, rfc2045, rfc2047, rfc2231, rfc5321, rfc5322_date, rfc5322_id
from forebay.message.envelope import Envelope
from forebay.message.field import Field
from forebay.message.grammar import Grammar
from forebay.message.grammars import GRAMMARS
from forebay.message.header import Header

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(Path(__file__).parent.glob("*_cases.txt"))

OTHERS = {
    b"subject": Grammar(rfc2047.recognise, lambda field: field.encoded_words.diagnosis),
    b"rcpt to": Grammar(rfc5321.recognise, lambda field: rfc5321.diagnose(field.value)),
}


def cases() -> Iterator[tuple[bytes, bytes, str]]:
    """Name, value, and what is noted."""
    for file in FILES:
        name = b""
        for line in file.read_text(encoding="ascii").splitlines():
            if line.startswith("["):
                name = line.strip("[]").encode()
            elif name and not line.startswith("#"):
                value, _, wanted = line.rpartition(" |")
                yield name, ast.literal_eval(value), wanted.strip()


@pytest.mark.parametrize(("name", "value", "wanted"), list(cases()))
def test_each_defect_has_its_kind_and_place(name: bytes, value: bytes, wanted: str) -> None:
    """The scanner notes what a person would mark; the recogniser passes nothing of it."""
    grammar = GRAMMARS.get(name.lower()) or OTHERS[name.lower()]
    defects = grammar.diagnose(Field(0, name, value)).defects
    assert "; ".join(f"{each.kind} {each.start} {each.end}" for each in defects) == wanted
    assert not (grammar.recognise(value) and defects)


def test_the_parts_of_a_mime_field() -> None:
    """Type and parameters in lower case, values without quotes, sections joined and decoded."""
    mime = rfc2045.scan(b' Text/(c)Plain ; Charset=UTF-8; name*0*=utf-8\'\'a%20; name*1="b c"; name*3=x; x="a\\"b"')
    assert mime.kind == b"text/plain"
    assert mime.parameter(b"charset") == b"UTF-8"
    assert mime.parameter(b"name") == b"a b c"
    assert mime.parameter(b"x") == b'a"b'
    assert mime.parameter(b"none") is None
    assert [each.name for each in mime.parameters] == [b"charset", b"name*0*", b"name*1", b"name*3", b"x"]


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (b"utf-8''%41%42c%2", b"ABc%2"),
        (b"utf-8'en'%e2%82%AC", b"\xe2\x82\xac"),
        (b"''%%41", b"%A"),
        (b"no-charset%20", b"no-charset "),
        (b"a''b'%27", b"b''"),
        (b"", b""),
    ],
)
def test_percent_escapes_are_decoded(value: bytes, decoded: bytes) -> None:
    """What is no escape stays as it is (RFC 2231 section 4)."""
    mime = rfc2045.scan(b" a/b; n*=" + value)
    assert mime.parameter(b"n") == (decoded if value else None) or not value


def test_what_is_kept_of_many_parameters() -> None:
    """The first sixty-four; all are counted, and a number of any size is a number."""
    mime = rfc2045.scan(b" a/b" + b"; n*%s=a" % (b"9" * 5000) + b"; a=b" * 1000)
    assert len(mime.parameters) == rfc2045.MOST_PARAMETERS
    assert mime.diagnosis.peaks["parameters"].value == 1001
    assert mime.diagnosis.peaks["continuation-index"].value == rfc2231.HIGHEST_INDEX


def test_encoded_words_and_their_text() -> None:
    """Places, charset, encoding; malformed text is decoded as far as it goes."""
    (first, second) = rfc2047.scan(b" =?UTF-8?q?a_b=3D?= x =?iso-8859-1*fr?B?6Q?=").words
    assert (first.charset, first.encoding, first.start, first.end) == (b"UTF-8", b"Q", 1, 19)
    assert (second.charset, second.encoding, second.text_start, second.text_end) == (b"iso-8859-1", b"B", 40, 42)
    assert rfc2047.decode(b"q", b"a_b=3D=") == b"a b="
    assert rfc2047.decode(b"B", b"6Q") == b"\xe9"
    assert rfc2047.decode(b"b", b"!!!!") == b""
    assert rfc2047.decode(b"b", b"YWJjZ") == b"abc"
    assert rfc2047.decode_all(b"x =?utf-8?q?=2E?=y") == b"x .y"


def test_encoded_words_are_counted_unfinished_ones_included() -> None:
    """Decoders choke on both; an end is not taken for a beginning."""
    assert rfc2047.count(b"=?utf-8?b?YQ=?= =?utf-8?q?a") == 2
    assert len(rfc2047.scan(b"=?a?q?b?= " * 100).words) == rfc2047.MOST_WORDS
    assert rfc2047.scan(b"=?utf-8?q?b?= " * 5000).diagnosis.peaks["encoded-words"].value == 5000


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b" Mon, 3 Nov 2025 10:11:12 +0130", (2025, 11, 3, 10, 11, 12, 90)),
        (b" 3 Nov 25 10:11 EST", (2025, 11, 3, 10, 11, 0, -300)),
        (b" 3 Nov 50 10:11 -0000", (1950, 11, 3, 10, 11, 0, None)),
        (b" 3 Nov 101 10:11", (2001, 11, 3, 10, 11, 0, None)),
        (b" 3 (x) Nov 2025 10:11 -0800", (2025, 11, 3, 10, 11, 0, -480)),
        (b" yesterday", (None,) * 7),
    ],
)
def test_a_date_is_read(value: bytes, wanted: tuple[int | None, ...]) -> None:
    """As RFC 5322 section 4.3 has the years and zones."""
    date = rfc5322_date.scan(value)
    assert (date.year, date.month, date.day, date.hour, date.minute, date.second, date.zone) == wanted


def test_identifiers_are_kept_with_their_brackets() -> None:
    """The first sixty-four; all are counted."""
    ids = rfc5322_id.scan(b" <a@b>\n <c@d>")
    assert ids.ids == (b"<a@b>", b"<c@d>")
    many = rfc5322_id.scan(b" <a@b>" * 3000)
    assert len(many.ids) == rfc5322_id.MOST_IDS
    assert many.diagnosis.peaks["references"].value == 3000
    assert rfc5322_id.scan(b" <a@b>\n <" + b"x" * 500 + b"@d>").diagnosis.peaks["message-id-bytes"].value == 504


def test_a_field_computes_each_fact_once() -> None:
    """Every validator of a message sees the same objects."""
    field = Field(0, b"From", b" a@b")
    assert field.addresses is field.addresses
    assert field.mime is field.mime
    assert field.date is field.date
    assert field.message_ids is field.message_ids
    assert field.encoded_words is field.encoded_words
    assert (field.key, field.text) == (b"from", b"a@b")


def test_a_header_is_asked_by_name() -> None:
    """Whatever the case; the envelope's SMTPUTF8 is that of its fields."""
    header = Header.of([(b"To", b" a"), (b"X", b""), (b"TO", b" b")], Envelope(smtputf8=True))
    assert [field.index for field in header.all(b"tO")] == [0, 2]
    assert header.first(b"to") is header.fields[0]
    assert header.first(b"none") is None
    assert header.fields[1].smtputf8


FULL = frozenset((b"from", b"to", b"subject", b"date"))


@pytest.mark.parametrize(
    ("body", "names", "wanted"),
    [
        (b"Hello\r\nReceived: x\r\n", FULL, "line-without-colon 0 5"),
        (b"Hello\nMIME-Version: 1.0\nContent-Type: a/b\n\ntext", FULL, "line-without-colon 0 5"),
        (b"Hello\nTo: a@b\n", FULL, ""),
        (b"Hello\nSubject: a\nDate: b\nMIME-Version: 1.0\n", FULL, ""),
        (b"Hello\nFrom: a@b\nSubject: b\n", frozenset((b"to",)), "line-without-colon 0 5"),
        (b"Hello\nSubject: b\n", frozenset((b"to",)), ""),
        (b"Hello\n\nReceived: x\n", FULL, ""),
        (b"Hello\nworld\nReceived: x\n", FULL, ""),
        (b"--part\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\n", FULL, ""),
        (b" folded\nReceived: x\n", frozenset(), "leading-continuation 0 7"),
        (b" folded\nReceived: x\n", FULL, ""),
        (b"Message-ID: <a@b>\nMIME-Version: 1.0\n", FULL, "separator-missing 0 36"),
        (b"Message-ID: <a@b>\nMIME-Version: 1.0\n\ntext\n", FULL, ""),
        (b"Note: this is text\n", FULL, ""),
        (b"", FULL, ""),
        (b"\n", FULL, ""),
        (b"\r\nReceived: x\r\n", FULL, ""),
    ],
)
def test_the_start_of_a_body_shows_a_header_that_was_cut_short(
    body: bytes, names: frozenset[bytes], wanted: str
) -> None:
    """Machine-made fields that the header lacks, under one line that is none; quoted mail and MIME parts are no such."""
    defects = body_start.diagnose(body, names).defects
    assert "; ".join(f"{each.kind} {each.start} {each.end}" for each in defects) == wanted
