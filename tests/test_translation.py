"""Recordings in other timbres, with the shipped models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import EXAMPLES
from timbrel.constants import SMALL_MODEL
from timbrel.errors import InputError
from timbrel.hearing.from_audio import TimbreEncoder
from timbrel.kept_timbre import TimbreKeeper
from timbrel.level_contour import contour_of
from timbrel.loudness import LoudnessMeter
from timbrel.mastering import mastered
from timbrel.measures.transcription import transcription_scores
from timbrel.score.midi import read_midi
from timbrel.synthesizer import Synthesizer
from timbrel.transcription.heard import note_rows
from timbrel.transcription.recording import look_into
from timbrel.transcription.transcriber import Transcriber
from timbrel.translation import Translator


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(Synthesizer.load(SMALL_MODEL, threads=1), Transcriber.load())


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of the prelude on a harp, which swell and fade."""
    synthesizer = Synthesizer.load(SMALL_MODEL, threads=1)
    audio = synthesizer.render(
        EXAMPLES / "prelude.mid", timbre="harp", duration_s=6.0, loudness_lufs=-24.0
    )
    swell = 0.3 + 0.7 * np.sin(np.linspace(0, np.pi, len(audio))) ** 2
    path = tmp_path_factory.mktemp("recordings") / "harp.wav"
    soundfile.write(path, audio * swell[:, None].astype(np.float32), synthesizer.sample_rate)
    return path


def test_the_same_notes_are_as_loud_in_another_timbre(
    translator: Translator, recording: Path, tmp_path: Path
) -> None:
    found = translator.translate(recording, timbre="vibraphone", dry=True)
    stream = found.stream
    assert {timbre.name for timbre in stream.timbres if timbre} == {"vibraphone"}
    blocks = [block.mix for block in stream]
    audio = np.concatenate(blocks)
    assert len(blocks) == stream.n_blocks
    assert audio.shape == (stream.length, 2)
    # Its level is the recording's, all the way.
    given, _ = soundfile.read(recording, dtype="float32")
    heard, wanted = (contour_of([sound], stream.sample_rate) for sound in (audio, given))
    loud = wanted[:100] > wanted.max() - 25
    assert np.std((heard[:100] - wanted[:100])[loud]) < 1.5
    # Its notes are the recording's.
    soundfile.write(tmp_path / "again.wav", audio, stream.sample_rate)
    again = Transcriber.load().transcribe(tmp_path / "again.wav")
    notes = read_midi(EXAMPLES / "prelude.mid").notes
    played = np.array([(n.start_s, n.end_s, n.pitch, n.velocity) for n in notes if n.start_s < 6])
    assert transcription_scores(played, note_rows(again.notes), 6.0).pitch > 0.8


def test_the_loudness_is_the_recordings_or_the_one_asked_for(
    translator: Translator, recording: Path
) -> None:
    given, rate = soundfile.read(recording, dtype="float32")
    meter = LoudnessMeter(rate, 2)
    meter.add(given)
    found = translator.translate(recording, timbre="trumpet")
    assert found.loudness.integrated_lufs == pytest.approx(meter.measured.integrated_lufs, abs=1)
    assert found.stream.loudness_lufs == found.loudness.integrated_lufs
    assert translator.translate(recording, timbre="trumpet", gain_db=3.0).stream.gain_db == 3.0
    louder = translator.translate(recording, timbre="trumpet", loudness_lufs=-16.0).stream
    assert louder.loudness_lufs == -16.0
    mix = np.concatenate(list(mastered((b.mix for b in louder.unmastered()), rate, 2, gain_db=0)))
    assert np.isfinite(mix).all()


def test_an_excerpt_is_that_of_the_whole(translator: Translator, recording: Path) -> None:
    options = {"timbre": "harp", "dry": True, "gain_db": 0.0}
    whole, part = (
        np.concatenate([b.mix for b in translator.translate(recording, **options, **cut).stream])
        for cut in ({}, {"start_s": 2.0, "duration_s": 2.0})
    )
    rate = translator.translate(recording, **options).stream.sample_rate
    assert len(part) == 2 * rate
    assert part[rate // 2 : -rate // 2] == pytest.approx(
        whole[round(2.5 * rate) : round(3.5 * rate)], abs=2e-3
    )


def test_its_own_timbre_is_found_and_kept(recording: Path) -> None:
    synthesizer = Synthesizer.load("mel2mel-studio", threads=1)
    keeper = TimbreKeeper(TimbreEncoder.load(), synthesizer.model)
    heard = Transcriber.load().transcribe(recording)
    kept = keeper.timbre_of(look_into(recording), heard)
    harp = next(one for one in synthesizer.instruments if one.name == "Orchestral Harp")
    others = [one for one in synthesizer.instruments if not one.is_kit and one is not harp]
    place = np.array(kept.timbre.points[0])
    distance = np.linalg.norm(place - harp.embedding)
    assert distance < np.median([np.linalg.norm(place - one.embedding) for one in others])
    translator = Translator(synthesizer, Transcriber.load(), keeper)
    found = translator.translate(recording, dry=True, duration_s=1.0)
    assert found.kept is not None
    assert found.kept.timbre == kept.timbre == found.stream.timbres[0]
    with pytest.raises(InputError, match="timbre is kept"):
        translator.translate(recording, timbre="trumpet")


def test_what_has_no_notes_or_stems_is_refused(
    translator: Translator, recording: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(32_000), 16_000)
    with pytest.raises(InputError, match=r"silent\.wav: is silent"):
        translator.translate(tmp_path / "silent.wav", timbre="harp")
    with pytest.raises(InputError, match="no stems"):
        translator.translate(recording, timbre="harp", stems=True)
    with pytest.raises(InputError, match="no instrument"):
        translator.translate(recording, timbre="kazoo-o-phone")
