"""Targets of the message layer: any bytes as a value, a path or a message, and what has to hold of what is read in them."""

from __future__ import annotations

from typing import Final

from forebay.message import lines, rfc2047, rfc5321, rfc5322_address
from forebay.message import split as split_module
from forebay.message.field import Field
from forebay.message.grammars import GRAMMARS
from forebay.message.header import Header
from forebay.message.split import LONGEST_FIELD, Split, split
from unit.judge.promises import check, check_recognised

NAMES: Final = sorted(GRAMMARS)
_OF_ONE_AUTHOR: Final = {"group", "mailbox-multiple"}
_AUTHOR, _OPTIONAL, _UTF8 = 1, 2, 4


def addresses(data: bytes) -> None:
    """An address list: read in place, found clean only where it is balanced, and where both halves of it are."""
    flags, value = data[0] if data else 0, data[1:]
    author, optional, smtputf8 = bool(flags & _AUTHOR), bool(flags & _OPTIONAL), bool(flags & _UTF8)
    found = rfc5322_address.scan(value, author=author, optional=optional, smtputf8=smtputf8)
    check(found.diagnosis, len(value))
    for box in found.mailboxes:
        assert 0 <= box.start < box.end <= len(value), box
        assert value[box.start : box.end].strip(b" \t\n").startswith(box.local_part), box
        assert value[box.start : box.end].strip(b" \t\n").endswith(box.domain), box
    counts = found.diagnosis.counts
    if value.isascii():
        assert counts == rfc5322_address.scan(value, author=author, optional=optional).diagnosis.counts
    many = rfc5322_address.scan(value, optional=optional, smtputf8=smtputf8).diagnosis.counts
    assert {kind: times for kind, times in counts.items() if kind not in _OF_ONE_AUTHOR} == many
    shifted = rfc5322_address.scan(b" " + value, author=author, optional=optional, smtputf8=smtputf8).diagnosis
    assert shifted.counts == counts, (shifted.counts, counts)
    if not many and value.strip(b" \t\n"):
        assert is_balanced(value), value
    if not rfc5322_address.scan(value, smtputf8=smtputf8).diagnosis.counts:
        twice = rfc5322_address.scan(value + b"," + value, smtputf8=smtputf8).diagnosis
        assert not twice.counts, twice.defects
        assert rfc5322_address.scan(value + b",", smtputf8=smtputf8).diagnosis.counts


def is_balanced(value: bytes) -> bool:  # noqa: C901 - a branch for each byte that means something
    """Whether quotes, comments and brackets of all kinds have their twins: a reader of its own, which knows no more."""
    quoted = escaped = False
    comments, brackets = 0, b""
    for octet in value:
        byte = b"%c" % octet
        if escaped:
            escaped = False
        elif byte == b"\\":
            escaped = True
        elif quoted:
            quoted = byte != b'"'
        elif comments:
            comments += (byte == b"(") - (byte == b")")
        elif byte == b'"':
            quoted = True
        elif byte == b"(":
            comments = 1
        elif byte in b"<[":
            brackets += byte
        elif byte in b">])" and brackets[-1:] != {b">": b"<", b"]": b"["}.get(byte):
            return False
        elif byte in b">]":
            brackets = brackets[:-1]
    return not (quoted or escaped or comments or brackets)


def paths(data: bytes) -> None:
    """A path of the envelope: what is recognised is clean, and what is clean is balanced."""
    for smtputf8 in (False, True):
        diagnosis = rfc5321.diagnose(data, smtputf8=smtputf8)
        check(diagnosis, len(data))
        if rfc5321.recognise(data):
            assert not diagnosis.defects, diagnosis.defects
        if not diagnosis.defects:
            assert is_balanced(data), data


def fields(data: bytes) -> None:
    """The value of a field that has a grammar: what is recognised, the scanner finds clean and small."""
    name, value = NAMES[data[0] % len(NAMES) if data else 0], data[1:]
    check_recognised(name, value)
    field = Field(0, name, value)
    for mime in (field.mime,):
        assert 0 <= mime.start <= mime.end <= len(value)
        for parameter in mime.parameters:
            assert 0 <= parameter.start <= parameter.end <= len(value)
            mime.parameter(parameter.name)


def texts(data: bytes) -> None:
    """Any value: the bytes of its lines, its encoded-words, and what they decode to."""
    diagnosis = lines.diagnose(Field(0, b"X", data))
    check(diagnosis, len(data) + 1)
    if lines.plain((data,)):
        assert not diagnosis.defects, diagnosis.defects
    assert lines.look(data).counts == diagnosis.counts
    words = rfc2047.scan(data)
    check(words.diagnosis, len(data))
    if rfc2047.recognise(data):
        assert not words.diagnosis.defects, words.diagnosis.defects
        assert rfc2047.count(data) <= rfc2047.MOST_WORDS
    for word in words.words:
        text = data[word.text_start : word.text_end]
        assert data[word.start : word.end] == b"=?" + data[word.start + 2 : word.text_start] + text + b"?="
        assert len(rfc2047.decode(word.encoding, text)) <= len(text)


def messages(data: bytes) -> None:
    """A file cut into fields: both ways to cut say the same, and what was cut is cut the same again."""
    cut = split(data)
    plain = split_module._split_plain(data, LONGEST_FIELD)
    if plain:
        assert parts(plain) == parts(split_module._split_closely(data, LONGEST_FIELD))
    assert data.endswith(cut.body)
    for name, value in cut.fields:
        assert name
        assert not name.translate(None, bytes(range(33, 127)))
        assert len(value) <= LONGEST_FIELD
        assert not {b"\0", b"\r"} & {b"%c" % octet for octet in value}
        assert all(line[:1] in {b" ", b"\t"} for line in value.split(b"\n")[1:]), value
    for defect in cut.diagnosis.defects:
        assert 0 <= defect.field_index <= len(cut.fields)
        if 0 <= defect.field_index < len(cut.fields):
            assert 0 <= defect.start <= defect.end
    again = split(b"".join(name + b":" + value + b"\n" for name, value in cut.fields) + b"\nx")
    assert (again.fields, again.body, again.diagnosis.defects) == (cut.fields, b"x", []) or not cut.fields
    assert [field.value for field in Header.of(cut.fields).fields] == [value for _, value in cut.fields]


def parts(cut: Split) -> tuple[object, ...]:
    """What two ways to cut a message must agree on."""
    return cut.fields, cut.body, cut.sender, cut.diagnosis.counts
