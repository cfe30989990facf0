r"""Does audio without labels help a transcriber? Trains both arms of the experiment and compares.

    python tools/autoencoder_experiment.py MIDI_DIR -o FOLDER \
        --unlabelled-soundfont FluidR3_GM.sf2 --test-soundfont TimGM6mb.sf2

The scores of MIDI_DIR for training are halved: one half is played in the ten instruments by the
SoundFont that the shipped models learnt from, and keeps its labels; the other half is played by
another SoundFont, and only its audio is used. From the shipped transcriber, the recipe
recipes/autoencoder.yaml goes on with the cycle and, as the control, without it: as many steps, with
the same seed, on the same labelled clips. Both, and the shipped one, then hear the published test
excerpts as a third SoundFont plays them. What is there already in FOLDER is not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from timbrel.bundles.bundle import load_bundle
from timbrel.constants import DEFAULT_TRANSCRIBER, SMALL_MODEL
from timbrel.corpus.preparation import MANIFEST_FILE, prepare
from timbrel.corpus.selection import Amount, listed_splits, shuffle_key
from timbrel.errors import TimbrelError
from timbrel.evaluation.formatting import signed, table
from timbrel.evaluation.originals import choose_excerpts
from timbrel.evaluation.transcription import (
    Verdict,
    evaluate_transcription,
    rendered_takes,
    verdict_rows,
)
from timbrel.evaluation.transcription_tables import markdown, paired_difference
from timbrel.files import write_text
from timbrel.progress import shown
from timbrel.score.instruments import TEN_INSTRUMENTS
from timbrel.training.checkpoint import CHECKPOINT_FILE
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import read_recipe

RECIPE = Path(__file__).parents[1] / "recipes" / "autoencoder.yaml"
ARMS = {"control": 0.0, "cycle": None}  # and their weight of the cycle; None: the recipe's
COMPARED = (("cycle", "control"), ("control", DEFAULT_TRANSCRIBER), ("cycle", DEFAULT_TRANSCRIBER))
MEASURES = {
    "onset": "onset",
    "pitch": "onset and pitch",
    "offset": "onset, pitch and end",
    "velocity": "onset, pitch and velocity",
    "frame": "frames",
}
EXCERPT_S = 30.0  # of the training data
VALID_MINUTES = {"labelled": 1.0, "unlabelled": 0.5}
RATES = {"labelled": 16_000, "unlabelled": 48_000}


def main() -> None:
    """Prepare, train, measure, write results.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("midi", type=Path, metavar="MIDI_DIR")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--soundfont", default="/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
    parser.add_argument("--unlabelled-soundfont", required=True)
    parser.add_argument("--test-soundfont", required=True)
    parser.add_argument("--minutes-per-instrument", type=float, default=3.0)
    parser.add_argument("--unlabelled-minutes-per-instrument", type=float, default=1.5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--instrument",
        dest="instruments",
        action="append",
        choices=list(TEN_INSTRUMENTS),
        help="one that plays the test; all ten by default",
    )
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], help="a change of the recipe"
    )
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        if not all((given.output / name / MANIFEST_FILE).exists() for name in RATES):
            _prepare(given)
        bundles = [_trained(given, arm, weight) for arm, weight in ARMS.items()]
        verdicts = _measured(given, bundles)
    except TimbrelError as error:
        raise SystemExit(f"autoencoder_experiment.py: {error}") from None
    write_text(given.output / "results.json", json.dumps(verdict_rows(verdicts), indent=2) + "\n")
    tables = markdown(verdicts, ()) + "\n## Differences\n\n" + _differences(verdicts) + "\n"
    write_text(given.output / "results.md", tables)
    print(tables)


def _prepare(given: argparse.Namespace) -> None:
    """Play half of the scores with each of two SoundFonts."""
    splits = listed_splits(given.midi / "splits.csv")
    order = sorted(splits, key=lambda name: shuffle_key("unlabelled", name))
    fonts = {"labelled": given.soundfont, "unlabelled": given.unlabelled_soundfont}
    minutes = given.minutes_per_instrument, given.unlabelled_minutes_per_instrument
    for half, (name, soundfont) in enumerate(fonts.items()):
        rows = [
            f"{file},{splits[file]}\n"
            for number, file in enumerate([f for f in order if splits[f] in ("train", "valid")])
            if splits[file] == "valid" or number % 2 == half
        ]
        listed = given.output / f"{name}.csv"
        write_text(listed, "file,split\n" + "".join(rows))
        prepare(
            given.midi,
            given.output / name,
            soundfont=soundfont,
            instruments=TEN_INSTRUMENTS,
            splits=listed,
            amount=Amount(
                minutes_per_instrument=minutes[half],
                validation_minutes_per_instrument=VALID_MINUTES[name],
                excerpt_s=EXCERPT_S,
            ),
            sample_rate=RATES[name],
            jobs=given.jobs,
            progress=shown(quiet=False),
        )


def _trained(given: argparse.Namespace, arm: str, weight: float | None) -> Path:
    """Train an arm, and give its bundle."""
    run, bundle = given.output / f"run-{arm}", given.output / arm
    settings = [
        f"options.unlabelled={given.output / 'unlabelled' / 'audio'}",
        f"steps={given.steps}",
        f"decay_steps={given.steps // 3}",
        f"validate_every={given.steps}",
        f"seed={given.seed}",
        *given.settings,
        *([] if weight is None else [f"options.cycle_weight={weight}"]),
    ]
    if not bundle.exists():
        began, resume = time.monotonic(), (run / CHECKPOINT_FILE).exists()
        recipe = read_recipe(RECIPE, settings)
        train(recipe, given.output / "labelled", run, resume=resume, progress=shown(quiet=False))
        print(f"{arm}: {(time.monotonic() - began) / 60:.1f} minutes")
        export_run(run, bundle, name=arm)
    return bundle


def _measured(given: argparse.Namespace, bundles: Sequence[Path]) -> list[Verdict]:
    """What the arms and the shipped transcriber hear of the test excerpts."""
    takes = rendered_takes(
        given.midi,
        given.test_soundfont,
        choose_excerpts(given.midi),
        {name: TEN_INSTRUMENTS[name] for name in given.instruments or TEN_INSTRUMENTS},
        gain=load_bundle(SMALL_MODEL).gain,
    )
    models = [DEFAULT_TRANSCRIBER, *map(str, bundles)]
    verdicts, _ = evaluate_transcription(
        takes,
        models=models,
        others=(),
        cache=given.output / "cache",
        jobs=given.jobs,
        progress=shown(quiet=False),
    )
    return verdicts


def _differences(verdicts: Sequence[Verdict]) -> str:
    """How much more one hears than another, on the same tracks, with 95 % intervals."""
    rows = []
    for first, second in COMPARED:
        a, b = ([v for v in verdicts if v.transcriber == name] for name in (first, second))
        found = [signed(paired_difference(a, b, measure)) for measure in MEASURES]
        rows.append([f"{first} − {second}", *found])
    return table(["", *MEASURES.values()], rows)


if __name__ == "__main__":
    main()
