"""Hostile MIME fields, dates, identifiers, encoded-words and bodies of any size: what parsers die of, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_REPEATED: Final = {
    # name: what the value begins with, and what is repeated
    "ct-semicolons": (b" text/plain", b";"),
    "ct-semicolons-blanks": (b" text/plain", b" ;"),
    "ct-semicolons-comments": (b" text/plain", b";(a)"),
    "ct-params": (b" text/plain;", b"a=b;"),
    "ct-params-empty": (b" text/plain;", b"a=;"),
    "ct-params-no-name": (b" text/plain;", b"=a;"),
    "ct-params-quoted": (b" text/plain;", b'a="b";'),
    "ct-params-words": (b" text/plain;", b"a;"),
    "ct-param-unterminated-quote": (b' text/plain; name="', b"a"),
    "ct-param-quotes": (b" text/plain; name=", b'"'),
    "ct-param-quotes-semicolons": (b" text/plain; name=", b'";'),
    "ct-param-backslashes": (b' text/plain; name="', b"\\"),
    "ct-param-quoted-pairs": (b' text/plain; name="', b'\\"'),
    "ct-param-2231-one-index": (b" text/plain", b"; n*0=a"),
    "ct-param-2231-percent": (b" text/plain; name*=utf-8''", b"%41"),
    "ct-param-2231-percent-open": (b" text/plain; name*=utf-8''", b"%"),
    "ct-param-2231-huge-index": (b" text/plain; name*", b"9"),
    "ct-param-2231-stars": (b" text/plain; name", b"*"),
    "ct-comments-open": (b" text/plain ", b"("),
    "ct-comments": (b" text/plain ", b"(a)"),
    "ct-comments-deep": (b" text/plain ", b"((a))"),
    "ct-comment-backslashes": (b" text/plain (", b"\\"),
    "ct-slashes": (b" text", b"/"),
    "ct-words": (b" text/plain", b" a"),
    "ct-long-boundary": (b" multipart/mixed; boundary=", b"a"),
    "ct-blank-boundary": (b' multipart/mixed; boundary="', b" "),
    "cd-file-name-words": (b' attachment; filename="', b"=?utf-8?q?a?="),
    "cd-file-name-dots": (b' attachment; filename="', b"../"),
    "cte-words": (b" 7bit", b" base64"),
    "mime-version-comments": (b" 1.0 ", b"("),
    "mime-version-zeros": (b" 1.", b"0"),
    "digits": (b" ", b"1"),
    "blanks": (b"", b" "),
    "folds": (b"", b"\n "),
    "date-comments": (b" Mon, 1 Jan 2001 00:00:00 +0000 ", b"("),
    "date-comments-flat": (b" Mon, 1 Jan 2001 00:00:00 +0000 ", b"(a)"),
    "date-year": (b" 1 Jan ", b"2"),
    "date-blanks": (b" 1 Jan", b" "),
    "msgid-angles": (b" ", b"<"),
    "msgid-angle-pairs": (b" ", b"<>"),
    "msgid-dots": (b" <a", b"."),
    "msgid-dotted": (b" <a", b".a"),
    "msgid-ats": (b" <a", b"@"),
    "msgid-quotes": (b" <", b'"'),
    "msgid-words": (b" <", b'"a".'),
    "msgid-comments": (b" <", b"(a)"),
    "msgid-literal": (b" <a@[", b"["),
    "references": (b"", b" <a@b>"),
    "references-glued": (b"", b"<a@b>"),
    "references-prose": (b"", b"a<a@b>"),
    "references-open": (b"", b"<a@b "),
    "ew": (b" ", b"=?utf-8?q?a?= "),
    "ew-glued": (b" ", b"=?utf-8?q?a?="),
    "ew-base64": (b" ", b"=?utf-8?b?YQ==?= "),
    "ew-open": (b" ", b"=?utf-8?q?a "),
    "ew-open-glued": (b" ", b"=?utf-8?q?a"),
    "ew-marks": (b" ", b"=?"),
    "ew-marks-equals": (b" ", b"=?="),
    "ew-long-charset": (b" =?", b"a"),
    "ew-long-text": (b" =?utf-8?q?", b"=41"),
    "ew-long-base64": (b" =?utf-8?b?", b"QUJD"),
    "ew-escapes": (b" =?iso-2022-jp?q?", b"=1B$"),
    "ew-charsets": (b" ", b"=?gbgbgb?q?=81a?= "),
    "tags": (b" v=1", b"; a=b"),
    "tags-open": (b" v=1", b";"),
    "urls": (b" ", b"<a:b>,"),
    "url-open": (b" ", b"<a:"),
}


def _repeat(opening: bytes, piece: bytes) -> Callable[[int], bytes]:
    return lambda size: (opening + piece * (size // len(piece) + 1))[:size]


def _sections(size: int) -> bytes:
    return b" text/plain" + b"".join(b"; n*%d=a" % number for number in range(size))[: size - 11]


def _names(size: int) -> bytes:
    return b" text/plain" + b"".join(b"; n%d=a" % number for number in range(size))[: size - 11]


CONSTRUCTS: Final[dict[str, Callable[[int], bytes]]] = {
    **{name: _repeat(opening, piece) for name, (opening, piece) in _REPEATED.items()},
    "ct-param-2231-sections": _sections,
    "ct-params-all-different": _names,
}
"""A function from a size in bytes to a field value of exactly that size."""

BODIES: Final[dict[str, Callable[[int], bytes]]] = {
    "fields": _repeat(b"line\n", b"X-A: b\n"),
    "field-names": _repeat(b"line\n", b"a"),
    "colons": _repeat(b"line\n", b":\n"),
    "continuations": _repeat(b"line\nX-A: b\n", b" \n"),
    "continued": _repeat(b"line\nX-A: b\n", b" a\n"),
    "line-ends": _repeat(b"", b"\n"),
    "blanks": _repeat(b"", b" "),
}
"""The same for the start of a body."""
