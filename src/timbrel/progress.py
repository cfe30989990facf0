"""Progress of long work: every function that takes long can be given one of these."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Protocol, TextIO, TypeVar

Item = TypeVar("Item")

FIRST_LINE_S = 5.0  # work that takes less says nothing
_GROWTH = 1.6  # each line comes after so many times as long as the one before
_LONGEST_PAUSE_S = 600.0
_MINUTE_S, _HOUR_S = 60, 3600


class Progress(Protocol):
    """Hands items on as they are finished, and shows how far the work is.

    Parameters
    ----------
    items
        They are handed on as they are.
    total
        How many there will be.
    label
        What the work is about, such as a file's name.
    sound_s
        Seconds of sound that all of it makes, if it makes sound: then its speed is shown, too.
    """

    def __call__(
        self, items: Iterable[Item], total: float, label: str, *, sound_s: float = 0.0
    ) -> Iterable[Item]: ...


def silent(
    items: Iterable[Item],
    total: float,  # noqa: ARG001
    label: str,  # noqa: ARG001
    *,
    sound_s: float = 0.0,  # noqa: ARG001
) -> Iterable[Item]:
    """Show nothing."""
    return items


def shown(*, quiet: bool = False) -> Progress:
    """What a command shows of its progress on stderr.

    A bar where a person watches; elsewhere, as in the log of a job that runs by night, a line now
    and then; nothing where `quiet` asks for that.
    """
    if quiet:
        return silent
    from rich.console import Console

    return bar if Console(stderr=True).is_terminal else lines


def bar(items: Iterable[Item], total: float, label: str, *, sound_s: float = 0.0) -> Iterator[Item]:
    """Show a bar with the time left, for a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total, speed="")
        began = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            speed = _speed(done / total, time.monotonic() - began, sound_s)
            progress.update(task, advance=1, speed=speed)


def lines(
    items: Iterable[Item],
    total: float,
    label: str,
    *,
    sound_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    where: TextIO | None = None,
) -> Iterator[Item]:
    """Print a line now and then: the first after some seconds, the others less and less often.

    Each names the share of the work that is done, its speed, and about how long it will go on.

    Parameters
    ----------
    items, total, label, sound_s
        As of `Progress`.
    clock
        Gives the time in seconds.
    where
        Takes the lines; stderr where it is None.
    """
    began = clock()
    due_s = FIRST_LINE_S
    for done, item in enumerate(items, 1):
        yield item
        took_s = clock() - began
        if took_s < due_s or done >= total:
            continue
        due_s = min(took_s * _GROWTH, took_s + _LONGEST_PAUSE_S)
        share = done / total
        words = [f"{label}: {100 * share:.0f} %", _speed(share, took_s, sound_s)]
        words.append(f"about {_in_words(took_s * (1 - share) / share)} left")
        with suppress(OSError):  # nobody may read any more
            print(", ".join(filter(None, words)), file=where or sys.stderr, flush=True)


def _speed(share: float, took_s: float, sound_s: float) -> str:
    return f"{share * sound_s / took_s:.1f}× real time" if sound_s and took_s else ""


def _in_words(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    minutes = round(seconds / _MINUTE_S)
    return f"{minutes // 60} h {minutes % 60:02} min"
