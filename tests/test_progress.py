"""Progress: a bar on a terminal, now and then a line elsewhere, nothing where it is not wanted."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from timbrel import progress
from timbrel.progress import FIRST_LINE_S, bar, lines, shown, silent


def told(n: int, seconds: float, *, sound_s: float = 0.0) -> list[str]:
    """What is printed about `n` items that take some seconds each."""
    times = iter([seconds * i for i in range(n + 1)])
    where = io.StringIO()
    items = lines(range(n), n, "song.wav", sound_s=sound_s, clock=lambda: next(times), where=where)
    assert list(items) == list(range(n))
    return where.getvalue().splitlines()


def test_what_is_quick_says_nothing() -> None:
    assert told(100, FIRST_LINE_S / 101) == []


def test_a_line_says_share_speed_and_time_left() -> None:
    first, *_, last = told(100, 1.0, sound_s=1000.0)
    assert first == "song.wav: 5 %, 10.0× real time, about 2 min left"
    assert last.startswith("song.wav: 8")
    assert "100 %" not in last
    assert told(4, 6.0)[0] == "song.wav: 25 %, about 18 s left"
    assert told(4, 3000.0)[0] == "song.wav: 25 %, about 2 h 30 min left"


def test_lines_become_rarer() -> None:
    """An hour gives some fifteen lines, a day one each ten minutes and no more."""
    assert 10 <= len(told(3600, 1.0)) <= 20
    assert 130 <= len(told(24 * 60, 60.0)) <= 160


def test_a_reader_that_went_away_stops_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    times = iter(range(0, 100, 10))
    assert list(lines(range(5), 5, "x", clock=lambda: next(times), where=Closed())) == [*range(5)]


def test_quiet_shows_nothing_and_no_terminal_shows_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert shown(quiet=True) is silent
    assert shown() is lines
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert shown() is bar
    assert shown(quiet=True) is silent


@pytest.mark.parametrize("show", [silent, bar, lines])
def test_items_are_handed_on_one_by_one(
    show: progress.Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(3):
            made.append(i)
            yield i

    for i in show(items(), 3, "label", sound_s=3.0):
        assert made == list(range(i + 1))
    assert made == [0, 1, 2]
