"""Address literals: an IP address in square brackets where a domain stands (RFC 5321 section 4.1.3)."""

from __future__ import annotations

from typing import Final

from forebay.message import pattern

_OCTET: Final = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LITERAL: Final = pattern.compile(
    rb"(?:" + _OCTET + rb"(?:\." + _OCTET + rb"){3}|[Ii][Pp][Vv]6:[0-9A-Fa-f:]{2,39}+(?:\.\d{1,3}){0,3})"
)
"""An IPv4 or IPv6 address literal, as far as its characters tell."""


def is_address_literal(value: bytes, start: int, end: int) -> bool:
    """Whether `value[start:end]` can stand in the square brackets of an address literal."""
    return _LITERAL.fullmatch(value, start, end) is not None
