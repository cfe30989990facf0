"""Which timbre each track of a score gets: the one wished for, or the nearest instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from timbrel.bundles.bundle import Instrument
from timbrel.errors import InputError
from timbrel.render_options import ALL_OTHERS
from timbrel.score.score import Track
from timbrel.timbre.lookup import nearest_instrument
from timbrel.timbre.timbre import Timbre, as_timbre

if TYPE_CHECKING:
    from timbrel.render_options import Timbres
    from timbrel.timbre.timbre import TimbreLike


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
            chosen.append(as_timbre(wish, [i for i in instruments if i.is_kit == track.is_kit]))
    return chosen


def instrument_for(track: Track, instruments: Sequence[Instrument]) -> Instrument:
    """The model's instrument, or kit, that is nearest to a track's MIDI program."""
    alike = [instrument for instrument in instruments if instrument.is_kit == track.is_kit]
    return nearest_instrument(track.program, alike)


def _by_number(
    tracks: Sequence[Track], wishes: Mapping[int | str, TimbreLike]
) -> dict[int, TimbreLike]:
    """Wishes by the numbers of tracks; one that is given by a name yields to one by a number."""
    by_number: dict[int, TimbreLike] = {}
    for key, wish in wishes.items():
        if isinstance(key, str):
            numbers = [n for n, t in enumerate(tracks, 1) if _plain(t.name) == _plain(key)]
            if not numbers:
                raise InputError(f"there is no track '{key}'; the score has {_names(tracks)}")
            by_number |= dict.fromkeys(numbers, wish)
        elif not 0 <= key <= len(tracks):
            raise InputError(f"there is no track {key}; the score has {len(tracks)}")
    return by_number | {key: wish for key, wish in wishes.items() if not isinstance(key, str)}


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _names(tracks: Sequence[Track]) -> str:
    return ", ".join(f"{number} '{track.name}'" for number, track in enumerate(tracks, 1))
