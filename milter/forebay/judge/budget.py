"""A budget as the runner looks it up: a number that must not be exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forebay.message.finding import Action

if TYPE_CHECKING:
    from forebay.judge.guard import Enabled

Levels = tuple[tuple[int, Action], ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """A number that must not be exceeded, with its levels, the most severe first; up to `lowest` nothing is found."""

    validator: Enabled
    unit: str
    levels: Levels
    lowest: int
