"""From recordings to notes: files, streams and arrays give the same; emptiness is explained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.small_transcriber import small_transcriber_bundle
from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError
from timbrel.transcription.decoding import HeardNote, Thresholds
from timbrel.transcription.transcriber import NoteStream, Transcriber, thresholds_of

RATE = 16_000
AUDIO = (0.3 * np.random.default_rng(4).standard_normal(3 * RATE).clip(-2, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("models") / "small"
    # A network that has learnt nothing answers near a half: let it hear something.
    return small_transcriber_bundle(path, Thresholds(onset=0.3, frame=0.2, offset=0.9))


def test_a_file_a_stream_and_an_array_give_the_same_notes(bundle: Bundle, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", AUDIO, RATE, subtype="FLOAT")
    transcriber = Transcriber(bundle)
    whole = transcriber.transcribe_audio(AUDIO)
    assert len(whole.notes) > 20
    assert whole.duration_s == 3.0
    assert transcriber.transcribe(tmp_path / "a.wav") == whole
    stream = NoteStream(bundle)
    notes = [note for i in range(0, len(AUDIO), 777) for note in stream.push(AUDIO[i : i + 777])]
    found = [*notes, *stream.finish()]

    def is_among(a: HeardNote, others: Sequence[HeardNote]) -> bool:
        return any(
            a.pitch == b.pitch
            and abs(a.velocity - b.velocity) <= 1
            and abs(a.start_s - b.start_s) < 1e-4
            and abs(a.end_s - b.end_s) < 1e-4
            for b in others
        )

    # What lies at a threshold may fall to either side, as products of blocks are rounded.
    for some, others in ((found, whole.notes), (whole.notes, found)):
        assert np.mean([is_among(note, others) for note in some]) > 0.99
    assert all(0 <= note.confidence <= 1 and note.end_s > note.start_s for note in found)


def test_a_transcriber_can_be_used_again(bundle: Bundle) -> None:
    transcriber = Transcriber.load(bundle.path)
    assert transcriber.transcribe_audio(AUDIO) == transcriber.transcribe_audio(AUDIO)


def test_silence_and_what_holds_no_notes_are_explained(bundle: Bundle, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    found = Transcriber(bundle).transcribe(tmp_path / "silent.wav")
    assert (found.notes, found.duration_s) == ((), 1.0)
    assert found.remarks == ("is silent, so there are no notes",)
    deaf = small_transcriber_bundle(tmp_path / "deaf", Thresholds(onset=4.0))  # no sum is so large
    soundfile.write(tmp_path / "noise.wav", AUDIO, RATE)
    found = Transcriber(deaf).transcribe(tmp_path / "noise.wav")
    assert found.notes == ()
    assert found.remarks == ("nothing like notes was heard; is it speech, noise or drums?",)


def test_the_tuning_is_that_of_the_notes_that_are_not_bent(bundle: Bundle) -> None:
    found = Transcriber(bundle).transcribe_audio(AUDIO)
    steady = [note.cents for note in found.notes if not note.bend_cents]
    assert steady
    assert found.tuning_cents == pytest.approx(np.median(steady))


def test_other_models_and_other_thresholds_are_refused(bundle: Bundle, tiny_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="mel2mel"):
        NoteStream(tiny_bundle)
    with pytest.raises(InputError, match="mel2mel"):
        Transcriber.load(tiny_bundle.path)
    other = Bundle(bundle.path, {**bundle.config, "thresholds": {"volume": 1}})
    with pytest.raises(InputError, match="thresholds"):
        thresholds_of(other)


def test_transcribing_needs_no_pytorch(bundle: Bundle) -> None:
    code = (
        "import sys, numpy as np\n"
        "from timbrel.transcription.transcriber import Transcriber\n"
        f"Transcriber.load({str(bundle.path)!r}).transcribe_audio(np.zeros(4000, np.float32))\n"
        "print([name for name in ('torch', 'onnx', 'joblib') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
