"""Progress of long work: every slow function accepts a `Progress`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Hands items on as they are finished, and shows how far the work is."""

    def __call__(self, items: Iterable[Item], total: float, label: str) -> Iterable[Item]: ...


def silent(items: Iterable[Item], total: float, label: str) -> Iterable[Item]:  # noqa: ARG001
    """Show nothing."""
    return items


def bar(items: Iterable[Item], total: float, label: str) -> Iterator[Item]:
    """Show a bar with the time left on stderr, where a person watches."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        task = shown.add_task(label, total=total)
        for item in items:
            yield item
            shown.advance(task)
