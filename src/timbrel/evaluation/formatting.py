"""Numbers and intervals of a report, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from timbrel.evaluation.results import Estimate

UNKNOWN = "–"  # what does not exist, or cannot be known from one track


def number(value: float, digits: int) -> str:
    """A number with so many decimal places, and a true minus sign."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def interval(estimate: Estimate, digits: int, factor: float = 1) -> str:
    """An estimate's interval in brackets; – where there is none."""
    if not math.isfinite(estimate.low):
        return UNKNOWN
    low, high = (number(factor * value, digits) for value in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def with_interval(estimate: Estimate, digits: int, factor: float = 1) -> str:
    """A mean and its interval; – alone where nothing was measured."""
    if not math.isfinite(estimate.mean):
        return UNKNOWN
    return f"{number(factor * estimate.mean, digits)} {interval(estimate, digits, factor)}"


def signed(estimate: Estimate) -> str:
    """A difference with its sign and interval."""
    sign = "+" if estimate.mean > 0 else ""
    return f"{sign}{number(estimate.mean, 3)} {interval(estimate, 3)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
