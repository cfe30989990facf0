"""`timbrel evaluate`: one excerpt, a small random model, Griffin-Lim."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES
from timbrel.bundle import Bundle, Instrument
from timbrel.errors import InputError, MissingToolError
from timbrel.evaluation import originals
from timbrel.evaluation.originals import Excerpt, Original, render_original
from timbrel.evaluation.report import (
    MU_LAW,
    PUBLISHED,
    Report,
    evaluate,
    markdown,
    synthesised_mel,
    write_report,
)
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig
from timbrel.mel.spectrogram import MelConfig, mel_spectrogram
from timbrel.score.piano_roll import PianoRoll

CONDITIONS = [MU_LAW, "true mel, griffin-lim", "tiny, griffin-lim"]


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of one excerpt, of no whole number of the frames of either transform."""
    path = tmp_path_factory.mktemp("excerpts") / "excerpts.csv"
    path.write_text("file,start_s,duration_s\nduet.mid,1.5,1.203\n")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def found(tiny_bundle: Bundle, soundfont: Path, excerpts: Path, cache: Path) -> Report:
    return evaluate(
        EXAMPLES,
        soundfont,
        models=[str(tiny_bundle.path)],
        vocoders=["griffin-lim"],
        cache=cache,
        excerpts=excerpts,
        jobs=1,
    )


def small_bundle(folder: Path, **changes: object) -> str:
    """A bundle of one instrument, for what is refused before anything is measured."""
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
    torch.manual_seed(0)
    write_mel2mel_bundle(Mel2Mel(Mel2MelConfig(n_instruments=1, hidden_size=4)), folder, **given)
    return str(folder)


def test_each_condition_is_measured_for_each_instrument(found: Report, tiny_bundle: Bundle) -> None:
    names = [instrument.name for instrument in tiny_bundle.instruments]
    assert found.instruments == names
    assert found.n_excerpts == 1
    assert list(found.log_cqt) == CONDITIONS
    for by_instrument in found.log_cqt.values():
        assert list(by_instrument) == names
    assert list(found.log_mel) == ["tiny"]
    assert list(found.log_mel["tiny"]) == names


def test_conditions_are_as_good_as_they_should_be(found: Report) -> None:
    mu_law, true_mel, random_model = (found.pooled(condition).mean() for condition in CONDITIONS)
    assert 0.9 < mu_law < 1
    assert 0.5 < true_mel < mu_law
    assert random_model < true_mel - 0.2
    for measures in found.log_mel["tiny"].values():
        assert abs(measures.centred_correlation) < 0.9
        assert measures.error_db > measures.mean_error_db > 0
        assert measures.n_frames <= round(1.203 * 125)


def test_dictionary_has_all_the_numbers(found: Report) -> None:
    content = found.as_dict()
    assert list(content) == ["instruments", "excerpts", "log_mel", "log_cqt_correlation"]
    assert content["excerpts"] == 1
    row = content["log_cqt_correlation"][MU_LAW]
    assert list(row) == ["mean", "octaves", "instruments"]
    assert len(row["octaves"]) == 7
    assert np.mean(row["octaves"]) == pytest.approx(row["mean"])
    assert list(row["instruments"]) == found.instruments
    assert list(content["log_mel"]["tiny"]["harp"]) == [
        "correlation",
        "centred_correlation",
        "error_db",
        "mean_correlation",
        "mean_error_db",
        "n_frames",
    ]
    assert json.loads(json.dumps(content)) == content


def test_tables_hold_the_measured_and_the_published_rows(found: Report) -> None:
    text = markdown(found)
    assert "1 excerpts × 10 instruments" in text
    lines = text.splitlines()
    pooled = found.pooled("true mel, griffin-lim")
    cells = [pooled.mean(), *pooled.by_octave()]
    assert ("| true mel, griffin-lim |" + "".join(f" {value:.3f} |" for value in cells)) in lines
    assert len(PUBLISHED) == 5
    assert (
        "| *published:* true mel, WaveNet | 0.854 | 0.744 | 0.794 | 0.846 | 0.887 | 0.907 | 0.910 "
        "| 0.891 |"
    ) in lines
    assert (
        "| *published:* tanh-log-abs, WaveNet | 0.754 | 0.626 | 0.697 | 0.745 | 0.771 | 0.789 "
        "| 0.820 | 0.832 |"
    ) in lines
    for condition in PUBLISHED:
        assert sum(line.startswith(f"| *published:* {condition} |") for line in lines) == 1
    harp = found.log_mel["tiny"]["harp"]
    assert (
        f"| harp | {harp.centred_correlation:.3f} | {harp.correlation:.3f} | "
        f"{harp.mean_correlation:.3f} | {harp.error_db:.2f} | {harp.mean_error_db:.2f} |"
    ) in lines
    errors = [measures.error_db for measures in found.log_mel["tiny"].values()]
    (mean_row,) = (line for line in lines if line.startswith("| **mean** |"))
    assert f" {np.mean(errors):.2f} |" in mean_row
    # Each table is whole: its rows have as many cells as its head.
    for line, below in itertools.pairwise(lines):
        if line.startswith("|") and below.startswith("|"):
            assert line.count("|") == below.count("|")


def test_report_is_written(found: Report, tmp_path: Path) -> None:
    write_report(found, tmp_path / "new" / "docs")
    assert json.loads((tmp_path / "new/docs/results.json").read_text()) == found.as_dict()
    assert (tmp_path / "new/docs/results.md").read_text() == markdown(found)
    write_report(found, tmp_path / "new" / "docs")
    assert len(list((tmp_path / "new/docs").iterdir())) == 2


@pytest.mark.usefixtures("found")
def test_originals_are_taken_from_the_cache(
    tiny_bundle: Bundle, soundfont: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("rendered again")

    assert len(list(cache.iterdir())) == 10
    monkeypatch.setattr(originals, "render_score", again)
    for instrument in tiny_bundle.instruments:
        render_original(
            EXAMPLES,
            Excerpt("duet.mid", 1.5, 1.203),
            instrument,
            soundfont,
            sample_rate=16_000,
            gain=tiny_bundle.gain,
            cache=cache,
        )


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("duration_s", [1.203, 1.0, 0.9])
def test_synthesised_mel_lies_under_the_true_one(
    duration_s: float, tiny_bundle: Bundle, soundfont: Path, tmp_path: Path
) -> None:
    """Its roll strikes where the original does, whatever the excerpt's length."""
    original = render_original(
        EXAMPLES,
        Excerpt("duet.mid", 1.5, duration_s),
        tiny_bundle.instruments[0],
        soundfont,
        sample_rate=16_000,
        gain=0.5,
        cache=tmp_path,
    )
    roll, mel = synthesised_mel(tiny_bundle, tiny_bundle.instruments[0], original)
    n_true = len(original.audio) // 128
    assert mel.shape == (187 + n_true, 80)  # 187 whole frames are in 1.5 s
    onsets = np.flatnonzero(roll.window(187, 187 + n_true)[:, 88:].any(axis=1))
    loudness = np.abs(original.audio).reshape(-1, 128).max(axis=1)
    assert len(onsets) > 1
    for onset in onsets:
        if 5 <= onset < n_true - 5:
            assert loudness[onset : onset + 5].max() > loudness[onset - 3 : onset].max()


def test_perfect_model_is_as_good_as_the_true_mel(
    soundfont: Path, excerpts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that gives the true mel after its pre-roll: both are cut where the excerpt begins."""

    def perfect(_: Bundle, __: Instrument, original: Original) -> tuple[PianoRoll, np.ndarray]:
        pre_roll = np.full((187, 80), np.log(1e-5), np.float32)
        return PianoRoll([]), np.concatenate([pre_roll, mel_spectrogram(original.audio)])

    monkeypatch.setattr("timbrel.evaluation.report.synthesised_mel", perfect)
    found = evaluate(
        EXAMPLES,
        soundfont,
        models=[small_bundle(tmp_path / "harp")],
        vocoders=["griffin-lim"],
        cache=tmp_path / "cache",
        excerpts=excerpts,
        jobs=1,
    )
    assert found.log_mel["harp"]["harp"].error_db == 0
    true_mel = found.pooled("true mel, griffin-lim").mean()
    assert found.pooled("harp, griffin-lim").mean() == pytest.approx(true_mel, abs=0.05)


def test_what_cannot_be_compared_is_refused(
    tiny_bundle: Bundle, soundfont: Path, excerpts: Path, tmp_path: Path
) -> None:
    def run(
        models: list[str], vocoders: tuple[str, ...] = ("griffin-lim",), **more: object
    ) -> None:
        options = {"cache": tmp_path / "cache", "excerpts": excerpts, "jobs": 1, **more}
        evaluate(EXAMPLES, soundfont, models=models, vocoders=list(vocoders), **options)

    tiny = str(tiny_bundle.path)
    harp = small_bundle(tmp_path / "harp")
    with pytest.raises(InputError, match="there is no model to measure"):
        run([])
    with pytest.raises(InputError, match=r"there is no vocoder 'magic'; known: .*griffin-lim"):
        run([tiny], vocoders=["magic"])
    with pytest.raises(InputError, match=r"harp: was trained on other data than .*tiny"):
        run([tiny, harp])
    louder = small_bundle(tmp_path / "louder", gain=0.7)
    with pytest.raises(InputError, match=r"louder: was trained on other data than .*harp"):
        run([harp, louder])
    with pytest.raises(InputError, match="two of the models have the same name"):
        run([harp, small_bundle(tmp_path / "again", name="harp")])
    fast = MelConfig(sample_rate=48_000, hop_length=384)
    with pytest.raises(InputError, match="sound of 48000 Hz; the measures are defined at 16000"):
        run([small_bundle(tmp_path / "fast", mel=fast)])
    with pytest.raises(InputError, match="is neither a bundle's folder nor a shipped model"):
        run(["none"])
    with pytest.raises(InputError, match="0 jobs"):
        run([tiny], jobs=0)
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        run([tiny], excerpts=tmp_path / "none.csv")
    assert not (tmp_path / "cache").exists()


def test_missing_soundfont_and_fluidsynth_are_named(
    tiny_bundle: Bundle, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"models": [str(tiny_bundle.path)], "vocoders": [], "cache": tmp_path}
    with pytest.raises(MissingToolError, match="there is no such SoundFont"):
        evaluate(EXAMPLES, tmp_path / "none.sf2", **given)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="fluidsynth is not installed"):
        evaluate(EXAMPLES, soundfont, **given)
