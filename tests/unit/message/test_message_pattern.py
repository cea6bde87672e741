"""Possessive repetitions mean the same on every Python."""

from __future__ import annotations

import re
import subprocess
import sys
import tracemalloc
from itertools import product
from pathlib import Path

import pytest

from forebay.message import pattern

MESSAGE = Path(pattern.__file__).parent
EXPRESSIONS = (
    rb"x(?: q?+\.[a-z]++)*+",
    rb"x(?: (?:q|\.a)*+;)?+a?",
    rb"x(?:,(?:a|ab)?+)++;?",
    rb"(x)(?:(,)([a-z])++){0,2}+",
    rb"(?:x|(,)(?:a;)*+)*+(?(1)a|;)",
    rb"x(?=(?:,a)*+;),?+",
    rb"(?:(x|,)(?: q| (\.a)|;)){1,3}+",
    rb"x((?: q|,)*+)(?:;a?)*+",
)
SUBJECTS = [
    b"x" + b"".join(parts) for size in range(5) for parts in product((b" ", b"q", b".a", b",", b";"), repeat=size)
]

# The same without any possessive repetition, where backtracking could not change the result.
PLAIN = {
    rb"x(?:,b)*+": rb"x(?>(?:,b)*)",
    rb"x(?:,b)?+c?": rb"x(?>(?:,b)?)c?",
    rb"x(?: (?:q|r)*+;)++": rb"x(?>(?: (?>(?:q|r)*);)+)",
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_both_ways_to_compile_agree(expression: bytes) -> None:
    """What old Pythons get matches where `re` matches on a Python without the fault, with the same groups."""
    mended = pattern.compile_mended(expression)
    whole = pattern.compile(expression)
    for subject in SUBJECTS:
        for ours, theirs in (
            (mended.match(subject), whole.match(subject)),
            (mended.fullmatch(subject), whole.fullmatch(subject)),
        ):
            assert (ours and (ours.span(), ours.groups())) == (theirs and (theirs.span(), theirs.groups()))


@pytest.mark.parametrize(("possessive", "atomic"), PLAIN.items())
def test_a_round_that_fails_consumes_nothing(possessive: bytes, atomic: bytes) -> None:
    """The fault itself, on whatever Python runs this."""
    ours, right = pattern.compile(possessive), re.compile(atomic)
    for subject in (b"x", b"x,", b"x,b", b"x,b,", b"x,c", b"x ", b"x q", b"x q;", b"x q; r", b"x ; ;"):
        assert bool(ours.fullmatch(subject)) == bool(right.fullmatch(subject))


@pytest.mark.parametrize("path", sorted(MESSAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_message_layer_compiles_nothing_else(path: Path) -> None:
    """An expression over hostile bytes goes through `pattern.compile`."""
    assert path.name == "pattern.py" or "re.compile(" not in path.read_text()


def test_the_oldest_python_at_hand_agrees() -> None:
    """What Debian 12's Python recognises, if this machine has it, is what this one recognises."""
    program = (
        "from forebay.message import address_usual as u, trace, rfc5321\n"
        "print(u.recognise_list(b' a@example.org,'), u.recognise_list(b' a.@example.org'), u.recognise_list(b' a@b.example'),"
        " trace.recognise_received(b'(;Mon,1 Nov 2000 00:00:00 +0000'), rfc5321.recognise(b'<a.@b>'))"
    )
    for python in {sys.executable, "/usr/bin/python3"}:
        if (
            Path(python).exists()
            and subprocess.run(
                (python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"), check=False
            ).returncode
            == 0
        ):
            done = subprocess.run(
                (python, "-c", program),
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONPATH": str(MESSAGE.parents[1])},
            )
            assert done.stdout == "False False True False False\n"


def test_a_mended_repetition_keeps_no_memory() -> None:
    """What makes a repetition possessive is kept: rounds that are over are not remembered."""
    mended = pattern.compile_mended(rb"(?:[a-z] ?+)*+;")
    subject = b"a " * 50_000
    tracemalloc.start()
    try:
        assert mended.match(subject) is None
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
