"""Values at random that are right, nearly right or wrong, for every kind of field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from forebay.message.measures import ADDRESS_NAMES
from forebay.testing import strategies

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# -- Well-formed address lists, from the productions of RFC 5322 section 3.4 --

ATEXT: Final = "abcXYZ019!#$&'*+/=^_`{|}~-"
atoms = st.text(ATEXT, min_size=1, max_size=8)
dot_atoms = st.lists(atoms, min_size=1, max_size=3).map(".".join).filter(lambda text: "!" not in text)
quoted = st.text("ab <>@,;:.()[]", max_size=8).map(lambda text: f'"{text}"')
labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
domains = st.one_of(
    st.lists(labels, min_size=1, max_size=3).map(".".join), st.just("[192.0.2.1]"), st.just("[IPv6:2001:db8::1]")
)
_addr_specs = st.tuples(st.one_of(dot_atoms, quoted), domains).map("@".join)
addr_specs = _addr_specs.map(str.encode)
phrases = st.lists(st.one_of(atoms, quoted), min_size=1, max_size=4).map(" ".join)
comments = st.text("ab <>@,;:.[]", max_size=6).map(lambda text: f" ({text})")
mailboxes = st.one_of(
    _addr_specs,
    _addr_specs.map("<{}>".format),
    st.tuples(phrases, _addr_specs).map(lambda pair: f"{pair[0]} <{pair[1]}>"),
    st.tuples(_addr_specs, comments).map("".join),
)
address_lists = st.lists(mailboxes, min_size=1, max_size=5).map(lambda boxes: (" " + ",\n ".join(boxes)).encode())


def container(value: bytes, at: int) -> bytes:
    """What closes the quotes, comment or brackets that a place lies in, or nothing."""
    closing = b""
    for octet in value[:at]:
        byte = bytes([octet])
        if byte == closing:
            closing = b""
        elif not closing:
            closing = {b'"': b'"', b"(": b")", b"[": b"]"}.get(byte, b"")
    return closing


# -- Values that are put together from pieces --

_ADDRESS: Final = (
    (b" Joe <j@b.c>", b" a@b.c", b' "D, J" <j@b.c>', b" g: a@b;", b" =?utf-8?q?J=C3=A9?= <a@b>"),
    (
        b",",
        b", ",
        b"<",
        b">",
        b'"',
        b"(",
        b")",
        b"[",
        b"]",
        b"@",
        b".",
        b";",
        b":",
        b"\\",
        b"=?",
        b"a",
        b"-",
        b"_",
        b"!",
    ),
)
_DATE: Final = (
    (b" Mon, 3 Nov 2025 10:00:00 +0000", b" 31 Dec 1999 23:59 -0800 (PST)", b" 1 Jan 00 0:0 EST", b" 29 Feb 2001 1:1"),
    (b"Mon", b",", b" 31", b" Feb", b" 2025", b" 99", b"12", b":", b"61", b" +", b"-0000", b"GMT", b"(", b")", b"\n "),
)
_ID: Final = (
    (b" <a.b@c.d>", b" <1@[x]>", b'<"a"@b>', b" <a@b>(c)"),
    (b"<", b">", b"@", b"a", b".", b'"', b"(", b")", b"[", b"]", b" ", b"\\", b"In your message", b"\n "),
)
_PARAMETERS: Final = (
    b";", b"; ", b"=", b'"', b"(", b")", b"/", b"*", b"*0=", b"*1*=", b"%", b"'", b"boundary=", b"name=", b"charset=x",
    b"=?utf-8?q?a?=", b"..", b"\\", b"a", b"  ", b"text", b"multipart/", b"x-a", b",", b"filename=",
)  # fmt: skip
_TYPE: Final = (
    (
        b" text/plain; charset=utf-8", b' multipart/mixed; boundary="=_a"', b" image/png;\n\tname=a.png",
        b' application/x; name*0="a"; name*1*=%20', b" multipart/signed; protocol=a/b; micalg=x; boundary=y", b"text/html",
    ),
    _PARAMETERS,
)  # fmt: skip
_ENCODING: Final = ((b" 7bit", b" base64", b"Quoted-Printable", b" 8bit (x)", b" x-uue"), _PARAMETERS)
_VERSION: Final = (
    (b" 1.0", b"1.0", b" 1.0 (Mail 1.2)", b" (a) 1 . 0"),
    (b"1", b".", b"0", b" ", b"(", b")", b"\\", b"a"),
)
_DISPOSITION: Final = (
    (
        b' attachment; filename="a b.txt"', b" inline", b"attachment;\n filename=a.b",
        b"inline; filename*=utf-8'en'%e2%82%ac; filename=x",
    ),
    _PARAMETERS,
)  # fmt: skip
_RECEIVED: Final = (
    (b" from a (b [1.2.3.4]) by c; Mon, 3 Nov 2025 10:00:00 +0000", b" by x; 1 Jan 2001 1:00 GMT", b" (qmail 1 by 2)"),
    (b";", b"(", b")", b'"', b"\\", b" a", b"Mon, 3 Nov 2025 10:00:00 +0000", b"\n\t"),
)
_LIST: Final = (
    (b" <mailto:a@b>", b" <https://a/b>, <mailto:c@d>", b" NO", b" Talk <talk.example.org>", b" List-Unsubscribe=One-Click"),
    (b"<", b">", b",", b":", b"(", b")", b"a", b" ", b'"'),
)  # fmt: skip
_DKIM: Final = (
    (b" v=1; a=rsa-sha256; d=a; s=b;\n\tb=YWJj", b" a=b; a=c"),
    (b";", b"=", b"a=", b"; a =", b"b", b" ", b"\n "),
)
_TEXT: Final = (
    (
        b" hello", b" =?utf-8?q?M=C3=BCnchen?=", b" =?ISO-8859-1?B?YQ==?= =?us-ascii?q?b?=", b" caf\xc3\xa9", b"\n folded",
        b"=?utf-8*en?q?=41?=",
    ),
    (b"=?", b"?=", b"?q?", b"?b?", b"utf-8", b"=22", b"=0A", b"=", b"_", b"YQ", b" ", b"\n \n ", b"\x1b", b"\0", b"\xe9", b"\r"),
)  # fmt: skip
_BODY: Final = (
    (b"Dear all,\r\n", b"To: a@b\r\n", b"Received: x\r\n", b"Subject: y\n", b" folded\r\n", b"\r\n", b"--x\r\n"),
    (b"\r", b"\n", b":", b" ", b"a", b"X-"),
)

_KINDS: Final = {
    **dict.fromkeys(sorted(ADDRESS_NAMES), _ADDRESS),
    **dict.fromkeys((b"date", b"resent-date"), _DATE),
    **dict.fromkeys((b"message-id", b"resent-message-id", b"content-id", b"in-reply-to", b"references"), _ID),
    b"content-type": _TYPE,
    b"content-transfer-encoding": _ENCODING,
    b"content-disposition": _DISPOSITION,
    b"mime-version": _VERSION,
    **dict.fromkeys(
        (b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-owner", b"list-archive", b"list-id", b"list-post"), _LIST
    ),
    b"received": _RECEIVED,
    b"dkim-signature": _DKIM,
    b"body": _BODY,
}  # fmt: skip

RIGHT: Final = {name: good for name, (good, _) in _KINDS.items()}
"""Values that are well-formed, most of them at least, by the field's name in lower case."""


def values(name: bytes) -> SearchStrategy[bytes]:
    """Values for a field of that name: right ones, right ones with a piece too much, heaps of pieces, any bytes."""
    good, bad = _KINDS.get(name, _TEXT)
    right = st.sampled_from(good)
    return st.one_of(
        right,
        st.builds(_put, right, st.sampled_from((*good, *bad)), st.integers(0, 40)),
        st.lists(st.sampled_from((*good, *bad)), max_size=8).map(b"".join),
        st.builds(bytes.__mul__, st.sampled_from(bad), st.sampled_from((2, 3, 17, 65, 300))),
        st.builds(_put, right, strategies.evil(), st.integers(0, 40)),
        st.binary(max_size=60),
    )


def _put(value: bytes, piece: bytes, at: int) -> bytes:
    return value[:at] + piece + value[at:]
