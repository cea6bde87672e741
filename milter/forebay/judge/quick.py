"""Up to which length a value that looks well cannot exceed any budget.

What a grammar recognises has no comments, no empty elements, no runs of dots: of the measures of a field, only those
below can be large in it, and each of their units takes some bytes. A property test holds the recognisers to this.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forebay.judge.plan import Budget

BYTES_PER_UNIT = {
    "addresses": 4,  # a@b,
    "address-tokens": 1,
    "address-bytes": 1,
    "phrase-words": 2,  # a word and a blank
    "quoted-strings": 2,
    "date-bytes": 1,
    "message-id-bytes": 1,
    "references": 5,  # <a@b>
    "parameters": 4,  # ;a=b
    "parameter-bytes": 1,
    "boundary-bytes": 1,
    "encoded-words": 2,  # counted by their first two bytes
}

BYTES_PER_LINE = 3
"""A fold, a blank, and something behind them: a fold of blanks only is a defect."""


def short(budgets: Mapping[str, tuple[Budget, ...]]) -> int:
    """The size up to which a field without defects of its bytes, name and colon included, exceeds no budget of lines."""
    line_bytes = (budget.lowest for budget in budgets.get("line-bytes", ()))
    fold_lines = (budget.lowest * BYTES_PER_LINE for budget in budgets.get("fold-lines", ()))
    return min((*line_bytes, *fold_lines), default=sys.maxsize)


def quick(name: bytes, budgets: Mapping[str, tuple[Budget, ...]]) -> int:
    """The length in bytes for fields of this name."""
    return min(
        (
            (budget.lowest + 1) * unit - 1
            for measure, unit in BYTES_PER_UNIT.items()
            for budget in budgets.get(measure, ())
            if not budget.validator.fields or name in budget.validator.fields
        ),
        default=sys.maxsize,
    )
