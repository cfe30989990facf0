"""Which instrument plays which track, in words and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from timbrel.words import in_ranges

if TYPE_CHECKING:
    from timbrel.score.score import Track
    from timbrel.timbre.timbre import Timbre


def cast_in_words(timbres: Sequence[Timbre | None]) -> str:
    """Who plays what, as in "harp plays tracks 1, 3–5; trumpet plays track 2"."""
    numbers: dict[str, list[int]] = {}
    for number, timbre in enumerate(timbres, 1):
        if timbre is None:
            continue
        numbers.setdefault(timbre.name, []).append(number)
    parts = []
    for name, ones in numbers.items():
        tracks = "track" if len(ones) == 1 else "tracks"
        parts.append(f"{name} plays {tracks} {in_ranges(ones)}")
    return "; ".join(parts)


def track_rows(tracks: Sequence[Track], timbres: Sequence[Timbre | None]) -> list[dict[str, Any]]:
    """Tracks and what plays them, for JSON; ports and channels count from 1.

    Tracks beyond the timbres are not played.
    """
    return [
        {
            "number": number,
            "name": track.name,
            "program": track.program,
            "drums": track.is_kit,
            "port": track.port + 1,
            "channel": track.channel + 1,
            "notes": len(track.notes),
            "instrument": timbre.name if timbre is not None else None,
        }
        for number, (track, timbre) in enumerate(zip_longest(tracks, timbres), 1)
    ]


def remarks_on(timbres: Sequence[Timbre | None]) -> list[str]:
    """What should be known of some timbres, each once."""
    return list(dict.fromkeys(remark for timbre in timbres if timbre for remark in timbre.remarks))
