"""Whole messages of any size that are hostile in one way: fields without number, walls of words, paths of the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.testing import Message
from unit.growth import LONG
from unit.message import hostile_addresses, hostile_mime

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[int], Message]

USUAL: Final = Message.parse(
    b"From: Joe <joe@example.org>\nDate: Mon, 3 Nov 2025 10:00:00 +0000\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n"
)
"""What every mail has, so that nothing but the hostile part is found."""

_REPEATED: Final = {
    # name: a field that is repeated
    "fields": (b"X-A", b" b"),
    "fields-empty": (b"X", b""),
    "fields-nameless": (b"", b""),
    "fields-bad-names": (b"X A", b" b"),
    "fields-8bit": (b"X", b" \xe9"),
    "fields-control": (b"X", b" \x01"),
    "fields-nul": (b"X", b" \0"),
    "fields-blank-folds": (b"X", b" a\n \n b"),
    "to": (b"To", b" a@b"),
    "to-evil": (b"To", b' "<a@b'),
    "to-encoded": (b"To", b" =?utf-8?q?a=40b,?= <a@b>"),
    "cc-empty": (b"Cc", b" "),
    "from": (b"From", b" a@b"),
    "from-evil": (b"From", b" <a@b, c@d"),
    "sender": (b"Sender", b" a@b.c"),
    "subject": (b"Subject", b" a"),
    "subject-encoded": (b"Subject", b" =?utf-8?q?=00?="),
    "date": (b"Date", b" Mon, 3 Nov 2025 10:00:00 +0000"),
    "date-evil": (b"Date", b" ((("),
    "message-id": (b"Message-ID", b" <a@b>"),
    "message-id-evil": (b"Message-ID", b" <a@"),
    "references": (b"References", b" <a@b>"),
    "received": (b"Received", b" from a by b; Mon, 3 Nov 2025 10:00:00 +0000"),
    "received-evil": (b"Received", b" (a"),
    "dkim": (b"DKIM-Signature", b" a=b; a=b"),
    "content-type": (b"Content-Type", b" text/plain; charset=utf-8"),
    "content-type-evil": (b"Content-Type", b" multipart/mixed; boundary=a; boundary=b; (c"),
    "content-disposition": (b"Content-Disposition", b" inline; filename*0=a; filename*2=b"),
    "encoding": (b"Content-Transfer-Encoding", b" base64 7bit"),
    "mime-version": (b"MIME-Version", b" 1.1"),
    "list": (b"List-Unsubscribe", b" a"),
    "list-id": (b"List-Id", b" <a>"),
    "resent": (b"Resent-To", b" a@b"),
    "return-path": (b"Return-Path", b" <a@b>"),
    "mbox": (b"X-Mailbox-Line", b" From a"),
}

_VALUES: Final = {
    # name: a piece that is repeated in the value of one unstructured field
    "line": b"a",
    "words": b"a ",
    "nuls": b"\0",
    "returns": b"\r",
    "escapes": b"\x1b[2J",
    "bytes-8bit": b"\xe9",
    "utf-8": b"\xc3\xa9",
    "utf-8-overlong": b"\xc0\xaf",
    "folds": b"\n a",
    "folds-blank": b"\n ",
    "folds-control": b"\n \x01",
}

_FIELDS_OF: Final = {
    "ct": (b"Content-Type",),
    "cd": (b"Content-Disposition",),
    "cte": (b"Content-Transfer-Encoding",),
    "mime": (b"MIME-Version",),
    "date": (b"Date",),
    "msgid": (b"Message-ID",),
    "references": (b"References",),
    "ew": (b"Subject", b"To"),
    "tags": (b"DKIM-Signature",),
    "urls": (b"List-Unsubscribe",),
    "url": (b"List-Unsubscribe",),
}
"""Where a hostile MIME value, date or identifier stands, by the first word of its name; the others stand everywhere."""

_EVERYWHERE: Final = (b"Content-Type", b"Date", b"Message-ID", b"Received", b"List-Unsubscribe", b"DKIM-Signature")


def _with(*fields: tuple[bytes, bytes]) -> Message:
    """A usual message, in which these fields stand in place of its own."""
    message = USUAL
    for name, _ in fields:
        message = message.without(name)
    for name, value in fields:
        message = message.field(name, value)
    return message


def _value(name: bytes, make: Callable[[int], bytes]) -> Make:
    return lambda size: _with((name, make(size)))


def _values(names: tuple[bytes, ...], make: Callable[[int], bytes]) -> Make:
    return lambda size: _with(*((name, make(size // len(names))) for name in names))


def _fields(name: bytes, value: bytes) -> Make:
    def make(size: int) -> Message:
        message = USUAL.without(name)
        return Message((*message.fields, *[(name, value)] * (size // (len(name) + len(value) + 2))))

    return make


def _repeat(piece: bytes) -> Callable[[int], bytes]:
    return lambda size: b" " + piece * (size // len(piece))


def _long_name(size: int) -> Message:
    return _with((b"X" * size, b" a"))


def _different_names(size: int) -> Message:
    return _with(*((b"X-%d" % number, b" a") for number in range(size // 12)))


def _all_different_to(size: int) -> Message:
    return _with((b"To", b",\n ".join(b" a%d@b.example" % number for number in range(size // 18))))


def _recipients(path: bytes) -> Make:
    return lambda size: _with((b"To", b" a@b")).sent_to(*[path] * (size // len(path)))


def _recipient(make: Callable[[int], bytes]) -> Make:
    return lambda size: _with((b"To", b" a@b")).sent_to(b"<" + make(size) + b">")


def _sender(make: Callable[[int], bytes]) -> Make:
    return lambda size: _with((b"To", b" a@b")).sent_by(b"<" + make(size) + b">")


def _body(make: Callable[[int], bytes]) -> Make:
    return lambda size: _with((b"To", b" a@b")).with_body(make(size))


_PLAIN_ADDRESSES: Final = {
    name: make for name, make in hostile_addresses.CONSTRUCTS.items() if "-in-" not in name.replace("inside", "")
}

CONSTRUCTS: Final[dict[str, Make]] = {
    **{f"repeated-{name}": _fields(*field) for name, field in _REPEATED.items()},
    **{f"subject-{name}": _value(b"Subject", _repeat(piece)) for name, piece in _VALUES.items()},
    "long-name": _long_name,
    "different-names": _different_names,
    "different-addresses": _all_different_to,
    "recipients": _recipients(b"<a@b.example>"),
    "recipients-evil": _recipients(b'<"a@b,c@[d>'),
    **{f"to-{name}": _value(b"To", make) for name, make in _PLAIN_ADDRESSES.items()},
    **{f"from-{name}": _value(b"From", make) for name, make in _PLAIN_ADDRESSES.items() if LONG},
    **{f"rcpt-{name}": _recipient(make) for name, make in _PLAIN_ADDRESSES.items()},
    "mail-commas": _sender(_repeat(b",")),
    "mail-comments": _sender(_repeat(b"a(b)@c,")),
    **{
        f"{name}": _values(_FIELDS_OF.get(name.partition("-")[0], _EVERYWHERE), make)
        for name, make in hostile_mime.CONSTRUCTS.items()
    },
    **{f"body-{name}": _body(make) for name, make in hostile_mime.BODIES.items()},
}
"""A function from a size in bytes to a message of about that size."""
