"""The types of settings that TOML does not have: sizes, addresses to listen on, networks, modes.

Each is checked and converted once, when the configuration is loaded; each refuses with a sentence that says what to
write instead.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import AfterValidator, BeforeValidator, Strict, WithJsonSchema

Network = IPv4Network | IPv6Network

_LISTEN = re.compile(r"unix:/.+|inet6?:\d{1,5}@[^@\s]+")
_METRICS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):\d{1,5}")
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _listen(value: str) -> str:
    if not _LISTEN.fullmatch(value):
        raise ValueError('write "unix:/path/of/the/socket", "inet:PORT@HOST" or "inet6:PORT@HOST"')
    if value.startswith("inet"):
        _check_port(value.partition(":")[2].partition("@")[0], lowest=0)
    return value


def _metrics(value: str) -> str:
    if value and not _METRICS.fullmatch(value):
        raise ValueError('write "HOST:PORT", or "" to serve no metrics')
    if value:
        _check_port(value.rpartition(":")[2], lowest=0)
    return value


def _check_port(digits: str, lowest: int) -> None:
    if not lowest <= int(digits) <= 65535:
        raise ValueError("a port is a number up to 65535")


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if not found:
        raise ValueError('write a number of bytes, or a number with a unit such as "256M"')
    return int(found[1]) * _UNITS[found[2].upper()]


def _mode(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError('write the mode in octal digits between quotation marks, such as "0660"')
    return int(value, 8)


def _network(value: object) -> object:
    try:
        return ip_network(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"write an address or a network such as 192.0.2.0/24 ({error})") from None


def _one_line(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("write one line of ASCII")
    return value


def _field_name(value: str) -> str:
    if not re.fullmatch(r"[!-9;-~]{1,76}", value):
        raise ValueError("a field name is 1 to 76 printable ASCII characters without blank and colon")
    return value


def _path(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError("write an absolute path")
    return value


def _freeze(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


def _freeze_tables(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType({key: MappingProxyType(dict(table)) for key, table in value.items()})


# Strict: TOML has types, so "3" is not a number and 1 is not true.
Count = Annotated[int, Strict(), Ge(0)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
Seconds = Annotated[float, Strict(), Gt(0)]

Listen = Annotated[Text, AfterValidator(_listen)]
"""`unix:PATH`, `inet:PORT@HOST` or `inet6:PORT@HOST`, as MTAs write it."""

HostPort = Annotated[Text, AfterValidator(_metrics)]
"""`HOST:PORT` (an IPv6 address in brackets), or empty for none."""

Size = Annotated[int, Strict(), Ge(0), BeforeValidator(_size), WithJsonSchema({"type": ["integer", "string"]})]
"""Bytes, as a number or with a unit: `"256M"`."""

Mode = Annotated[int, BeforeValidator(_mode), WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$"})]
"""Permission bits, as a string of octal digits."""

Net = Annotated[Network, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
"""An IP network in CIDR notation."""

Line = Annotated[Text, AfterValidator(_one_line)]
FieldName = Annotated[Text, AfterValidator(_field_name)]
AbsolutePath = Annotated[Text, AfterValidator(_path)]
Actions = Annotated[Mapping[str, Literal["accept", "tag", "quarantine", "reject"]], AfterValidator(_freeze)]
Tables = Annotated[Mapping[str, Mapping[str, Any]], AfterValidator(_freeze_tables)]
