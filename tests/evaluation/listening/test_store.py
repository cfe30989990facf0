"""Listeners and their ratings in SQLite."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from support.listening_data import ITEMS, MEANS
from timbrel.errors import InputError, OutputError
from timbrel.evaluation.listening.clips import read_clips
from timbrel.evaluation.listening.store import RATINGS, Store, draw_trials


def test_scale_has_half_points() -> None:
    assert RATINGS == (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)


def test_each_item_is_heard_in_every_condition(report: Path) -> None:
    trials = draw_trials(read_clips(report), 4, seed=1)
    assert len(trials) == 4 * len(MEANS) == len(set(trials))
    assert Counter(clip.condition for clip in trials) == dict.fromkeys(MEANS, 4)
    items = Counter(clip.item for clip in trials)
    assert len(items) == 4
    assert set(items.values()) == {3}
    assert trials == draw_trials(read_clips(report), 4, seed=1)
    assert trials != draw_trials(read_clips(report), 4, seed=2)
    assert len(draw_trials(read_clips(report), 99)) == len(ITEMS) * len(MEANS)


def test_order_and_items_are_drawn_for_each_listener(report: Path) -> None:
    clips = read_clips(report)
    first = Counter(draw_trials(clips, 3, seed=seed)[0].condition for seed in range(300))
    assert all(70 < first[name] < 130 for name in MEANS)
    items = Counter(c.item for seed in range(300) for c in draw_trials(clips, 3, seed=seed))
    assert all(360 < items[item] < 540 for item in ITEMS)


def test_ratings_are_kept_once(report: Path) -> None:
    path = report / "listening.sqlite"
    store, trials = Store(path), draw_trials(read_clips(report), 2, seed=0)
    token = store.add_listener(trials)
    assert store.progress(token) == (6, {})
    assert store.trial(token, 2) == trials[2]
    store.rate(token, 2, 3.5)
    store.rate(token, 2, 3.5)
    store.rate(token, 0, 1.0)
    # Another process, after a crash, knows the same; who thinks again has one opinion.
    again = Store(path)
    assert again.progress(token) == (6, {0: 1.0, 2: 3.5})
    again.rate(token, 2, 4.0)
    assert [(r.listener, r.clip, r.rating) for r in store.ratings()] == [
        (token, trials[0], 1.0),
        (token, trials[2], 4.0),
    ]


def test_strangers_and_impossible_ratings_are_refused(report: Path) -> None:
    store = Store(report / "listening.sqlite")
    token = store.add_listener(draw_trials(read_clips(report), 1))
    assert store.progress("nobody") is None
    assert store.trial("nobody", 0) is None
    assert store.trial(token, 3) is None
    for rating in (0.5, 5.5, 3.25, float("nan")):
        with pytest.raises(InputError, match="1 to 5 are"):
            store.rate(token, 0, rating)
    for who, position in (("nobody", 0), (token, 3), (token, -1)):
        with pytest.raises(InputError, match="there is no such trial"):
            store.rate(who, position, 3.0)
    assert store.ratings() == []


def test_many_can_rate_at_once(report: Path) -> None:
    store, clips = Store(report / "listening.sqlite"), read_clips(report)

    def listen() -> None:
        token = store.add_listener(draw_trials(clips, 3))
        for position in range(9):
            store.rate(token, position, 2.5)

    threads = [threading.Thread(target=listen) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(rating.rating for rating in store.ratings()) == {2.5: 12 * 9}


def test_files_that_are_no_database_are_refused(tmp_path: Path) -> None:
    (tmp_path / "listening.sqlite").write_text("these are not the ratings\n" * 100)
    with pytest.raises(InputError, match="is not a listening test's file"):
        Store(tmp_path / "listening.sqlite")
    with pytest.raises(OutputError, match="cannot be opened"):
        Store(tmp_path / "none" / "listening.sqlite")
