"""What `timbrel timbres --from` does: hear the timbre of clips, say it, draw it, save it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrel.commands.recognise import described_instruments, instruments_in_words
from timbrel.errors import InputError, printable
from timbrel.progress import shown

if TYPE_CHECKING:
    from timbrel.bundles.bundle import Bundle
    from timbrel.hearing.from_audio import FoundTimbre

NAMED = 5  # of instruments that are named
# Sureness, from which on it is said in such words.
SURE_WORDS = ((0.75, "quite sure"), (0.5, "fairly sure"), (0.25, "unsure"), (0.0, "a guess"))
FAR = 1.0  # distances between neighbours, from which on a sound is unlike all instruments


def from_clips(
    clips: Sequence[Path],
    *,
    output: Path | None,
    plot: Path | None,
    model: str,
    encoder: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Hear the timbre of one instrument in some clips; nothing is written unless all is well."""
    from timbrel.bundles.bundle import load_bundle
    from timbrel.fitting.closer import CloserListener, find_timbre, model_of
    from timbrel.hearing.from_audio import TimbreEncoder
    from timbrel.timbre.timbre import save_timbre
    from timbrel.transcription.recording import look_into

    if plot is not None:  # before all work: what cannot be drawn
        from timbrel.pictures import new_figure

        new_figure(plot)
    mel2mel = load_bundle(model, kind="mel2mel") if model else None
    bundle = chosen_encoder(mel2mel, encoder)
    recordings = [look_into(clip) for clip in clips]
    listener = TimbreEncoder(bundle)
    progress = shown(quiet=quiet)
    plays = mel2mel or model_of(bundle)
    closer = None if plays is None else CloserListener(plays)
    found = find_timbre(listener, closer, recordings, progress=progress)
    names = [str(clip) for clip in clips]
    remarks = [f"{r.path}: {remark}" for r in recordings for remark in r.remarks]
    for remark in (*remarks, *found.remarks):
        print(printable(remark), file=sys.stderr)
    if plot is not None:
        from timbrel.hearing.plot import plot_found

        plot_found(found, bundle, plot)
    if output is not None:
        save_timbre(output, found.timbre())
    if as_json:
        described = _described(found, names, [*remarks, *found.remarks])
        print(json.dumps(described | ({"output": str(output)} if output else {}), indent=2))
        return
    for line in _in_words(found):
        print(printable(line))
    for path in (plot, output):
        if path is not None:
            print(f"{path}: saved")
    if output is not None:
        print(f"to play it: timbrel render SONG.mid --model {found.model} --timbre {output}")


def chosen_encoder(model: Bundle | None, encoder: str) -> Bundle:
    """The encoder that is asked for, if it speaks of the model's space."""
    from timbrel.bundles.bundle import load_bundle
    from timbrel.constants import DEFAULT_ENCODER
    from timbrel.hearing.from_audio import encoder_for, speaks_of
    from timbrel.hearing.sizes import KIND

    if model is None:
        return load_bundle(encoder or DEFAULT_ENCODER, kind=KIND)
    if not encoder:
        return encoder_for(model)
    bundle = load_bundle(encoder, kind=KIND)
    if not speaks_of(bundle, model):
        raise InputError(
            f"{encoder}: speaks of the timbres of {bundle.config['mel2mel']}, not of {model.name}"
        )
    return bundle


def _in_words(found: FoundTimbre) -> list[str]:
    point = ",".join(f"{value:.3f}" for value in found.point)
    words = next(word for least, word in SURE_WORDS if found.sureness >= least)
    distance = found.distance / found.neighbours
    lines = [
        f"nearest: {instruments_in_words(found.instruments, found.nothing, NAMED)}",
        f"sureness: {found.sureness:.0%} ({words})",
        f"distance from the nearest instrument: {distance:.1f} times that between neighbours",
        f"in the space of {found.model}: @{point}",
    ]
    if found.error_db is not None:
        lines.append(
            f"played there, the same notes differ by {found.error_db:.1f} dB from what was heard"
        )
    if distance > FAR:
        lines.insert(3, "no instrument of the model lies near: it will sound similar at best")
    return lines


def _described(found: FoundTimbre, names: Sequence[str], remarks: Sequence[str]) -> dict[str, Any]:
    return {
        "files": list(names),
        "model": found.model,
        "coordinates": list(found.point),
        "covariance": found.covariance.tolist(),
        "instruments": described_instruments(found.instruments[:NAMED]),
        "no_instrument": round(found.nothing, 4),
        "sureness": round(found.sureness, 4),
        "distance": round(found.distance, 4),
        "neighbour_distance": round(found.neighbours, 4),
        "error_db": None if found.error_db is None else round(found.error_db, 2),
        "remarks": list(remarks),
    }
