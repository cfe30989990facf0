"""Which timbre each track of a score gets: the one wished for, or the nearest instrument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError
from timbrel.score.score import Track
from timbrel.timbre.lookup import nearest_instrument
from timbrel.timbre.timbre import Timbre, TimbreLike, as_timbre

ALL_OTHERS = 0  # the number under which a timbre is given for the tracks without one

# One timbre for all tracks, or a mapping from track numbers, counted from 1, or track names to
# timbres, with `ALL_OTHERS`; a track without a timbre gets the nearest instrument.
Timbres: TypeAlias = "TimbreLike | Mapping[Any, TimbreLike] | None"

# Tracks by number or name.
TrackKeys: TypeAlias = "int | str | Iterable[int | str]"


def timbres_of(
    tracks: Sequence[Track], wishes: Timbres, instruments: Sequence[Instrument]
) -> list[Timbre]:
    """The timbre of each track.

    Parameters
    ----------
    tracks
        Those of a score.
    wishes
        One for all, or some by the numbers of tracks, counted from 1, or by their names; the
        number 0 stands for all others of melodic instruments. See `timbrel.timbre.timbre.as_timbre`
        for what they may be. A track without one gets the instrument whose sound is nearest to its
        MIDI program, or the kit.
    instruments
        The instruments of the model.

    Raises
    ------
    InputError
        If there is no such track, or a timbre is not valid.
    """
    by_number: Mapping[int, TimbreLike]
    if isinstance(wishes, Mapping):
        by_number = _by_number(tracks, wishes)
    else:
        by_number = {} if wishes is None else {ALL_OTHERS: wishes}
    chosen = []
    for number, track in enumerate(tracks, 1):
        wish = by_number.get(number, None if track.is_kit else by_number.get(ALL_OTHERS))
        if wish is None:
            nearest = instrument_for(track, instruments)
            chosen.append(Timbre.constant(nearest.embedding, name=nearest.name))
        else:
            chosen.append(_wished(wish, number, track, instruments))
    return chosen


def instrument_for(track: Track, instruments: Sequence[Instrument]) -> Instrument:
    """The model's instrument, or kit, that is nearest to a track's MIDI program."""
    alike = [instrument for instrument in instruments if instrument.is_kit == track.is_kit]
    return nearest_instrument(track.program, alike)


def track_numbers(tracks: Sequence[Track], key: int | str) -> list[int]:
    """The numbers, counted from 1, of the tracks that a number or a name means.

    Raises
    ------
    InputError
        If there is no such track.
    """
    if isinstance(key, str):
        numbers = [n for n, track in enumerate(tracks, 1) if _plain(track.name) == _plain(key)]
        if not numbers:
            raise InputError(f"there is no track '{key}'; the score has {_names(tracks)}")
        return numbers
    if not 1 <= key <= len(tracks):
        raise InputError(f"there is no track {key}; the score has {len(tracks)}")
    return [key]


def heard_tracks(tracks: Sequence[Track], mute: TrackKeys = (), solo: TrackKeys = ()) -> set[int]:
    """The numbers of the tracks that are heard; see `timbrel.render_options.RenderOptions`.

    Raises
    ------
    InputError
        If there is no such track, or none is heard.
    """
    alone = {number for key in _each(solo) for number in track_numbers(tracks, key)}
    muted = {number for key in _each(mute) for number in track_numbers(tracks, key)}
    heard = (alone or set(range(1, len(tracks) + 1))) - muted
    if not any(tracks[number - 1].notes for number in heard):
        raise InputError("no track with notes would be heard; mute fewer, or play others alone")
    return heard


def _wished(
    wish: TimbreLike, number: int, track: Track, instruments: Sequence[Instrument]
) -> Timbre:
    """A timbre of the model's instruments, or of its kits, whichever a track may have."""
    try:
        return as_timbre(wish, [i for i in instruments if i.is_kit == track.is_kit])
    except InputError:
        kits = [i.name for i in instruments if i.is_kit and _plain(i.name) == _plain(str(wish))]
        if not kits or track.is_kit:
            raise
        raise InputError(
            f"'{kits[0]}' is a drum kit, but track {number} '{track.name}' plays no drums; give "
            f"it to a drum track, as in '10={kits[0]}'"
        ) from None


def _by_number(
    tracks: Sequence[Track], wishes: Mapping[int | str, TimbreLike]
) -> dict[int, TimbreLike]:
    """Wishes by the numbers of tracks; one that is given by a name yields to one by a number."""
    by_name: dict[int, TimbreLike] = {}
    by_number: dict[int, TimbreLike] = {}
    for key, wish in wishes.items():
        numbers = [ALL_OTHERS] if key == ALL_OTHERS else track_numbers(tracks, key)
        (by_name if isinstance(key, str) else by_number).update(dict.fromkeys(numbers, wish))
    return by_name | by_number


def _each(keys: TrackKeys) -> Iterable[int | str]:
    return (keys,) if isinstance(keys, int | str) else keys


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _names(tracks: Sequence[Track]) -> str:
    return ", ".join(f"{number} '{track.name}'" for number, track in enumerate(tracks, 1))
