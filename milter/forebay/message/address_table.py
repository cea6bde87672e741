"""The transition table by which `rfc5322_address` reads an address list, one byte at a time.

Each byte has a class; each state says, by class, which state comes next and whether something is to be done (an
event). Reading a field is one look-up a byte, whatever the bytes are: that is why diagnosis is linear.

The states follow RFC 5322 section 3.4 with the obsolete forms of 4.4. Outside and inside angle brackets the same
states are used; the scanner knows which of the two it is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Rule = tuple[str, str, str]  # classes of bytes, event ("" for none), next state ("" for the same)

CLASSES: Final = (
    "alnum", "hyphen", "underscore", "bang", "symbol", "eight", "blank", "control", "dot", "at", "comma", "semi",
    "colon", "less", "greater", "open", "close", "bracket", "unbracket", "quote", "backslash",
)  # fmt: skip

_MEMBERS: Final = {
    "hyphen": b"-", "underscore": b"_", "bang": b"!%", "symbol": b"#$&'*+/=?^`{|}~", "blank": b" \t\n", "dot": b".",
    "at": b"@", "comma": b",", "semi": b";", "colon": b":", "less": b"<", "greater": b">", "open": b"(",
    "close": b")", "bracket": b"[", "unbracket": b"]", "quote": b'"', "backslash": b"\\",
}  # fmt: skip

STATES: Final = (
    "start", "word", "dot", "dotgap", "gap", "cgap", "qend",
    "domstart", "domain", "hyphen", "domdot", "domdotgap", "domgap",
    "route", "after", "junk", "quoted", "quotedpair", "comment", "commentpair", "literal", "phrasebracket",
)  # fmt: skip

ATOM: Final = "alnum hyphen underscore bang symbol eight"

# What ends or interrupts everything outside quotes, comments and brackets.
OUTSIDE: Final[tuple[Rule, ...]] = (
    ("at", "at", "domstart"),
    ("comma", "comma", "start"),
    ("semi", "semicolon", "start"),
    ("colon", "colon", "start"),
    ("less", "less", "start"),
    ("greater", "greater", "after"),
    ("open", "comment", "comment"),
    ("close", "paren-unbalanced", ""),
    ("bracket", "bracket", "phrasebracket"),
    ("unbracket", "bracket-unbalanced", ""),
    ("quote", "quote", "quoted"),
    ("backslash", "backslash-outside-quotes", ""),
    ("control", "address-control", ""),
)

# A label of a domain: letters, digits and inner hyphens (RFC 5321 section 4.1.2); all else is noted and read on.
LABEL: Final[tuple[Rule, ...]] = (
    ("alnum", "", "domain"),
    ("underscore", "domain-underscore", "domain"),
    ("bang symbol", "domain-character", "domain"),
    ("eight", "domain-eight", "domain"),
)

TABLE: Final[dict[str, tuple[Rule, ...]]] = {
    # Nothing of this element yet.
    "start": ((ATOM, "word", "word"), ("dot", "leading-dot", "dot"), ("blank", "", "start"), *OUTSIDE),
    # Words: a display name or a local part, nobody knows yet.
    "word": (
        ("alnum hyphen underscore symbol", "", "word"),
        ("bang", "bang", "word"),
        ("eight", "eight", "word"),
        ("dot", "", "dot"),
        ("blank", "", "gap"),
        *OUTSIDE,
    ),
    "dot": (
        ("alnum hyphen underscore symbol", "", "word"),
        ("bang", "bang", "word"),
        ("eight", "eight", "word"),
        ("dot", "dots", "dot"),
        ("blank", "dot-blank", "dotgap"),
        *OUTSIDE,
    ),
    "dotgap": ((ATOM, "join", "word"), ("dot", "dots", "dot"), ("blank", "", "dotgap"), *OUTSIDE),
    "gap": ((ATOM, "word", "word"), ("dot", "dot-blank", "dot"), ("blank", "", "gap"), *OUTSIDE),
    "cgap": ((ATOM, "word", "word"), ("dot", "dot-blank", "dot"), ("blank", "", "gap"), *OUTSIDE),
    "qend": ((ATOM, "word", "word"), ("dot", "", "dot"), ("blank", "", "gap"), *OUTSIDE),
    # After the @.
    "domstart": (
        *LABEL,
        ("hyphen", "domain-hyphen", "domain"),
        ("dot", "domain-dots", "domdot"),
        ("blank", "at-blank", "domstart"),
        *OUTSIDE,
    ),
    "domain": (*LABEL, ("hyphen", "", "hyphen"), ("dot", "", "domdot"), ("blank", "domain-end", "domgap"), *OUTSIDE),
    "hyphen": (
        *LABEL,
        ("hyphen", "", "hyphen"),
        ("dot", "domain-hyphen", "domdot"),
        ("blank", "domain-end", "domgap"),
        *OUTSIDE,
    ),
    "domdot": (
        *LABEL,
        ("hyphen", "domain-hyphen", "domain"),
        ("dot", "domain-dots", "domdot"),
        ("blank", "domain-end", "domdotgap"),
        *OUTSIDE,
    ),
    "domdotgap": (
        (ATOM, "domain-join", "domain"),
        ("dot", "domain-dots", "domdot"),
        ("blank", "", "domdotgap"),
        *OUTSIDE,
    ),
    "domgap": ((ATOM, "word", "word"), ("dot", "domain-dot-blank", "domdot"), ("blank", "", "domgap"), *OUTSIDE),
    # <@here,@there:someone@example.org>
    "route": ((ATOM + " dot blank at comma", "", "route"), ("colon", "route-end", "start"), *OUTSIDE),
    # After the closing angle bracket.
    "after": ((ATOM + " dot at", "angle-junk", "junk"), ("blank", "", "after"), *OUTSIDE),
    "junk": ((ATOM + " dot at blank", "", "junk"), *OUTSIDE),
    # Inside quotes, comments and square brackets.
    "quoted": (("quote", "unquote", ""), ("backslash", "", "quotedpair"), ("control", "address-control", "")),
    "quotedpair": (("control", "address-control", "quoted"), (" ".join(CLASSES), "", "quoted")),
    "comment": (
        ("open", "comment-nested", ""),
        ("close", "uncomment", ""),
        ("backslash", "", "commentpair"),
        ("control", "address-control", ""),
    ),
    "commentpair": (("control", "address-control", "comment"), (" ".join(CLASSES), "", "comment")),
    "literal": (
        ("unbracket", "unliteral", "domgap"),
        ("bracket quote open close backslash", "domain-literal-special", ""),
        ("comma semi less greater", "literal-broken", "domain"),
        ("control", "address-control", ""),
    ),
    "phrasebracket": (
        ("unbracket", "unbracket", ""),
        ("bracket", "bracket-again", ""),
        ("less", "bracket-broken", ""),
        ("control", "address-control", ""),
    ),
}

STRUCTURE: Final = (
    "word", "join", "leading-dot", "dots", "dot-blank", "bang", "eight", "at", "at-blank", "domain-eight",
    "domain-end", "domain-join", "domain-dot-blank", "comma", "semicolon", "colon", "less", "greater", "route-end",
    "quote", "unquote", "comment", "comment-nested", "uncomment", "bracket", "unbracket", "bracket-again",
    "bracket-broken", "unliteral", "literal-broken",
)  # fmt: skip
"""Events that change what the scanner remembers: `address_events` has a function for each."""

PURE: Final = {
    "paren-unbalanced": 'unbalanced ")"',
    "bracket-unbalanced": 'unbalanced "]"',
    "backslash-outside-quotes": "backslash outside quotes",
    "address-control": "control character",
    "domain-underscore": "underscore in a domain",
    "domain-character": "character that a domain cannot have",
    "domain-hyphen": "hyphen at the edge of a domain label",
    "domain-dots": "misplaced dot in a domain",
    "domain-literal-special": "special character in a domain literal",
    "angle-junk": "text after the end of a mailbox or group",
}
"""Events that are a defect and nothing else: event (which is the kind) and text."""

STRIDE: Final = 32
SHIFT: Final = 10
"""A step is `event << SHIFT | state`, where a state is the start of its row; without an event it is below 1 << SHIFT."""


class State:
    """Where the row of each state begins: plain integers, for they are compared at every event."""

    START: Final = STATES.index("start") * STRIDE
    WORD: Final = STATES.index("word") * STRIDE
    DOT: Final = STATES.index("dot") * STRIDE
    DOTGAP: Final = STATES.index("dotgap") * STRIDE
    GAP: Final = STATES.index("gap") * STRIDE
    CGAP: Final = STATES.index("cgap") * STRIDE
    QEND: Final = STATES.index("qend") * STRIDE
    DOMSTART: Final = STATES.index("domstart") * STRIDE
    DOMAIN: Final = STATES.index("domain") * STRIDE
    HYPHEN: Final = STATES.index("hyphen") * STRIDE
    DOMDOT: Final = STATES.index("domdot") * STRIDE
    DOMDOTGAP: Final = STATES.index("domdotgap") * STRIDE
    DOMGAP: Final = STATES.index("domgap") * STRIDE
    ROUTE: Final = STATES.index("route") * STRIDE
    AFTER: Final = STATES.index("after") * STRIDE
    JUNK: Final = STATES.index("junk") * STRIDE
    QUOTED: Final = STATES.index("quoted") * STRIDE
    QUOTEDPAIR: Final = STATES.index("quotedpair") * STRIDE
    COMMENT: Final = STATES.index("comment") * STRIDE
    COMMENTPAIR: Final = STATES.index("commentpair") * STRIDE
    LITERAL: Final = STATES.index("literal") * STRIDE
    PHRASEBRACKET: Final = STATES.index("phrasebracket") * STRIDE


@dataclass(frozen=True, slots=True)
class Automaton:
    """The table as the scanner uses it.

    `classes` translates bytes to classes, `classes_utf8` the same where bytes above 127 are letters (RFC 6532);
    `steps` is indexed by state + class; `events` names the events, the pure defects first.
    """

    classes: bytes
    classes_utf8: bytes
    steps: tuple[int, ...]
    events: tuple[str, ...]


def _compile() -> Automaton:
    events = ("", *PURE, *STRUCTURE)
    steps = [0] * (len(STATES) * STRIDE)
    for row, state in enumerate(STATES):
        for column in range(len(CLASSES)):
            steps[row * STRIDE + column] = row * STRIDE  # what has no rule is read over
        for names, event, following in reversed(TABLE[state]):  # the first rule that names a class wins
            target = STATES.index(following or state) * STRIDE
            for name in names.split():
                steps[row * STRIDE + CLASSES.index(name)] = events.index(event) << SHIFT | target
    classes = bytearray(256)
    for octet in range(256):
        kind = "control" if octet < 32 or octet == 127 else "eight" if octet > 127 else "alnum"
        classes[octet] = CLASSES.index(kind)
    for kind, members in _MEMBERS.items():
        for octet in members:
            classes[octet] = CLASSES.index(kind)
    utf8 = bytearray(classes)
    utf8[128:] = bytes([CLASSES.index("alnum")]) * 128
    return Automaton(bytes(classes), bytes(utf8), tuple(steps), events)


AUTOMATON: Final = _compile()
EIGHT: Final = CLASSES.index("eight")
BANG: Final = CLASSES.index("bang")
COMMA: Final = CLASSES.index("comma")
SEMI: Final = CLASSES.index("semi")
LESS: Final = CLASSES.index("less")
GREATER: Final = CLASSES.index("greater")
