"""Targets of what is read from files: records of a quarantine, queue files of three MTAs, mailboxes.

Half of the bytes are given to the reader as they are. Of the other half a file of the right shape is made first, since
no fuzzer comes by chance upon what lies behind the first check; what was written must be what is read.
"""

from __future__ import annotations

import io
import json
import tempfile
from typing import TYPE_CHECKING, Any, Final

from forebay import records
from forebay.cli import messages
from forebay.errors import DataError
from forebay.message import controlfile
from forebay.records import Record, RecordedFinding, RecordError
from forebay.sidecar.routers import postfix_file, zmailer
from fuzz.source import Source
from unit.store.stores import record as some_record

if TYPE_CHECKING:
    from collections.abc import Callable

_MEBIBYTE: Final = 1 << 20
_ID: Final = "0" * 20
_QUEUE_ID: Final = b"6AQCDTnN007260"

# -- records --


def record(data: bytes) -> None:
    """A record file: refused with one line, or read as what it would be written as again."""
    source = Source(data)
    how = source.number() % 3
    if how == 0:
        check_record(source.rest)
    elif how == 1:
        made = _record(source)
        plain = records._plain(made)
        assert records.parse(json.dumps(plain).encode(), made.id) == made
    else:
        plain = records._plain(some_record(id=_ID))
        for _ in range(source.number() % 4 + 1):
            _change(plain, source)
        check_record(json.dumps(plain).encode())


def check_record(data: bytes) -> None:
    """Whatever is taken for a record is one: written down again, it is read as the same."""
    refused: RecordError | None = None
    try:
        found = records.parse(data, _ID)
    except RecordError as error:
        refused = error
    if refused:
        assert str(refused).isprintable()
        assert len(str(refused)) < 400
        return
    again = json.dumps(records._plain(found)).encode()
    assert records.parse(again, _ID) == found
    assert found.size >= 0 <= found.recipient_count
    assert len(found.recipients) <= records.MOST_RECIPIENTS
    for text in (found.host, found.action, found.queue_id, found.client, found.exact, found.shape, found.mta):
        assert text.isascii()
        assert text.isprintable()


def _record(source: Source) -> Record:
    """A record as a worker may write it."""

    def text() -> str:
        return source.piece().translate(_PRINTABLE).decode("ascii")

    def digest() -> str:
        return source.pick(("", source.take(16).ljust(16, b"\0").hex()))

    return Record(
        id=_ID, at=source.number(4) / 4, host=text(), action=text(), queue_id=text(), client=text(),
        sender=source.piece(), recipients=tuple(source.some(source.piece)), recipient_count=source.number(3),
        size=source.number(3), exact=digest(), shape=digest(), matched=digest(),
        findings=tuple(source.some(lambda: RecordedFinding(
            text(), source.piece(), source.number() - 1, source.number(3), source.number(3), text(), text(),
        ))),
        header=tuple(source.some(lambda: (source.piece(), source.piece()))),
        mta=text(),
    )  # fmt: skip


_PRINTABLE: Final = bytes(octet if 32 <= octet < 127 else 32 + octet % 95 for octet in range(256))


def _change(plain: dict[str, Any], source: Source) -> None:
    """Put another value somewhere into what JSON can say, or take one away."""
    inside: Any = plain
    keys: list[Any] = list(inside)
    key = source.pick(keys)
    while source.number() % 2 and isinstance(inside[key], dict | list) and inside[key]:
        inside = inside[key]
        key = source.pick(list(inside) if isinstance(inside, dict) else range(len(inside)))
    if source.number() % 8:
        inside[key] = _value(source)
    else:
        del inside[key]


def _value(source: Source, depth: int = 0) -> Any:
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: bool(source.number() % 2),
        lambda: source.number(4) - (1 << 31),
        lambda: source.number(9) * 10 ** source.number(),
        lambda: float(source.take(20).translate(_DIGITS) or b"0"),
        lambda: source.piece().decode("latin-1"),
        lambda: source.piece().decode("utf-16", "replace"),
        lambda: chr(source.number() + 1) * source.number(2),
        lambda: [_value(source, depth + 1) for _ in range(source.number() % 4)] if depth < 4 else [],
        lambda: {source.piece().decode("latin-1"): _value(source, depth + 1)} if depth < 4 else {},
    ]
    return source.pick(makers)()


_DIGITS: Final = bytes(48 + octet % 10 for octet in range(256))

# -- queue files --


def postfix(data: bytes) -> None:
    """A queue file of Postfix: read within bounds, and what was written comes back."""
    source = Source(data)
    if source.number() % 2:
        _postfix(io.BytesIO(source.rest))
        return
    written = bytearray()
    sender, lines = b"", []
    for _ in range(source.number() % 32):
        kind, value = source.pick(_KINDS), source.piece()
        if kind == b"p":
            value = source.pick((b"%015d" % source.number(2), value, b"0", b"9" * source.number(2)))
        written += kind + _length(len(value), source) + value
        sender = value if kind == b"S" else sender
        lines += [value] if kind == b"N" else []
    _postfix(io.BytesIO(written))
    _postfix(io.BytesIO(written[: source.number(2)]))
    whole = b"S" + _length(len(sender)) + sender + b"M\0" + b"".join(b"N" + _length(len(each)) + each for each in lines)
    found = postfix_file.read(io.BytesIO(whole + b"X\0E\0"))
    assert found.envelope.sender == b"<%b>" % sender
    assert found.raw == b"".join(each + b"\n" for each in lines)


_KINDS: Final = tuple(b"%c" % each for each in b"TMXNLSRDAEpCOw")


def _postfix(file: io.BytesIO) -> None:
    assert 0 <= postfix_file.arrival(file) < 10**18
    file.seek(0)
    found = postfix_file.read(file)
    assert len(found.raw) <= _MEBIBYTE
    assert len(found.envelope.recipients) <= 1000


def _length(size: int, source: Source | None = None) -> bytes:
    """A length in groups of seven bits; a few more of nothing say the same."""
    groups = []
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    more = source.number() % 3 if source else 0
    if more and len(groups) + more < 4:
        return bytes([*groups, size | 0x80, *[0x80] * (more - 1), 0])
    return bytes([*groups, size])


def sendmail(data: bytes) -> None:
    """A control file of Sendmail: read within bounds, and what its client wrote comes back."""
    source = Source(data)
    if source.number() % 2:
        _sendmail(source.rest)
        return
    names = source.some(lambda: source.take(source.number() % 16).translate(_NAME) or b"x")
    fields = [(name, source.piece().translate(_VALUE, b"\n")) for name in names if name != b"Received"]
    sender = source.piece().translate(None, b"\n")
    lines = [b"T%d" % source.number(4), b"S" + _quoted(sender)]
    lines += source.some(lambda: source.piece().translate(None, b"\n.S") or b"N")  # of any kind, even fields
    lines += [b"H??%b:%b" % (name, _quoted(value)) for name, value in fields]
    found = _sendmail(b"\n".join((*lines, b".", b"")))
    if found and not any(line[:1] in b"HTS \t" for line in lines[2 : len(lines) - len(fields)]):
        assert found.sender == sender
        assert list(found.fields) == fields


_NAME: Final = bytes(octet if 33 <= octet < 127 and octet not in b":?" else 97 + octet % 26 for octet in range(256))
_VALUE: Final = bytes(octet if octet != 10 else 32 for octet in range(256))


def _quoted(value: bytes) -> bytes:
    return b"".join(b"\xff%c" % each if 0x80 <= each <= 0x9F or each == 0xFF else b"%c" % each for each in value)


def _sendmail(data: bytes) -> controlfile.ControlFile | None:
    found = controlfile.parse(data, _QUEUE_ID)
    if found:
        assert 0 <= found.arrival < 10**12
        assert sum(len(name) + len(value) for name, value in found.fields) <= len(data)
        assert sum(map(len, found.recipients)) <= len(data)
        assert all(b"\n" not in name and b":" not in name for name, _ in found.fields)
    return found


def router(data: bytes) -> None:
    """A message file of ZMailer: lines of an envelope, then the message as it was."""
    found = zmailer.parse(data)
    assert data.endswith(found.raw)
    assert len(found.envelope.recipients) <= 1000
    for path in (found.envelope.sender, *found.envelope.recipients):
        assert b"\n" not in path
        assert path in data or path == b"<>"


def mailbox(data: bytes) -> None:
    """A file or mbox: its messages are its own bytes, in their order."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        try:
            found = list(messages._messages("x", file))
        except DataError:
            return
    assert [each.index for each in found] == list(range(len(found)))
    assert sum(len(each.raw) for each in found) <= len(data)
    at = 0
    for each in found:
        at = data.index(each.raw, at) + len(each.raw)
    assert all(b"\n" not in (each.sender or b"") for each in found)
