"""Which grammar a field has, by its name.

`recognise` is a compiled regular expression that knows the common well-formed values in about two microseconds.
"Not recognised" is never a finding: it only sends the field to `diagnose`, the linear scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.message.diagnosis import Diagnosis
    from forebay.message.field import Field


@dataclass(frozen=True, slots=True)
class Grammar:
    """Two ways to read a field: `recognise(value)` implies that `diagnose(field)` notes no defect."""

    recognise: Callable[[bytes], object]
    diagnose: Callable[[Field], Diagnosis]
