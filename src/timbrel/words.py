"""Numbers as people write them."""

from __future__ import annotations

from collections.abc import Iterable


def in_ranges(numbers: Iterable[int]) -> str:
    """Rising whole numbers in the way of people: ``21–27, 30``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in ranges)
