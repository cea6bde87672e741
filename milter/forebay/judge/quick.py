"""When a value that its grammar recognises can exceed no budget, so that nobody need measure it.

What a grammar recognises has no runs, no depths, no empty elements; a property test holds the recognisers to the
bounds below. Where the configuration sets a budget lower than them, the scanner looks at every value.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from forebay.message.measures import ADDRESS_NAMES
from forebay.message.rfc2047 import MOST_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forebay.judge.budget import Budget

    Budgets = Mapping[str, tuple[Budget, ...]]

ADDRESS_UNITS = {
    "addresses": 4,  # a@b,
    "address-tokens": 1,
    "address-bytes": 1,
    "phrase-words": 1,  # a""a"" has two words in three bytes
}
"""Bytes that one unit of a measure takes at least in an address field: these grow with the value."""

RECOGNISED_AT_MOST = {
    "comments": 17,
    "comment-depth": 2,
    "date-bytes": 150,
    "date-comment-depth": 1,
    "message-id-bytes": 150,
    "references": 100,
    "boundary-bytes": 70,
    "parameters": 9,
    "parameter-bytes": 100,
    "encoded-words": 40,
}
"""What can be measured in a value of another field that is recognised."""

BYTES_PER_LINE = 3
"""A fold, a blank, and something behind them: a fold of blanks only is a defect."""

_PATHS = frozenset({b"mail from", b"rcpt to"})


def quick(name: bytes, budgets: Budgets) -> int:
    """Up to how many bytes a recognised field of this name exceeds nothing; -1 where it may in any case."""
    limits = {measure: _lowest(name, each) for measure, each in budgets.items()}
    if name in ADDRESS_NAMES or name in _PATHS:
        lengths = ((limits[measure] + 1) * unit - 1 for measure, unit in ADDRESS_UNITS.items() if measure in limits)
        return min(lengths, default=sys.maxsize)
    trusted = all(limits.get(measure, bound) >= bound for measure, bound in RECOGNISED_AT_MOST.items())
    return sys.maxsize if trusted else -1


def few_quotes(name: bytes, recognise: Callable[[bytes], object], budgets: Budgets) -> Callable[[bytes], object]:
    """`recognise`, for values that have not more quotation marks than the budget of quoted strings."""
    if name not in ADDRESS_NAMES or "quoted-strings" not in budgets:
        return recognise
    most = 2 * _lowest(name, budgets["quoted-strings"])

    def recognise_unquoted(value: bytes) -> object:
        return value.count(b'"') <= most and recognise(value)

    return recognise_unquoted


def short(budgets: Budgets) -> int:
    """Below which size a field without defects of its bytes, name and colon included, exceeds no budget of lines."""
    line_bytes = (budget.lowest for budget in budgets.get("line-bytes", ()))
    fold_lines = (budget.lowest * BYTES_PER_LINE for budget in budgets.get("fold-lines", ()))
    # Of the whole header the longest field is known: one that certain fields may not exceed is looked for in those.
    field_bytes = (budget.lowest for budget in budgets.get("field-bytes", ()) if budget.validator.fields)
    return min((*line_bytes, *fold_lines, *field_bytes), default=sys.maxsize)


def trusts_words(budgets: Budgets) -> bool:
    """Whether recognised encoded-words, which are few, exceed nothing."""
    return all(budget.lowest >= MOST_WORDS for budget in budgets.get("encoded-words", ()))


def _lowest(name: bytes, budgets: tuple[Budget, ...]) -> int:
    asked = (each.lowest for each in budgets if not each.validator.fields or name in each.validator.fields)
    return min(asked, default=sys.maxsize)
