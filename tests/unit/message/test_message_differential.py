"""Addresses as others read them: two libraries for one address, two for a list; where they disagree with us, there is a reason.

`differential.toml` has the reasons. pyisemail and email-validator have grammars of their own, mail-parser a scanner of
its own for lists; Python's email is the parser that many routers are made of.
"""

from __future__ import annotations

import os
import random
import re
import tomllib
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import HeaderRegistry
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from email_validator import EmailNotValidError, validate_email
from mailparser.addresses import parse_address_header
from pyisemail import is_email

from forebay.message import rfc5322_address
from unit.growth import LONG

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS: Final = tomllib.loads(Path(__file__).with_name("differential.toml").read_text("utf-8"))
EXAMPLES: Final = 200_000 if LONG else 4_000
_PARSED: Final = ("Valid", "DNS", "RFC5321", "CFWS", "Deprecated")
"""Classes of pyisemail for what the grammar of RFC 5322 has, the obsolete included."""


_READS_LITERALS: Final = getaddresses(["a@[192.0.2.1]"]) == [("", "a@[192.0.2.1]")]
"""Python before 3.11.4 loses a domain literal, and mail-parser, which compares itself with that, takes it for a fault."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says of a value: what is wrong with it, and the addresses in it, where that was asked."""

    faults: tuple[str, ...]
    found: tuple[str, ...] = ()


def pyisemail(text: str) -> Opinion:
    """One address."""
    try:
        said = is_email(text, diagnose=True)
    except IndexError:
        return Opinion(("raises IndexError",))
    kind = type(said).__name__.removesuffix("Diagnosis")
    return Opinion(() if kind in _PARSED else (f"{kind} {said.diagnosis_type}",))


def email_validator(text: str) -> Opinion:
    """One address: by what a host on the Internet has to take, no more."""
    try:
        validate_email(
            text, check_deliverability=False, allow_quoted_local=True, allow_domain_literal=True,
            globally_deliverable=False,
        )  # fmt: skip
    except EmailNotValidError as error:
        return Opinion((str(error),))
    return Opinion(())


def mail_parser(text: str) -> Opinion:
    """A list."""
    found, faults = parse_address_header(text, getaddresses)
    reasons = {each["reason"]: 0 for each in faults}
    if "[" in text and not _READS_LITERALS:
        reasons.pop("structural-recovery", None)
    return Opinion(tuple(reasons), tuple(address for _, address in found))


def python_email(text: str) -> Opinion:
    """A list; what it raises is an opinion too."""
    try:
        header: Any = HeaderRegistry()("To", text.replace("\n", ""))
        faults = {f"{type(each).__name__}: {each}": 0 for each in header.defects}
        return Opinion(tuple(faults), tuple(each.addr_spec for each in header.addresses))
    except (AttributeError, IndexError, TypeError, UnboundLocalError, HeaderParseError) as error:
        return Opinion((f"raises {type(error).__name__}",))


READERS: Final[dict[str, dict[str, Callable[[str], Opinion]]]] = {
    "address": {"pyisemail": pyisemail, "email-validator": email_validator},
    "list": {"mail-parser": mail_parser, "email": python_email},
}


def disagreements(what: str, text: str) -> list[tuple[str, str]]:
    """Who says what otherwise than we: (reader, its reason) where we find nothing, ("forebay", our kind) where only we do."""
    found = rfc5322_address.scan(text.encode())
    kinds = list(found.diagnosis.counts)
    said = {name: read(text) for name, read in READERS[what].items()}
    faulty = [name for name, opinion in said.items() if opinion.faults]
    if kinds:
        return [] if faulty else [("forebay", kind) for kind in kinds]
    parser = said.get("mail-parser")
    if parser and not parser.faults and "(" not in text:  # we keep comments where they stand
        assert list(parser.found) == [f"{box.local_part.decode()}@{box.domain.decode()}" for box in found.mailboxes], (
            text
        )
    if what == "address" and (
        len(found.mailboxes) != 1 or "group-depth" in found.diagnosis.peaks or is_angled(text, found)
    ):
        return []  # no address alone: two with a comma between them, a group, or one in angle brackets
    told = [(name, fault) for name in faulty for fault in said[name].faults]
    if len(faulty) == len(said):
        told.append(("both", " / ".join(", ".join(opinion.faults) for opinion in said.values())))
    return told


def is_angled(text: str, found: rfc5322_address.AddressList) -> bool:
    """Whether the first address stands in angle brackets: clean as a mailbox, but no address."""
    return text.encode()[: found.mailboxes[0].start].rstrip().endswith(b"<")


def explains(reason: dict[str, str], disagreement: tuple[str, str]) -> bool:
    """Whether a reason of the table is about this."""
    reader, said = disagreement
    return reason["reader"] == reader and re.search(reason["says"], said) is not None


def unexplained(what: str, text: str) -> list[tuple[str, str]]:
    """Of several defects that only we find, one with a reason is enough."""
    found = disagreements(what, text)
    known = [each for each in found if any(explains(reason, each) for reason in REASONS[what])]
    if found and found[0][0] == "forebay":
        return [] if known else found
    return [each for each in found if each not in known]


@pytest.mark.parametrize(("what", "reason"), [(what, each) for what in REASONS for each in REASONS[what]])
def test_each_reason_has_an_example(what: str, reason: dict[str, str]) -> None:
    """It shows the disagreement: no reason outlives its cause."""
    assert any(explains(reason, each) for each in disagreements(what, reason["example"])), disagreements(
        what, reason["example"]
    )
    assert len(reason["why"]) > 20


# -- Values at random --

_NOISE: Final = 'ab1.@-_"\\ ()[]:,;<>!%=?\t'
_LITERALS: Final = (
    "1.2.3.4", "256.1.1.1", "1.2.3", "IPv6:::1", "IPv6:2001:db8::1", "IPv6:1", "IPv6:1:2:3:4:5:6:7:8", "IPv6:1::2::3",
    "IPv6:::ffff:1.2.3.4", "x:abc", "", "a]b", "a\\b",
)  # fmt: skip
_LOCALS: Final = ("(c)", "", "a . b", 'a"b"', '"a".b', 'a."b"', "(c) a", "a(c)", '""', ".a", "a.", "a..b", "x" * 65)
_DOMAINS: Final = (
    "",
    "a . b",
    "a(c)",
    "(c)a",
    "a.",
    ".a",
    "a..b",
    "x" * 63,
    "x" * 64,
    ".".join(["x" * 60] * 5),
    "a--b.c",
)
_PHRASES: Final = ("a", "b1", "Joe", '"x"', '"a, b"', '"\\""', "x.y", "=?utf-8?q?a?=", ".", "(c)", '""')


class Maker:
    """Makes values: well-formed ones, odd ones, and such with a byte or two too much."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def noisy(self, text: str) -> str:
        """Half of them are broken somewhere."""
        dice = self._random
        for _ in range(dice.choice((0, 0, 1, 2))):
            at = dice.randrange(len(text) + 1)
            text = text[:at] + dice.choice(_NOISE) + text[at + dice.randrange(2) :]
        return text

    def atoms(self) -> str:
        """Words with dots between them."""
        dice = self._random
        return ".".join(
            "".join(dice.choices("ab1-+_%", (9, 9, 9, 3, 3, 1, 1), k=dice.randint(1, 3)))
            for _ in range(dice.randint(1, 3))
        )

    def address(self) -> str:
        """One address."""
        dice = self._random
        local = dice.choice((self.atoms(), self.atoms(), dice.choice(_LOCALS), f'"{self.noisy("a b")}"'))
        domain = dice.choice((self.atoms(), self.atoms(), dice.choice(_DOMAINS), f"[{dice.choice(_LITERALS)}]"))
        return self.noisy(f"{local}@{domain}")

    def mailbox(self) -> str:
        """One element of a list."""
        dice = self._random
        phrase = " ".join(dice.choices(_PHRASES, k=dice.randrange(3)))
        spec = dice.choice(("a@b", "joe@example.org", "x-y@z", "a.b@c.d", '"x y"@z', "a@[192.0.2.1]", '"".a@b'))
        comment = dice.choice(("", "", " (c)"))
        members = ", ".join(dice.choices(("a@b", "joe@example.org"), k=dice.randrange(3)))
        return dice.choice(
            (f"{spec}{comment}", f"{phrase} <{spec}>{comment}", f"{phrase}{comment}<{spec}>", f"{phrase}: {members};")
        )

    def list(self) -> str:
        """A list."""
        count, between = self._random.randint(1, 3), self._random.choice((", ", ",", ",\n "))
        text = self.noisy(f" {between.join(self.mailbox() for _ in range(count))}")
        return re.sub(r"\n(?![ \t])", "\n ", text)  # what no blank follows is no fold, but the end of the field


@pytest.mark.parametrize("what", READERS)
def test_every_disagreement_has_a_reason(what: str) -> None:
    """Of thousands of values, the same in every run; a long run makes others."""
    seed = int.from_bytes(os.urandom(4)) if LONG else 1
    maker = Maker(seed)
    make = maker.address if what == "address" else maker.list
    strange: dict[tuple[str, str], str] = {}
    for _ in range(EXAMPLES):
        text = make()
        for each in unexplained(what, text):
            if len(text) < len(strange.get(each, text + "x")):
                strange[each] = text
    told = "\n".join(f"{reader}: {said}: {text!r}" for (reader, said), text in sorted(strange.items()))
    assert not strange, f"seed {seed}\n{told}"
