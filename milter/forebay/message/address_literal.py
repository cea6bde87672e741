"""Address literals: an IP address in square brackets where a domain stands (RFC 5321 section 4.1.3)."""

from __future__ import annotations

from socket import AF_INET6, inet_pton
from typing import Final

from forebay.message import pattern

_OCTET: Final = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LITERAL: Final = pattern.compile(
    rb"(?:" + _OCTET + rb"(?:\." + _OCTET + rb"){3}|[Ii][Pp][Vv]6:([0-9A-Fa-f:]{2,39}+(?:\.\d{1,3}){0,3}))"
)
"""An IPv4 or IPv6 address literal, the latter as far as its characters tell."""


def is_address_literal(value: bytes, start: int, end: int) -> bool:
    """Whether `value[start:end]` can stand in the square brackets of an address literal."""
    found = _LITERAL.fullmatch(value, start, end)
    return found is not None and (found[1] is None or _is_ipv6(found[1]))


def _is_ipv6(address: bytes) -> bool:
    """Whether these digits and colons are an address: its groups are counted, and `::` stands once."""
    try:
        inet_pton(AF_INET6, address.decode("ascii"))
    except OSError:
        return False
    return True
