"""A milter of a few lines on the real libmilter, for tests of the client: the Subject says what it is to do."""

from __future__ import annotations

import os
import sys
from typing import Any

import milter

steps = int(sys.argv[2])


def negotiate(ctx: Any, options: list[int]) -> int:
    ctx.setpriv({})
    options[:] = [options[0], steps & options[1], 0, 0]
    return int(milter.CONTINUE)


def mail(ctx: Any, sender: bytes, *parameters: bytes) -> int:
    ctx.setpriv({"said": [f"mail={sender.decode()}", *map(bytes.decode, parameters)], "subject": "", "body": 0})
    ctx.getpriv()["said"].append(f"client={ctx.getsymval('{client_addr}')} login={ctx.getsymval('{auth_authen}')}")
    return int(milter.REJECT if b"evil" in sender else milter.NOREPLY if steps & milter.P_NR_MAIL else milter.CONTINUE)


def rcpt(ctx: Any, recipient: bytes, *_: bytes) -> int:
    ctx.getpriv()["said"].append(f"rcpt={recipient.decode()}")
    if b"evil" in recipient:
        ctx.setreply("550", "5.1.1", "no such user")
        return int(milter.REJECT)
    return int(milter.CONTINUE)


def header(ctx: Any, name: str, value: bytes) -> int:
    ctx.getpriv()["said"].append(f"{name}={value!r}")
    if name.lower() == "subject":
        ctx.getpriv()["subject"] = value.decode("latin-1").strip()
    return int(milter.NOREPLY if steps & milter.P_NR_HDR else milter.CONTINUE)


def end_of_header(ctx: Any) -> int:
    if ctx.getpriv()["subject"] == "reject":
        ctx.setreply("550", "5.6.0", "100%% no")
        return int(milter.REJECT)
    return int(milter.CONTINUE)


def chunk(ctx: Any, part: bytes) -> int:
    ctx.getpriv()["body"] += len(part)
    return int(milter.SKIP if ctx.getpriv()["subject"] == "skip" else milter.CONTINUE)


def end(ctx: Any) -> int:
    given = ctx.getpriv()
    if given["subject"] == "die":
        os._exit(1)
    if given["subject"] == "tempfail":
        return int(milter.TEMPFAIL)
    if given["subject"] == "hold":
        ctx.quarantine("to be looked at")
    if given["subject"] in {"say", "skip"}:
        ctx.progress()
        ctx.addheader("X-Said", " ".join([*given["said"], f"body={given['body']}"]))
    if given["subject"] == "remove":
        ctx.chgheader("X-Old", 1, None)
    return int(milter.CONTINUE)


milter.set_flags(milter.ADDHDRS | milter.CHGHDRS | milter.QUARANTINE)
milter.set_envfrom_callback(mail)
milter.set_envrcpt_callback(rcpt)
milter.set_header_callback(header)
milter.set_eoh_callback(end_of_header)
milter.set_body_callback(chunk)
milter.set_eom_callback(end)
milter.register("small", negotiate=negotiate)
milter.setconn(sys.argv[1])
milter.opensocket(True)
print("ready", flush=True)
milter.main()
