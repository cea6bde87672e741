"""What a real worker asks an MTA for, packet by packet."""

from __future__ import annotations

import socket
import struct
from typing import Final

import pytest

from forebay.testing import MilterService, milter_protocol, milter_service

AT_MAIL, AT_RCPT, AT_END, AT_END_OF_HEADER = 2, 3, 5, 6
"""The stages of libmilter's mfapi.h (SMFIM_)."""
NO_BODY: Final = "[validators]\n" + "".join(
    f"{each}.enabled = false\n"
    for each in ("header-missing-colon", "header-leading-continuation", "header-body-separator-missing")
)


def macros_asked_for(service: MilterService) -> dict[int, bytes]:
    """The names of the macros at each stage, where the MTA lets the milter choose."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(service.address.removeprefix("unix:"))
        offer = struct.pack("!LLL", milter_protocol.VERSION, milter_protocol.ALL_ACTIONS, milter_protocol.ALL_STEPS)
        milter_protocol.send(connection, milter_protocol.OPTNEG, offer)
        _, data = milter_protocol.receive(connection)
    asked, rest = {}, data[12:]
    while rest:
        (stage,) = struct.unpack_from("!L", rest)
        asked[stage], _, rest = rest[4:].partition(b"\0")
    return asked


@pytest.mark.parametrize(
    ("config", "at_rcpt", "at_end_of_header"),
    [("", b"", b""), ("[policy]\nreject_at_rcpt = true\n", b"i", b""), (NO_BODY, b"", b"i")],
    ids=["defaults", "recipients-alone", "without-the-body"],
)
def test_no_macro_is_asked_for_that_nobody_reads(config: str, at_rcpt: bytes, at_end_of_header: bytes) -> None:
    """Postfix sends those of the end of the header with each field: as many packets again as there are fields."""
    with milter_service(config, milter="workers = 1\n") as service:
        asked = macros_asked_for(service)
    assert (asked[AT_RCPT], asked[AT_END_OF_HEADER], asked[AT_END]) == (at_rcpt, at_end_of_header, b"i v")
    assert b"{client_addr}" in asked[AT_MAIL].split()
