"""What the words in a report's tables mean; the page links its headings to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from timbrel.evaluation.results import CORRELATION, JUDGED_FROM, PUBLISHED_ORDER
from timbrel.evaluation.tables import NOTES, SOUND
from timbrel.measures.correlation import N_CQT_BINS, SILENCE_DB
from timbrel.measures.notes_heard import OFFSET_RATIO, ONSET_TOLERANCE_S
from timbrel.measures.sound import CLICK_DEVIATIONS, HIGH_BAND_HZ, SPECTRAL_SCALES
from timbrel.measures.statistics import CONFIDENCE, N_DRAWS


@dataclass(frozen=True)
class Term:
    """A word, its definition, and the headings of columns that use it, beside the word itself."""

    name: str
    text: str
    headings: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return "term-" + re.sub(r"\W+", "-", self.name).strip("-")


def _of_sound(measure: str, text: str) -> Term:
    heading = SOUND[measure][0]
    return Term(re.sub(r", (dB|%)$", "", heading), text, (heading,))


_OCTAVES = tuple(f"C{octave}" for octave in range(1, N_CQT_BINS // 12 + 1))
_MS = f"{1000 * ONSET_TOLERANCE_S:g} ms"
_SCALES = ", ".join(map(str, SPECTRAL_SCALES))

GLOSSARY = (
    Term(
        "condition",
        "A way from the score to sound. *original*: FluidSynth's rendering, with which all others "
        "are compared. *µ-law only*: the original with 256 levels, the limit of a WaveNet that "
        "chooses among these. *true mel, VOCODER*: the vocoder on the original's mel spectrogram. "
        "*MODEL, VOCODER*: from the score, through the model and the vocoder.",
    ),
    Term(
        f"{CONFIDENCE:.0%} interval".replace("%", " %"),
        f"Middle {CONFIDENCE:.0%} of the means of {N_DRAWS} draws of the tracks with replacement "
        "(bootstrap; Efron 1979). The clips of one track, in all instruments, stay together. With "
        "one track there is none, and – is written.".replace("%", " %"),
        (f"{CONFIDENCE:.0%}".replace("%", " %"),),
    ),
    Term(
        "paired difference",
        "The first condition's mean minus the second's, with its interval from the same draws of "
        "tracks, so that tracks that are difficult for both do not hide it. An interval without 0 "
        "is a difference beyond chance.",
        ("difference (95 %)",),
    ),
    Term(
        "published order",
        f"The order in which listeners and the {CORRELATION} put the conditions in Kim et al., "
        f"“Neural Music Synthesis for Flexible Timbre Control” (2019): {PUBLISHED_ORDER}. Each row "
        "tests two neighbours by their paired difference.",
        ("better, as published", "worse", "found"),
    ),
    Term(
        CORRELATION,
        f"Pearson's correlation over time of the constant-Q spectra in dB, one for each of the "
        f"{N_CQT_BINS} semitones from C1, over the frames of all clips pooled. *mean*: over all "
        "semitones; *C1* to *C7*: over the octave from that note. 1 for identical clips. It "
        "captures what sounds when, and is blind to level (Kim et al. 2019).",
        ("mean", *_OCTAVES),
    ),
    _of_sound(
        "spectral_distance",
        f"For windows of {_SCALES} samples, the mean absolute differences of the magnitudes and of "
        "their natural logarithms, added up (Engel et al., DDSP, 2020). 0 for identical clips; it "
        "captures all differences in magnitude.",
    ),
    _of_sound(
        "level_error_db",
        "RMS level of the whole clip minus the original's. Above 0: louder than the original.",
    ),
    _of_sound(
        "energy_error_db",
        "Mean absolute difference of the levels of frames of 64 ms, where the original is less "
        f"than {SILENCE_DB:g} dB below its loudest frame. It captures loudness over time: soft "
        "attacks, notes that end early or ring on.",
    ),
    _of_sound(
        "centroid_error",
        "Mean absolute error of the spectral centroid (the mean frequency weighted by magnitude), "
        "as a share of the original's. It captures brightness (Grey and Gordon 1978).",
    ),
    _of_sound(
        "flatness_error_db",
        f"Mean absolute difference of the spectral flatness above {HIGH_BAND_HZ / 1000:g} kHz (the "
        "geometric mean of the powers over their arithmetic mean; Gray and Markel 1974), in either "
        "direction.",
    ),
    _of_sound(
        "flatness_bias_db",
        "The same with its sign: above 0 where the synthesis hisses more than the original, below "
        "0 where it buzzes more.",
    ),
    _of_sound(
        "silence_floor_db",
        "Level of the synthesis where the original is below −80 dB. –: it never is.",
    ),
    _of_sound(
        "clicks_per_minute",
        "Samples that linear prediction from those before misses by more than "
        f"{CLICK_DEVIATIONS:g} median absolute deviations (Godsill and Rayner 1998). Attacks of "
        "notes count, too: compare with the original's.",
    ),
    Term(
        "sound of silence",
        "Level of what the vocoder makes of two seconds of a silent mel spectrogram; −100 dB is "
        "the lowest that is measured.",
        ("of silence, dB",),
    ),
    Term(
        NOTES["onset"],
        "F1 (harmonic mean of precision and recall) of the notes that a transcriber finds in the "
        f"sound: a note is right if it begins within {_MS} of one in the score (MIREX; mir_eval). "
        "Compare with the original's: no transcriber is perfect.",
    ),
    Term(NOTES["pitch"], "The same F1, where the pitch has to be right, too."),
    Term(
        NOTES["offset"],
        f"The same F1, where the end has to be right, too: within {OFFSET_RATIO:.0%} of the note's "
        f"length or {_MS}.".replace("%", " %"),
    ),
    Term(
        "share of the original's F1",
        "F1 of onset and pitch divided by the original's, over the instruments that the "
        f"transcriber understands: whose originals reach {JUDGED_FROM:g}.",
        ("of the original's, %",),
    ),
    Term(
        "log-mel correlation",
        "Pearson's correlation of the model's mel spectrogram in dB with the original's, over all "
        "frames above silence and all bins, without a vocoder.",
        ("correlation",),
    ),
    Term(
        "centred correlation",
        "The same after the mean of each bin is taken off either spectrogram, so that an "
        "instrument's average spectrum earns nothing.",
    ),
    Term(
        "log-mel error",
        "Mean absolute difference of the two mel spectrograms.",
        ("error, dB",),
    ),
    Term(
        "bin means",
        "The measure in the column before it, of a predictor that knows the mean of each bin and "
        "nothing else: what a model has to surpass.",
        ("(bin means)",),
    ),
)

_BY_WORD = {word: term for term in GLOSSARY for word in (term.name, *term.headings)}


def find_term(word: str) -> Term | None:
    """The term of a name or of a column's heading; None where it needs none."""
    return _BY_WORD.get(word)
