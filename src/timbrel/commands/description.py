"""`timbrel prepare --describe`: the contents of a data folder as a table."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from timbrel.corpus.description import Content, as_rows, describe, plot_contents
from timbrel.files import check_output
from timbrel.progress import shown
from timbrel.words import in_ranges

_HEADS = ("preset", "train", "valid", "etudes", "notes", "pitches", "velocities", "peak", "sound")
_LINE = "{:28} {:>7} {:>7} {:>6} {:>6} {:>7}  {:18} {:18} {:>5}  {}"


def print_description(
    folder: Path, plot: Path | None, *, as_json: bool, force: bool, quiet: bool
) -> None:
    """Print hours, pitches and velocities by instrument, and draw them where a file is named."""
    if plot is not None:
        check_output(plot, force=force)
    contents = describe(folder, progress=shown(quiet=quiet))
    if as_json:
        print(json.dumps(as_rows(contents), indent=2))
    else:
        _print_table(contents)
    if plot is not None:
        plot_contents(contents, plot)
        if not as_json:
            print(f"{plot}: drawn")


def _print_table(contents: list[Content]) -> None:
    print("Minutes of audio; lowest, quartiles and highest of pitches and velocities; silent keys.")
    print(_LINE.format("instrument", *_HEADS))
    for content, row in zip(contents, as_rows(contents), strict=True):
        sound = content.sound
        words = f"{sound.kind} ({sound.held_db:+.0f} dB)" if sound else ""
        if sound and sound.silent_keys:
            words += f", without {in_ranges(sound.silent_keys)}"
        print(
            _LINE.format(
                content.instrument,
                f"{content.bank}:{content.program}",
                *(f"{row[key]:.1f}" for key in ("train_minutes", "valid_minutes", "etude_minutes")),
                content.n_notes,
                *(_spread(row[key]) for key in ("pitch_quantiles", "velocity_quantiles")),
                f"{content.peak:.2f}",
                words,
            )
        )
    hours = {split: sum(c.seconds[split] for c in contents) / 3600 for split in ("train", "valid")}
    print(
        f"{len(contents)} instruments, {hours['train']:.2f} hours for training and "
        f"{hours['valid']:.2f} for validation, {sum(c.n_notes for c in contents)} notes"
    )
    kinds = Counter(content.sound.kind for content in contents if content.sound)
    if kinds:
        print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    clipped = {content.instrument: content.clipped for content in contents if content.clipped}
    for name, count in clipped.items():
        print(f"{name}: {count} samples are clipped")


def _spread(quantiles: object) -> str:
    return " ".join(map(str, quantiles)) if isinstance(quantiles, list) else ""
