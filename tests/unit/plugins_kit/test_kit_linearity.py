"""`assert_linear` catches what is not linear, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from forebay.api import Field, FieldValidator, Finding, validator
from forebay.testing import assert_linear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PLAIN = re.compile(rb"[^ ]++")
EXPONENTIAL = re.compile(rb" (a+)+$")


def pairs(value: bytes) -> None:
    """Compare each byte with all behind it."""
    for start in range(len(value)):
        value.count(b"x", start)


def copies(value: bytes) -> None:
    """Take much memory and little time: the system gives zeros away lazily."""
    bytes(len(value) ** 2 // 1000)


def words(value: bytes) -> None:
    """Look at each word once."""
    for word in PLAIN.finditer(value):
        word.start()


def checking(work: Callable[[bytes], object]) -> type[FieldValidator]:
    """A validator that does this work with each field."""

    @validator(id="works", rfc="")
    class Works(FieldValidator):
        """Works."""

        def check(self, field: Field) -> Iterable[Finding]:
            """Work."""
            work(field.value)
            return ()

    return Works


def hostile(count: int) -> bytes:
    """What the pattern above goes back and back in."""
    return b"X: " + b"a" * count + b"b"


@pytest.mark.parametrize("work", [len, words, sorted], ids=lambda work: work.__name__)
def test_what_is_linear_passes(work: Callable[[bytes], object]) -> None:
    """Constant, linear and n log n work are all well, on a busy machine too."""
    assert_linear(checking(work), lambda count: b"X: " + b"a " * count)


@pytest.mark.parametrize(("work", "told"), [(pairs, "ms"), (copies, "of memory")], ids=["time", "memory"])
def test_what_is_quadratic_is_caught(work: Callable[[bytes], object], told: str) -> None:
    """Quadratic time or memory is told with the figures."""
    with pytest.raises(AssertionError, match=rf"not linear: .*{told}"):
        assert_linear(checking(work), hostile)


def test_what_is_exponential_is_interrupted() -> None:
    """A pattern that goes back is caught while it runs, even though it holds the interpreter's lock."""
    with pytest.raises(AssertionError, match=r"not linear: .*more than"):
        assert_linear(checking(EXPONENTIAL.search), hostile)
