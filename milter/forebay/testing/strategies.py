"""Messages at random, for hypothesis: well-formed ones, and ones that are wrong in some place.

@given(strategies.malformed())
def test_any_bytes_are_borne(message: Message) -> None:
    run(SubjectShouts, message)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from forebay.testing.message import Message

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    Fields = tuple[tuple[bytes, bytes], ...]

__all__ = ["addr_specs", "address_lists", "evil", "malformed", "names", "texts", "well_formed"]

_ATEXT: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+="
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORD: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

EVIL: Final = (
    *(b"\0", b"\r", b"\n ", b"\n \n ", b"\n\t", b"\x1b[2J", b"\x7f", b"\xff", b"\xc0\xaf", b"\xe2\x80\xae"),
    *(
        b'"',
        b'\\"',
        b"\\",
        b"(",
        b")",
        b"((((",
        b"<",
        b">",
        b"<<",
        b"@",
        b"@@",
        b"[",
        b"]",
        b",",
        b",,,",
        b";",
        b":",
        b".",
    ),
    *(
        b"..",
        b"=?",
        b"?=",
        b"=?utf-8?q?=22?=",
        b"=?x?b?====?=",
        b"=?utf-8?b?" + b"A" * 100,
        b"%s%n",
        b"*0*=",
        b"\t",
        b"  ",
    ),
)
"""What parsers choke on, in small pieces."""


def names() -> SearchStrategy[bytes]:
    """Field names (RFC 5322 section 2.2)."""
    return st.text(_LETTERS + "-", min_size=1, max_size=20).map(lambda text: f"X-{text}".encode())


def texts() -> SearchStrategy[bytes]:
    """Unstructured text, some of it folded (RFC 5322 section 3.2.5)."""
    words = st.lists(st.text(_WORD, min_size=1, max_size=12), min_size=1, max_size=12)
    return st.builds(lambda each, blank: blank.join(map(str.encode, each)), words, st.sampled_from((b" ", b"\n ")))


def addr_specs() -> SearchStrategy[bytes]:
    """Addresses such as `jane.doe@mail.example.org` (RFC 5322 section 3.4.1)."""
    atom = st.text(_ATEXT, min_size=1, max_size=12)
    label = st.text(_LETTERS, min_size=1, max_size=12)
    local = st.lists(atom, min_size=1, max_size=3).map(".".join)
    domain = st.lists(label, min_size=1, max_size=3).map(lambda labels: ".".join((*labels, "example", "org")))
    return st.builds(lambda left, right: f"{left}@{right}".encode(), local, domain)


def address_lists() -> SearchStrategy[bytes]:
    """Lists of addresses, some with a display name (RFC 5322 section 3.4)."""
    word = st.text(_WORD, min_size=1, max_size=10).map(str.encode)
    phrase = st.one_of(word, st.builds(b"%s %s".__mod__, st.tuples(word, word)), word.map(b'"%s, Jr."'.__mod__))
    mailbox = st.one_of(addr_specs(), st.builds(lambda name, spec: name + b" <" + spec + b">", phrase, addr_specs()))
    return st.lists(mailbox, min_size=1, max_size=4).map(b", ".join)


@st.composite
def well_formed(draw: st.DrawFn) -> Message:
    """Messages with nothing wrong in them: the fields that mail has, in any order, and some that nobody knows."""
    fields = [
        (b"From", draw(addr_specs())),
        (b"To", draw(address_lists())),
        (b"Date", b"%d Nov 2025 10:%02d:00 +0000" % (draw(st.integers(1, 30)), draw(st.integers(0, 59)))),
        (b"Message-ID", b"<%d@example.org>" % draw(st.integers(1, 10**12))),
        (b"Subject", draw(texts())),
        *draw(st.lists(st.tuples(names(), texts()), max_size=4)),
    ]
    ordered = draw(st.permutations(fields))
    sender, recipients = draw(addr_specs()), draw(st.lists(addr_specs(), min_size=1, max_size=3))
    return Message(
        tuple((name, b" " + value) for name, value in ordered),
        body=b"Hello\r\n",
        sender=b"<%s>" % sender,
        recipients=tuple(b"<%s>" % each for each in recipients),
    )


def evil() -> SearchStrategy[bytes]:
    """Small pieces that parsers choke on, some of them many times over."""
    piece = st.one_of(st.sampled_from(EVIL), st.binary(min_size=1, max_size=4))
    return st.builds(lambda each, times: each * times, piece, st.sampled_from((1, 1, 1, 2, 30, 300)))


@st.composite
def malformed(draw: st.DrawFn) -> Message:
    """Well-formed messages into which a few evil pieces were put: into values, into the envelope, or as new fields."""
    message = draw(well_formed())
    fields = list(message.fields)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(fields) - 1))
        name, value = fields[index]
        at = draw(st.integers(0, len(value)))
        fields[index] = (name, value[:at] + draw(evil()) + value[at:])
        if draw(st.integers(0, 3)) == 0:
            fields.append(draw(st.sampled_from(fields)))
    sender = draw(st.sampled_from((message.sender, b"<>", b"", b'<"@x', draw(evil()))))
    return Message(tuple(fields), draw(st.binary(max_size=64)), sender, message.recipients)
