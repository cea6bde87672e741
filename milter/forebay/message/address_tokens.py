"""How many tokens an address list has (RFC 5322 sections 3.2.2 to 3.2.4): what others set limits to, whatever they are."""

from __future__ import annotations

import re
from typing import Final

from forebay.message import pattern

MOST_TOKENS: Final = 65_536
"""Tokens that are counted in one value."""

_SPECIALS: Final = b"()<>[]:;@\\,."
_TOKEN: Final = (
    pattern.compile(  # section 3.2.3 and 3.2.4: an atom, a quoted string, a comment or a special, and blanks
        rb"(?:[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]++"
        rb'|"(?:[^"\\]|\\.)*+"?+|\((?:[^()\\]|\\.)*+\)?+|[()<>\[\]:;@\\,.])[\x00-\x20\x7f]*+',
        re.DOTALL,
    )
)
_BETWEEN: Final = bytes(range(33)) + b"\x7f" + _SPECIALS
_IS_ATOM: Final = bytes(ord(" ") if octet in _BETWEEN else ord("a") for octet in range(256))
"""Makes an `a` of each byte of an atom, a blank of each other one."""


def count(value: bytes) -> int:
    """The tokens in any value (RFC 5322 section 3.2): atoms, specials, quoted strings, comments; `MOST_TOKENS` at most."""
    if b'"' in value or b"(" in value:
        return len(_TOKEN.split(value, MOST_TOKENS)) - 1  # nothing is between them, and nothing counts them faster
    specials = len(value) - len(value.translate(None, _SPECIALS))
    atoms = value.translate(_IS_ATOM)
    return min(MOST_TOKENS, specials + atoms.count(b" a") + atoms.startswith(b"a"))
