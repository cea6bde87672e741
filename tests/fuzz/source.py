"""The bytes of a fuzzer as choices: numbers, pieces and picks, so that what is made of them has the right shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Source:
    """Hands out bytes from the front. At the end every number is 0 and every piece empty, so all that is made ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))

    def take(self, size: int) -> bytes:
        """The next bytes, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def number(self, size: int = 1) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size))

    def pick(self, choices: Sequence[T]) -> T:
        """One of some choices."""
        return choices[self.number() % len(choices)]

    def piece(self) -> bytes:
        """Up to 255 bytes."""
        return self.take(self.number())

    def some(self, make: Callable[[], T], most: int = 7) -> list[T]:
        """A few of something."""
        return [make() for _ in range(self.number() % (most + 1))]
