"""Evaluations: a small random model, Griffin-Lim, the bundled tunes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES, EXCERPTS, FRAME_RATE, INSTRUMENTS
from timbrel.bundles.bundle import Bundle
from timbrel.errors import InputError, MissingToolError, OutputError
from timbrel.evaluation import conditions, judges, measuring, originals
from timbrel.evaluation.cache import Cache
from timbrel.evaluation.conditions import MU_LAW, ORIGINAL, synthesised_mel
from timbrel.evaluation.originals import Clip, Excerpt, Original, render_original
from timbrel.evaluation.results import CORRELATION
from timbrel.evaluation.run import Evaluation, evaluate
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.score.piano_roll import PianoRoll
from timbrel.vocoder import parallel
from timbrel.vocoder.parallel_export import write_parallel_bundle

CONDITIONS = [ORIGINAL, MU_LAW, "true mel, griffin-lim", "tiny, griffin-lim"]


def small_bundle(folder: Path, *, seed: int = 0, **changes: object) -> str:
    """A bundle of one instrument."""
    given = {
        "name": folder.name,
        "mel": MelConfig(),
        "gain": 0.5,
        "instruments": {"harp": 46},
        "license": "CC0",
        "attribution": "",
        "training": {},
        **changes,
    }
    torch.manual_seed(seed)
    write_mel2mel_bundle(Mel2Mel(Mel2MelConfig(n_instruments=1, hidden_size=4)), folder, **given)
    return str(folder)


def with_originals(evaluation: Evaluation, folder: Path) -> Path:
    """A new cache that holds the originals of another evaluation, and nothing else."""
    for work in evaluation.works.values():
        path = Cache(folder).path("audio", work.clip.key, ".flac")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(work.cache.path("audio", work.clip.key, ".flac"), path)
    return folder


def forbid(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
    """Let a test fail where a function is called."""

    def called(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(module, name, called)


def test_each_condition_is_measured_for_each_clip(evaluation: Evaluation) -> None:
    found = evaluation.results
    assert found.instruments == INSTRUMENTS
    assert found.excerpts == EXCERPTS
    assert [condition.name for condition in found.conditions] == CONDITIONS
    assert found.judges == ["basic-pitch", "madmom", "timbrel"]
    assert found.silent == found.skipped == []
    for name in CONDITIONS:
        assert found.sums[name].shape == (2, 2, 6, 84)
        # Frames of the constant-Q transform, one every 512 samples.
        n_samples = [round(excerpt.duration_s * 125) * 128 for excerpt in EXCERPTS]
        frames = [1 + n // 512 for n in n_samples]
        np.testing.assert_array_equal(found.sums[name][:, :, 0, 0].T, [frames, frames])
    for measure, by_condition in found.values.items():
        assert list(by_condition) == CONDITIONS, measure
        assert all(table.shape == (2, 2) for table in by_condition.values())
    assert list(found.log_mel) == ["tiny"]
    assert list(found.log_mel["tiny"]) == INSTRUMENTS
    assert found.settings["judges"][0].startswith("basic-pitch 0.")


def test_conditions_are_as_good_as_they_should_be(evaluation: Evaluation) -> None:
    found = evaluation.results
    original, mu_law, true_mel, random_model = (found.pooled(name).mean() for name in CONDITIONS)
    assert original == pytest.approx(1)
    assert 0.9 < mu_law < 1
    assert 0.5 < true_mel < mu_law
    assert random_model < true_mel - 0.2
    for measures in found.log_mel["tiny"].values():
        assert abs(measures.centred_correlation) < 0.9
        assert measures.error_db > measures.mean_error_db > 0
        assert measures.n_frames <= round(2.203 * 125) + 250
    for measure in ("spectral_distance", "level_error_db", "energy_error_db", "centroid_error"):
        assert np.all(found.values[measure][ORIGINAL] == 0)
        errors = [np.abs(found.values[measure][name]).mean() for name in CONDITIONS[1:]]
        assert errors[0] < errors[2], measure
        assert errors[1] < errors[2], measure
    heard = found.values["basic-pitch pitch"]
    assert heard[ORIGINAL].mean() > 0.5
    assert heard["tiny, griffin-lim"].mean() < heard["true mel, griffin-lim"].mean()
    assert found.silence_db == {"griffin-lim": -100}


def test_what_is_finished_is_not_made_again(
    tiny_bundle: Bundle,
    soundfont: Path,
    evaluation: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module, name in (
        (originals, "render_score"),
        (measuring, "sound_measures"),
        (measuring, "log_cqt"),
        (measuring, "note_scores"),
        (conditions, "synthesised_mel"),
    ):
        forbid(monkeypatch, module, name)
    again = evaluate(
        EXAMPLES,
        soundfont,
        EXCERPTS,
        models=[str(tiny_bundle.path)],
        vocoders=["griffin-lim"],
        instruments=INSTRUMENTS,
        cache=next(iter(evaluation.works.values())).cache.folder,
        jobs=1,
    )
    assert again.results.as_dict() == evaluation.results.as_dict()


def test_interrupted_run_goes_on(
    evaluation: Evaluation, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(judges: tuple[str, ...] = ()) -> Evaluation:
        return evaluate(
            EXAMPLES,
            soundfont,
            EXCERPTS,
            models=[str(tmp_path / "harp")],
            vocoders=["griffin-lim"],
            judges=judges,
            cache=cache,
            jobs=1,
        )

    cache = with_originals(evaluation, tmp_path / "cache")
    small_bundle(tmp_path / "harp")
    measured = []
    original_measures = measuring.sound_measures

    def interrupted(*arguments: np.ndarray) -> object:
        if len(measured) == 5:
            raise KeyboardInterrupt
        measured.append(1)
        return original_measures(*arguments)

    monkeypatch.setattr(measuring, "sound_measures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        some()
    monkeypatch.setattr(measuring, "sound_measures", original_measures)
    count = []
    monkeypatch.setattr(
        measuring, "sound_measures", lambda *a: count.append(1) or original_measures(*a)
    )
    some()
    assert len(count) == 2 * 4 - 5
    # A judge that comes later listens to what is there.
    forbid(monkeypatch, measuring, "sound_measures")
    forbid(monkeypatch, originals, "render_score")
    assert some(("madmom",)).results.judges == ["madmom"]


def test_other_weights_under_the_same_name_are_measured_anew(
    evaluation: Evaluation, soundfont: Path, tmp_path: Path
) -> None:
    cache = with_originals(evaluation, tmp_path / "cache")

    def mean(seed: int) -> float:
        folder = tmp_path / str(seed) / "harp"
        folder.parent.mkdir()
        model = small_bundle(folder, seed=seed)
        found = evaluate(
            EXAMPLES,
            soundfont,
            EXCERPTS[:1],
            models=[model],
            vocoders=["griffin-lim"],
            judges=(),
            cache=cache,
            jobs=1,
        )
        return found.results.estimate("spectral_distance", "harp, griffin-lim").mean

    assert mean(1) != mean(2)


def small_vocoder(folder: Path) -> str:
    """An untrained vocoder that knows the score."""
    torch.manual_seed(0)
    config = parallel.ParallelVocoderConfig(width=8, n_blocks=1, lookahead=3)
    write_parallel_bundle(
        parallel.ParallelVocoder(config),
        folder,
        name=folder.name,
        mel=MelConfig(),
        gain=0.5,
        license="CC0",
        attribution="",
        training={},
    )
    return str(folder)


def test_vocoders_can_be_folders(evaluation: Evaluation, soundfont: Path, tmp_path: Path) -> None:
    options = {
        "models": [small_bundle(tmp_path / "harp")],
        "judges": (),
        "cache": with_originals(evaluation, tmp_path / "cache"),
        "jobs": 1,
    }
    own = small_vocoder(tmp_path / "own")
    found = evaluate(
        EXAMPLES, soundfont, EXCERPTS[:1], vocoders=[own, "griffin-lim"], **options
    ).results
    assert [condition.name for condition in found.conditions[2:]] == [
        "true mel, own",
        "true mel, griffin-lim",
        "harp, own",
        "harp, griffin-lim",
    ]
    means = [found.pooled(condition.name).mean() for condition in found.syntheses]
    assert len(set(means)) == 5
    assert list(found.silence_db) == ["own", "griffin-lim"]
    (tmp_path / "other").mkdir()
    other = small_vocoder(tmp_path / "other" / "own")
    with pytest.raises(InputError, match="two of the vocoders have the same name"):
        evaluate(EXAMPLES, soundfont, EXCERPTS[:1], vocoders=[own, other], **options)


@pytest.mark.parametrize("duration_s", [1.203, 1.0, 0.9])
def test_synthesised_mel_lies_under_the_true_one(
    duration_s: float, tiny_bundle: Bundle, soundfont: Path, evaluation: Evaluation
) -> None:
    """Its roll strikes where the original does, whatever the excerpt's length."""
    excerpt = Excerpt("duet.mid", 1.5, duration_s)
    midi, instrument = EXAMPLES / "duet.mid", tiny_bundle.instruments[0]
    clip = Clip(midi, excerpt, instrument, soundfont, MelConfig(), 0.5)
    cache = next(iter(evaluation.works.values())).cache
    original = render_original(clip, cache)
    mel = synthesised_mel(tiny_bundle, original)
    n_true = len(original.audio) // 128
    assert mel.shape == (187 + n_true, 80)  # 187 whole frames are in 1.5 s
    roll = PianoRoll(original.score.notes, FRAME_RATE)
    onsets = np.flatnonzero(roll.window(187, 187 + n_true)[:, 88:].any(axis=1))
    loudness = np.abs(original.audio).reshape(-1, 128).max(axis=1)
    assert len(onsets) > 1
    for onset in onsets:
        if 5 <= onset < n_true - 5:
            assert loudness[onset : onset + 5].max() > loudness[onset - 3 : onset].max()


def test_perfect_model_is_as_good_as_the_true_mel(
    evaluation: Evaluation, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that gives the true mel after its pre-roll: both are cut where the excerpt begins."""

    def perfect(_: Bundle, original: Original) -> np.ndarray:
        pre_roll = np.full((187, 80), np.log(1e-5), np.float32)
        return np.concatenate([pre_roll, mel_spectrogram(original.audio)])

    monkeypatch.setattr(conditions, "synthesised_mel", perfect)
    found = evaluate(
        EXAMPLES,
        soundfont,
        EXCERPTS[:1],
        models=[small_bundle(tmp_path / "harp")],
        vocoders=["griffin-lim"],
        judges=(),
        cache=with_originals(evaluation, tmp_path / "cache"),
        jobs=1,
    ).results
    # But for the half precision that mels are kept in.
    assert found.log_mel["harp"]["harp"].error_db < 0.03
    true_mel = found.pooled("true mel, griffin-lim").mean()
    assert found.pooled("harp, griffin-lim").mean() == pytest.approx(true_mel, abs=0.05)


def test_vocoders_get_the_score_where_the_mel_begins(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the true mel the score begins with the excerpt, for a model's with its pre-roll."""
    rolls = {}

    class Listening:
        def stream(self, given: list[PianoRoll]) -> Listening:
            rolls[len(rolls)] = given[0]
            return self

        def process(self, mel: np.ndarray, *, last: bool) -> np.ndarray:
            assert last
            return np.zeros((1, 128 * mel.shape[1]), np.float32)

    monkeypatch.setattr(conditions, "_vocoder", lambda *_: Listening())
    (excerpt, _), work = next(iter(evaluation.works.items()))
    maker = conditions.Maker(render_original(work.clip, work.cache), work.cache)
    true_mel, model = evaluation.results.conditions[2:]
    assert len(maker._made(true_mel)) == len(maker._made(model)) == 275 * 128
    played = read_midi(work.clip.midi).notes
    for roll, begin_s in ((rolls[0], excerpt.start_s), (rolls[1], 0.004)):
        struck = sorted(note.start_s - begin_s for note in played if note.start_s >= begin_s)
        after = roll.notes[roll.notes[:, 0] >= 0, 0]
        np.testing.assert_allclose(after[:4], struck[:4], atol=1e-6)


def test_silent_clips_are_left_out_and_listed(
    tiny_bundle: Bundle, soundfont: Path, tmp_path: Path
) -> None:
    """MuseScore's church organ has nothing above the pitch 96."""
    import mido

    track = mido.MidiTrack()
    for pitch in (100, 101):
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=240))
        track.append(mido.Message("note_off", note=pitch, time=960))
    mido.MidiFile(tracks=[track]).save(tmp_path / "high.mid")
    excerpt = Excerpt("high.mid", 0, 1.5)
    options = {"vocoders": [], "judges": (), "cache": tmp_path / "cache", "jobs": 1}
    models = [str(tiny_bundle.path)]
    found = evaluate(
        tmp_path,
        soundfont,
        [excerpt],
        models=models,
        instruments=["church organ", "trumpet"],
        **options,
    )
    assert found.results.silent == [(excerpt, "church organ")]
    assert list(found.works) == [(excerpt, "trumpet")]
    assert np.isnan(found.results.values["level_error_db"][MU_LAW][0, 0])
    assert found.results.pooled(MU_LAW).mean() > 0.5
    assert [row["instrument"] for row in found.results.rows()] == ["trumpet"] * 2
    assert found.results.as_dict()["left_out"][0]["instrument"] == "church organ"
    with pytest.raises(InputError, match="plays none of the excerpts audibly"):
        evaluate(
            tmp_path, soundfont, [excerpt], models=models, instruments=["church organ"], **options
        )


def test_judges_that_are_not_installed_are_left_out(
    evaluation: Evaluation, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise MissingToolError(f"the judge {name} is left out, as it is not installed")

    monkeypatch.setattr(judges, "load_judge", missing)
    found = evaluate(
        EXAMPLES,
        soundfont,
        EXCERPTS[:1],
        models=[small_bundle(tmp_path / "harp")],
        vocoders=[],
        cache=with_originals(evaluation, tmp_path / "cache"),
        jobs=1,
    ).results
    assert found.judges == []
    assert [words.split(" is left")[0] for words in found.skipped] == [
        "the judge basic-pitch",
        "the judge madmom",
        "the judge timbrel",
    ]
    assert not [measure for measure in found.values if "pitch" in measure]


def test_what_cannot_be_compared_is_refused(
    tiny_bundle: Bundle, soundfont: Path, tmp_path: Path
) -> None:
    def refused(
        models: list[str], vocoders: tuple[str, ...] = ("griffin-lim",), **more: object
    ) -> None:
        options = {"cache": tmp_path / "cache", "jobs": 1, **more}
        evaluate(EXAMPLES, soundfont, EXCERPTS, models=models, vocoders=list(vocoders), **options)

    tiny = str(tiny_bundle.path)
    harp = small_bundle(tmp_path / "harp")
    with pytest.raises(InputError, match="there is no model to measure"):
        refused([])
    with pytest.raises(InputError, match=r"there is no vocoder 'magic'; known: .*griffin-lim"):
        refused([tiny], vocoders=("magic",))
    with pytest.raises(InputError, match=r"harp: was trained on other data than .*tiny"):
        refused([tiny, harp])
    louder = small_bundle(tmp_path / "louder", gain=0.7)
    with pytest.raises(InputError, match=r"louder: was trained on other data than .*harp"):
        refused([harp, louder])
    with pytest.raises(InputError, match="two of the models have the same name"):
        refused([harp, small_bundle(tmp_path / "again", name="harp")])
    fast = MelConfig(sample_rate=48_000, hop_length=384)
    with pytest.raises(InputError, match="sound of 48000 Hz; the measures are defined at 16000"):
        refused([small_bundle(tmp_path / "fast", mel=fast)])
    with pytest.raises(InputError, match="is neither a bundle's folder nor a shipped model"):
        refused(["none"])
    with pytest.raises(InputError, match="jobs must be 1 or more"):
        refused([tiny], jobs=0)
    with pytest.raises(InputError, match="there is no instrument 'kazoo'"):
        refused([tiny], instruments=["kazoo"])
    with pytest.raises(InputError, match="there is no judge 'me'; known: basic-pitch, madmom"):
        refused([tiny], judges=["me"])
    assert not (tmp_path / "cache").exists()


def test_cache_that_cannot_be_written_is_named(
    tiny_bundle: Bundle, soundfont: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(OutputError, match="cache: cannot be written"):
        evaluate(
            EXAMPLES,
            soundfont,
            EXCERPTS,
            models=[str(tiny_bundle.path)],
            vocoders=[],
            cache=tmp_path / "cache",
            jobs=1,
        )


def test_missing_soundfont_and_fluidsynth_are_named(
    tiny_bundle: Bundle, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"models": [str(tiny_bundle.path)], "vocoders": [], "cache": tmp_path}
    with pytest.raises(MissingToolError, match="there is no such SoundFont"):
        evaluate(EXAMPLES, tmp_path / "none.sf2", EXCERPTS, **given)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="fluidsynth is not installed"):
        evaluate(EXAMPLES, soundfont, EXCERPTS, **given)


def test_mu_law_row_lies_beside_the_published_one(
    soundfont: Path, corpus: Path, tmp_path: Path
) -> None:
    """Published .979. Two of the 14 tracks, in two instruments, at the frozen gain."""
    found = evaluate(
        corpus,
        soundfont,
        originals.read_excerpts()[::9],
        models=["mel2mel"],
        vocoders=[],
        instruments=["grand piano", "harp"],
        judges=(),
        cache=tmp_path,
        jobs=1,
    ).results
    assert found.estimate(CORRELATION, MU_LAW).mean == pytest.approx(0.979, abs=0.03)
