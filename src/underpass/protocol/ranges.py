"""`Ranges`: a set of whole numbers kept as ranges, for what has come and what is acknowledged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Ranges:
    """Disjoint ranges of numbers, both ends inclusive, in rising order, never touching.

    `firsts` are their lower ends, to look at only: asking it whether there are any is cheap.
    """

    __slots__ = ("_lasts", "firsts")

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self._lasts: list[int] = []

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self.firsts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.firsts, self._lasts, strict=True)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.firsts, number)
        return at > 0 and number <= self._lasts[at - 1]

    def __repr__(self) -> str:
        return f"<Ranges {' '.join(f'{first}-{last}' for first, last in self)}>"

    def add(self, first: int, last: int) -> list[tuple[int, int]]:
        """Add a range; return those parts of it that are new, in rising order."""
        firsts, lasts = self.firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            # As nearly always: the next number.
            lasts[-1] = last
            return [(first, last)]
        # The ranges that overlap or touch [first, last].
        start = bisect_left(lasts, first - 1)
        end = bisect_right(firsts, last + 1)
        new: list[tuple[int, int]] = []
        at = first
        for i in range(start, end):
            if at < firsts[i]:
                new.append((at, min(last, firsts[i] - 1)))
            at = max(at, lasts[i] + 1)
        if at <= last:
            new.append((at, last))
        if start < end:
            first = min(first, firsts[start])
            last = max(last, lasts[end - 1])
        firsts[start:end] = [first]
        lasts[start:end] = [last]
        return new

    def pop_first(self) -> tuple[int, int]:
        """Remove and return the lowest range. `IndexError` if there is none."""
        return self.firsts.pop(0), self._lasts.pop(0)

    @property
    def first(self) -> int | None:
        """The lowest number."""
        return self.firsts[0] if self.firsts else None

    def clear(self) -> None:
        """Remove all."""
        self.firsts.clear()
        self._lasts.clear()
