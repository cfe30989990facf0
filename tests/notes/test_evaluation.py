"""The evaluation with small models: every number from a real sound, and nothing made twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from support.notes_data import sine
from timbrel.bundles.bundle import write_sums
from timbrel.errors import InputError
from timbrel.notes.baseline import BaselineConfig, SpectralBaseline
from timbrel.notes.classifier import ClassifierConfig, NoteClassifier
from timbrel.notes.codec import NoteCodec
from timbrel.notes.dataset import measured_qualities, read_split
from timbrel.notes.evaluation import EvaluationPlan, evaluate_notes, markdown, write_report
from timbrel.notes.export import load_spectral, write_baseline_bundle, write_classifier_bundle
from timbrel.notes.measures import is_at
from timbrel.notes.pairs import find_pairs
from timbrel.notes.spectrum import log_spectrum

PLAN = EvaluationPlan(n_notes=2, n_pairs=1, iterations=2)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A baseline and a classifier with random weights."""
    folder = tmp_path_factory.mktemp("spectral")
    torch.manual_seed(0)
    about = {"sample_rate": 16_000, "license": "MIT", "attribution": "Not trained.", "training": {}}
    baseline = SpectralBaseline(BaselineConfig(1 / 32, 8, 4)).eval()
    write_baseline_bundle(baseline, folder / "baseline", name="baseline", **about)
    classifier = NoteClassifier(ClassifierConfig(1 / 32, 8)).eval()
    write_classifier_bundle(classifier, folder / "classifier", name="classifier", **about)
    return {name: str(folder / name) for name in ("baseline", "classifier")}


def short_notes(notes_data: Path, folder: Path) -> Path:
    """The data with a second family in the test split, so that there are pairs."""
    data = Path(shutil.copytree(notes_data, folder / "data"))
    train, test = data / "nsynth-train", data / "nsynth-test"
    lists = {path: json.loads((path / "examples.json").read_text()) for path in (train, test)}
    for name in [name for name in lists[train] if name.startswith("bass")]:
        lists[test][name] = lists[train].pop(name)
        shutil.move(train / "audio" / f"{name}.wav", test / "audio")
    for path, entries in lists.items():
        (path / "examples.json").write_text(json.dumps(entries))
    return data


def test_a_report_of_all_models(
    notes_data: Path,
    tiny_codec: NoteCodec,
    bundles: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Decoding twelve seconds sample by sample would take too long here; its own tests do less.
    def decoded(_: NoteCodec, codes: list[np.ndarray], **__: object) -> list[np.ndarray]:
        return [sine(60, 3) for _ in codes]

    monkeypatch.setattr(NoteCodec, "decode", decoded)
    data = short_notes(notes_data, tmp_path)
    given = {"autoencoder": str(tiny_codec.bundle.path), **bundles, "plan": PLAN}
    report = evaluate_notes(data, tmp_path / "out", **given)
    assert list(report["reconstructions"]) == ["majority", "original", "autoencoder", "baseline"]
    assert report["reconstructions"]["original"]["spectrum_error_db"] == 0
    assert report["reconstructions"]["baseline"]["spectrum_error_db"] > 1
    assert set(report["probe"]) == {"autoencoder", "baseline"}
    assert report["morphs"]["pairs"] == 1
    write_report(report, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "notes.json").read_text()) == report
    table = (tmp_path / "out" / "notes.md").read_text()
    assert table == markdown(report)
    assert "| original |" in table
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*/*.*")}
    sounds = [path for path in kept if path.suffix == ".wav"]
    assert len(sounds) == 2 + 2 + 3  # a morph has two ends
    assert len(list((tmp_path / "out").rglob("*.npy"))) >= 2 + len(read_split(data, "train"))
    assert evaluate_notes(data, tmp_path / "out", **given) == report
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*/*.*")} == kept


def test_notes_that_cannot_be_read_are_left_out(
    notes_data: Path, bundles: dict[str, str], tmp_path: Path
) -> None:
    data = short_notes(notes_data, tmp_path)
    split = read_split(data, "test")
    given = {"autoencoder": None, **bundles, "plan": EvaluationPlan(n_notes=99, iterations=2)}
    name = split.notes[0].note_str
    (data / "nsynth-test" / "audio" / f"{name}.wav").write_bytes(b"no audio")
    with pytest.raises(InputError, match=f"{name}: its audio cannot be read"):
        evaluate_notes(data, tmp_path / "out", **given)
    errors: list[InputError] = []
    report = evaluate_notes(data, tmp_path / "out", **given, skip=errors.append)
    assert report["notes"] == len(split) - 1
    assert {name in str(error) for error in errors} == {True}
    for path in (data / "nsynth-test" / "audio").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="none of the notes that were drawn can be read"):
        evaluate_notes(data, tmp_path / "out", **given, skip=errors.append)


def test_spectral_bundles_hold_their_model(bundles: dict[str, str]) -> None:
    model, bundle = load_spectral(bundles["baseline"], SpectralBaseline, BaselineConfig)
    again, _ = load_spectral(bundles["baseline"], SpectralBaseline, BaselineConfig)
    spectra = torch.from_numpy(log_spectrum(sine(60, 3)))[None]
    with torch.no_grad():
        torch.testing.assert_close(
            model(spectra, torch.tensor([60])), again(spectra, torch.tensor([60]))
        )
    sizes = {"width": 1 / 32, "code_size": 8, "pitch_size": 4}
    assert bundle.model == sizes | {"harmonics": False, "tapered": False}
    with pytest.raises(InputError, match="is a model of kind 'notes-baseline'"):
        load_spectral(bundles["baseline"], NoteClassifier, ClassifierConfig)


def test_sizes_that_an_older_bundle_does_not_name_are_as_published(
    bundles: dict[str, str], tmp_path: Path
) -> None:
    older = Path(shutil.copytree(bundles["baseline"], tmp_path / "older"))
    config = json.loads((older / "config.json").read_text())
    for name in ("harmonics", "tapered"):
        assert config["model"].pop(name) is False
    (older / "config.json").write_text(json.dumps(config))
    write_sums(older)
    model, _ = load_spectral(older, SpectralBaseline, BaselineConfig)
    assert model.config == BaselineConfig(1 / 32, 8, 4)
    config["model"]["harmonics"] = 1
    (older / "config.json").write_text(json.dumps(config))
    write_sums(older)
    with pytest.raises(InputError, match="'harmonics' must be of type bool"):
        load_spectral(older, SpectralBaseline, BaselineConfig)


def test_pairs_share_a_pitch_and_differ_in_family(notes_data: Path, tmp_path: Path) -> None:
    split = read_split(short_notes(notes_data, tmp_path), "test")
    pairs = find_pairs(split, 3, seed=0)
    assert len(pairs) == 3
    for a, b in pairs:
        assert split.notes[a].pitch == split.notes[b].pitch
        assert split.notes[a].instrument_family != split.notes[b].instrument_family
    assert len({i for pair in pairs for i in pair}) == 6
    with pytest.raises(InputError, match="no two notes of one pitch"):
        find_pairs(read_split(notes_data, "valid"), 3, seed=0)


def test_qualities_that_were_not_measured_do_not_count(tmp_path: Path) -> None:
    assert measured_qualities(tmp_path) == list(range(10))
    (tmp_path / "data.json").write_text('{"qualities_measured": ["dark", "reverb"]}')
    assert measured_qualities(tmp_path) == [1, 8]


def test_a_tone_is_at_its_pitch_only() -> None:
    assert is_at(sine(60, 4), 60)
    assert not is_at(sine(60, 4), 61)
    assert not is_at(np.zeros(64_000, np.float32), 60)
