"""Mail to measure with: headers as they really come, made up from a seed, and the worst that a hostile sender can do."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Final

from forebay.testing import Message

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDS: Final = (
    *("report", "budget", "review", "system", "project", "customer"),
    *("meeting", "invoice", "update", "release", "network", "status"),
)
_HOSTS: Final = ("mail.example.org", "lists.example.org", "mx1.example.net", "relay.example.com", "news.example.com")
_DATE: Final = "Thu, 26 Nov 2026 %02d:%02d:%02d +0000"


def realistic(number: int, seed: int = 1) -> list[Message]:
    """So many messages, from three kinds in equal parts: of a person, of a mailing list, of a newsletter."""
    dice = random.Random(seed)
    return [_message((_person, _list, _newsletter)[count % 3], dice) for count in range(number)]


def of_size(size: int) -> Message:
    """A good message with a header of about so many bytes, in fields of ordinary length."""
    message = realistic(1)[0]
    used = sum(len(name) + len(value) + 2 for name, value in message.fields)
    more = tuple((b"X-Other-%d" % count, b" " + b"text " * 90) for count in range(max(0, (size - used) // 464)))
    return Message(
        fields=message.fields + more, sender=message.sender, recipients=message.recipients, body=message.body
    )


def hostile() -> list[Message]:
    """What costs a parser most, in a header of the size that Postfix lets through: 60 KB in six fields or more, folded.

    No line and no field is too long by itself, since that alone would settle it.
    """
    in_addresses = (
        b'"' + b'\\"' * 399 + b" ",
        b"<" * 800,
        b"(" * 800,
        b"a@b," * 200,
        b"g:a@b;," * 114,
        b"a@[1.2.3.4]," * 66,
        b"<@a:b@c>," * 88,
        b"a@b. c," * 114,
        b"a!b@c," * 133,
        b"a b <c> d," * 80,
        b"=?utf-8?q?=40?= " * 50,
        b'"a" <a@b.example>, ' * 42,
    )
    names = (b"To", b"Cc", b"Return-Receipt-To", b"Resent-To", b"Resent-Cc", b"Errors-To")
    elsewhere = (
        [(b"X-Words", b"=?utf-8?q?=40?= x " * 40, 12)] * 6,
        [(b"References", b"<a b@> " * 80, 12)] * 8,
        [(b"Received", b'"a"' * 230, 1)] * 80,
    )
    return [_with(evil) for evil in (*([(name, line, 12) for name in names] for line in in_addresses), *elsewhere)]


def _with(evil: list[tuple[bytes, bytes, int]]) -> Message:
    """A good message with these fields in the place of its own: name, line, how many lines."""
    good, names = realistic(1)[0], {name for name, _, _ in evil}
    others = tuple(each for each in good.fields if each[0] not in names)
    fields = tuple((name, b" " + b"\n ".join([line] * lines)) for name, line, lines in evil)
    return Message(fields=(*others, *fields), sender=good.sender, recipients=good.recipients, body=good.body)


def _message(kind: Callable[[random.Random], list[tuple[str, str]]], dice: random.Random) -> Message:
    fields = tuple((name.encode(), b" " + value.encode()) for name, value in kind(dice))
    lines = (" ".join(dice.choices(_WORDS, k=10)).encode() for _ in range(dice.randint(20, 900)))
    return Message(
        fields=fields,
        sender=b"<sender%d@example.org>" % dice.randrange(1000),
        recipients=(b"<user@example.com>",),
        body=b"\r\n".join(lines) + b"\r\n",
    )


def _id(dice: random.Random) -> str:
    return f"<{dice.getrandbits(80):x}.{dice.getrandbits(40):x}@{dice.choice(_HOSTS)}>"


def _address(dice: random.Random) -> str:
    name = dice.choice(("Jane Doe", '"Doe, John"', "Joe", "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?=", "support"))
    return f"{name} <{dice.choice(_WORDS)}.{dice.choice(_WORDS)}@{dice.choice(_HOSTS)}>"


def _trace(dice: random.Random, hops: int) -> list[tuple[str, str]]:
    fields = []
    for _ in range(hops):
        here, there, date = dice.choice(_HOSTS), dice.choice(_HOSTS), _DATE % _time(dice)
        by = f"by {there} (Postfix) with ESMTPS id {dice.getrandbits(40):X}"
        fields.append(
            ("Received", f"from {here} ({here} [192.0.2.{dice.randrange(255)}])\n\t{by}\n\tfor <u@x.org>; {date}")
        )
    signature = base64.b64encode(dice.randbytes(192)).decode()
    tags = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={dice.choice(_HOSTS)};\n\ts=2026; h=From:To:Subject:Date;"
    fields.append(("DKIM-Signature", f"{tags}\n\tbh={signature[:44]};\n\tb={signature[:70]}\n\t {signature[70:]}"))
    return fields


def _time(dice: random.Random) -> tuple[int, int, int]:
    return dice.randrange(24), dice.randrange(60), dice.randrange(60)


def _person(dice: random.Random) -> list[tuple[str, str]]:
    return [
        *_trace(dice, dice.randint(1, 4)),
        ("From", _address(dice)),
        ("To", ",\n\t".join(_address(dice) for _ in range(dice.randint(1, 4)))),
        ("Subject", "Re: " + " ".join(dice.choices(_WORDS, k=5))),
        ("Date", _DATE % _time(dice)),
        ("Message-ID", _id(dice)),
        ("In-Reply-To", _id(dice)),
        ("References", "\n\t".join(_id(dice) for _ in range(dice.randint(1, 12)))),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative;\n\tboundary="--{dice.getrandbits(60):x}"'),
        ("X-Mailer", "Mailer 5.2"),
    ]


def _list(dice: random.Random) -> list[tuple[str, str]]:
    name = dice.choice(_WORDS)
    return [
        *_trace(dice, 3),
        *_person(dice),
        ("List-Id", f"<{name}.lists.example.org>"),
        ("List-Post", f"<mailto:{name}@lists.example.org>"),
        ("List-Unsubscribe", f"<https://lists.example.org/{name}>,\n\t<mailto:{name}-leave@lists.example.org>"),
        ("Precedence", "list"),
        ("Sender", f"{name}-bounces@lists.example.org"),
        ("Errors-To", f"{name}-bounces@lists.example.org"),
    ]


def _newsletter(dice: random.Random) -> list[tuple[str, str]]:
    return [
        *_trace(dice, 2),
        ("From", f'"Shop" <news{dice.randrange(9)}@news.example.com>'),
        ("To", f"u{dice.randrange(999)}@example.com"),
        ("Reply-To", "shop@news.example.com"),
        ("Subject", f"=?utf-8?B?{base64.b64encode(' '.join(dice.choices(_WORDS, k=3)).encode()).decode()}?="),
        ("Date", _DATE % _time(dice)),
        ("Message-ID", _id(dice)),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
        ("List-Unsubscribe", f"<https://news.example.com/u/{dice.getrandbits(60):x}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        *((f"X-Campaign-{count}", f"{dice.getrandbits(128):x}") for count in range(20)),
    ]
