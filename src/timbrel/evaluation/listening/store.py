"""Listeners, their trials and their ratings, in one SQLite file.

A listener's trials are drawn once and stored, so that listeners who come back, after a crash on
either side, continue where they left off. A trial has one rating at most.
"""

from __future__ import annotations

import random
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timbrel.errors import InputError, OutputError
from timbrel.evaluation.listening.clips import RatedClip

DATABASE_FILE = "listening.sqlite"
# Five labelled whole points with half points between them, as in Kim et al. (2019).
LOWEST, HIGHEST, STEP = 1.0, 5.0, 0.5
RATINGS = tuple(LOWEST + STEP * i for i in range(round((HIGHEST - LOWEST) / STEP) + 1))
_BUSY_S = 30.0  # to wait while another listener's rating is written

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listeners (
    token TEXT PRIMARY KEY,
    began_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS trials (
    token TEXT NOT NULL REFERENCES listeners (token),
    position INTEGER NOT NULL,
    condition TEXT NOT NULL,
    instrument TEXT NOT NULL,
    file TEXT NOT NULL,
    start_s REAL NOT NULL,
    audio TEXT NOT NULL,
    PRIMARY KEY (token, position)
);
CREATE TABLE IF NOT EXISTS ratings (
    token TEXT NOT NULL,
    position INTEGER NOT NULL,
    rating REAL NOT NULL,
    rated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (token, position),
    FOREIGN KEY (token, position) REFERENCES trials (token, position)
);
"""


@dataclass(frozen=True)
class Rating:
    """What a listener said of a clip."""

    listener: str
    clip: RatedClip
    rating: float


def draw_trials(
    clips: Sequence[RatedClip], n_items: int, *, seed: int | None = None
) -> list[RatedClip]:
    """What one listener is to hear: some items in every condition, in an order of their own.

    Parameters
    ----------
    clips
        Each item in each condition.
    n_items
        How many items; as many as there are, if there are fewer.
    seed
        Of the draw; a new one each time where it is None.
    """
    drawn = random.Random(seed)
    by_item: dict[tuple, list[RatedClip]] = {}
    for clip in clips:
        by_item.setdefault(clip.item, []).append(clip)
    chosen = drawn.sample(sorted(by_item), min(n_items, len(by_item)))
    trials = [clip for item in chosen for clip in by_item[item]]
    drawn.shuffle(trials)
    return trials


class Store:
    """The file of a listening test.

    Parameters
    ----------
    path
        Made where it does not exist.

    Raises
    ------
    InputError
        If it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)

    def add_listener(self, trials: Sequence[RatedClip]) -> str:
        """A new listener's secret name, with the trials that they are to rate."""
        token = secrets.token_urlsafe(16)
        rows = [
            (token, i, c.condition, c.instrument, c.file, c.start_s, c.audio)
            for i, c in enumerate(trials)
        ]
        with self._open() as database:
            database.execute("INSERT INTO listeners (token) VALUES (?)", (token,))
            database.executemany("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return token

    def progress(self, token: str) -> tuple[int, dict[int, float]] | None:
        """How many trials a listener has, and the ratings given; None for a stranger."""
        with self._open() as database:
            known = database.execute("SELECT 1 FROM listeners WHERE token = ?", (token,)).fetchone()
            if known is None:
                return None
            (n_trials,) = database.execute(
                "SELECT COUNT(*) FROM trials WHERE token = ?", (token,)
            ).fetchone()
            rated = database.execute(
                "SELECT position, rating FROM ratings WHERE token = ?", (token,)
            ).fetchall()
        return n_trials, dict(rated)

    def trial(self, token: str, position: int) -> RatedClip | None:
        """What a listener hears at a position."""
        with self._open() as database:
            row = database.execute(
                "SELECT condition, instrument, file, start_s, audio FROM trials "
                "WHERE token = ? AND position = ?",
                (token, position),
            ).fetchone()
        return RatedClip(*row) if row else None

    def rate(self, token: str, position: int, rating: float) -> None:
        """Keep a rating; another one of the same trial takes its place.

        Raises
        ------
        InputError
            If the rating is none of `RATINGS`, or there is no such trial.
        """
        if rating not in RATINGS:
            raise InputError(f"a rating of {rating} is not possible; {LOWEST:g} to {HIGHEST:g} are")
        try:
            with self._open() as database:
                database.execute(
                    "INSERT INTO ratings (token, position, rating) VALUES (?, ?, ?) "
                    "ON CONFLICT (token, position) DO UPDATE "
                    "SET rating = excluded.rating, rated_at = CURRENT_TIMESTAMP",
                    (token, position, rating),
                )
        except sqlite3.IntegrityError:
            raise InputError("there is no such trial") from None

    def ratings(self) -> list[Rating]:
        """All ratings, also of listeners who did not finish."""
        with self._open() as database:
            rows = database.execute(
                "SELECT token, condition, instrument, file, start_s, audio, rating "
                "FROM ratings JOIN trials USING (token, position) ORDER BY token, position"
            ).fetchall()
        return [Rating(row[0], RatedClip(*row[1:6]), row[6]) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, which is written to the disk when the block ends."""
        try:
            database = sqlite3.connect(self._path, timeout=_BUSY_S)
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot be opened ({error})") from None
        try:
            database.execute("PRAGMA foreign_keys = ON")
            with database:
                yield database
        except sqlite3.OperationalError as error:
            raise OutputError(f"{self._path}: cannot be written ({error})") from None
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self._path}: is not a listening test's file ({error})") from None
        finally:
            database.close()
