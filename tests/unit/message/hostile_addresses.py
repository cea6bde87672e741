"""Hostile address fields of any size: what real parsers die of, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECES: Final = {
    "addr-list": b"a@b.c, ",
    "angle-comma-inside": b"<a@b,",
    "angle-nested": b"<a<b",
    "angle-open": b"<",
    "angle-pairs": b"<>",
    "angle-paren-mix": b"<(",
    "at-run": b"@",
    "backslashes": b"\\",
    "bang-path": b"a!",
    "blanks": b" ",
    "brackets": b"[[] ",
    "bracket-open": b"[",
    "colons": b":",
    "commas": b",",
    "comments": b"(a)",
    "comments-inside": b"a(b)@c,",
    "control-characters": b"\x01",
    "domain-literals": b"a@[1],",
    "dot-runs": b"a..b@c,",
    "dots": b".",
    "dots-blanks": b"a . ",
    "encoded-words": b"=?utf-8?q?a?= ",
    "folds": b"\n ",
    "group-many": b"g:a@b;",
    "group-nested": b"g:",
    "hyphens": b"a@-",
    "name-addr-list": b"Joe <a@b.c>, ",
    "obs-routes": b"<@a,@b:c@d>,",
    "obs-route-open": b"@a,",
    "paren-balanced": b"()",
    "paren-open": b"(",
    "paren-three-deep": b"(((a)))",
    "phrase-periods": b"a.b ",
    "phrase-words": b"a ",
    "plain-atom": b"a",
    "quote-words": b'"a" ',
    "quoted-pairs": b'"\\"',
    "quotes": b'"',
    "raw-8bit": b"\xe9",
    "raw-8bit-addresses": b"<\xe9@x>,",
    "semicolons": b";",
    "semicolons-text": b"a;",
    "underscores": b"a@_,",
}

_OPENINGS: Final = {"": b"", "in-angle": b"<", "in-domain": b"<a@", "in-group": b"g:", "in-quotes": b'"'}


def _repeat(opening: bytes, piece: bytes) -> Callable[[int], bytes]:
    return lambda size: (opening + piece * (size // len(piece) + 1))[:size]


CONSTRUCTS: Final[dict[str, Callable[[int], bytes]]] = {
    f"{name}-{where}" if where else name: _repeat(opening, piece)
    for name, piece in _PIECES.items()
    for where, opening in _OPENINGS.items()
}
"""A function from a size in bytes to a field value of exactly that size."""
