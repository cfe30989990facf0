"""Bundles against the network that they were made from."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file

from timbrel.bundles.bundle import Bundle, load_bundle
from timbrel.bundles.session import open_session
from timbrel.bundles.weights import n_parameters
from timbrel.errors import OutputError
from timbrel.geometry import MelConfig
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.generator import FUTURE_FILE, MEL_FILE, PAST_FILE
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig, load_mel2mel
from timbrel.mel.note_generator import FILM_INPUT
from timbrel.score.instruments import TEN_INSTRUMENTS


def write(model: Mel2Mel, output: Path, **changes: Any) -> None:
    given: dict[str, Any] = {
        "name": "small",
        "mel": MelConfig(),
        "gain": 0.5,
        "instruments": {"grand piano": 0, "harp": 46},
        "license": "CC0",
        "attribution": "Made by chance.",
        "training": {},
        **changes,
    }
    write_mel2mel_bundle(model, output, **given)


@pytest.fixture
def model() -> Mel2Mel:
    torch.manual_seed(5)
    return Mel2Mel(Mel2MelConfig(n_instruments=2, timbre_size=3, hidden_size=8)).eval()


def test_weights_are_those_of_the_model(tiny_model: Mel2Mel, tiny_bundle: Bundle) -> None:
    loaded = load_mel2mel(tiny_bundle)
    expected = tiny_model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    for key, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0, msg=key)
    assert loaded.config == tiny_model.config
    assert not loaded.training


def test_weights_are_rounded_to_half_precision(model: Mel2Mel, tmp_path: Path) -> None:
    before = copy.deepcopy(model)
    write(model, tmp_path / "bundle")
    stored = load_file(tmp_path / "bundle" / "weights.safetensors")
    trained = {name: p for name, p in before.named_parameters() if p.requires_grad}
    assert stored.keys() == trained.keys()  # and so without the second biases
    n_changed = 0
    for name, parameter in trained.items():
        exact = parameter.detach().numpy()
        assert stored[name].dtype == np.float16
        np.testing.assert_array_equal(stored[name], exact.astype(np.float16))
        np.testing.assert_allclose(stored[name].astype(np.float32), exact, rtol=5e-4, atol=1e-7)
        n_changed += int((stored[name] != exact).sum())
    assert n_changed > 0.5 * n_parameters(model)
    # The model itself, and so everything measured on it, is what the bundle holds.
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            np.testing.assert_array_equal(parameter.detach().numpy(), stored[name])


def test_config_says_what_was_given(tiny_model: Mel2Mel, tiny_bundle: Bundle) -> None:
    assert (tiny_bundle.kind, tiny_bundle.name, tiny_bundle.gain) == ("mel2mel", "tiny", 0.5)
    assert tiny_bundle.mel == MelConfig()
    assert (tiny_bundle.window.hop, tiny_bundle.window.context) == (16, 64)
    assert {i.name: i.program for i in tiny_bundle.instruments} == TEN_INSTRUMENTS
    np.testing.assert_array_equal(
        np.array([i.embedding for i in tiny_bundle.instruments], np.float32),
        tiny_model.embedding.weight.detach().numpy(),
    )
    assert tiny_bundle.training == {"parameters": n_parameters(tiny_model)}


@pytest.mark.parametrize("name", ["past.onnx", "future.onnx", "mel.onnx"])
def test_onnx_refers_to_weights_in_half_precision(name: str, tiny_bundle: Bundle) -> None:
    graph = onnx.load(tiny_bundle.file(name), load_external_data=False).graph
    weights = {t.name: t for t in graph.initializer if not t.name.startswith("constant")}
    stored = load_file(tiny_bundle.file("weights.safetensors"))
    assert weights.keys() < stored.keys()
    for key, tensor in weights.items():
        assert tensor.data_type == onnx.TensorProto.FLOAT16
        assert tuple(tensor.dims) == stored[key].shape
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == "weights.safetensors"
        assert int(place["length"]) == stored[key].nbytes
    assert tiny_bundle.file(name).stat().st_size < 10_000


def test_folder_that_exists_is_refused_and_left_alone(model: Mel2Mel, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    (output / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists"):
        write(model, output)
    assert [path.name for path in output.iterdir()] == ["mine.txt"]


def test_folder_in_no_folder_is_refused(model: Mel2Mel, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; create it first"):
        write(model, tmp_path / "nowhere" / "bundle")


def test_failure_leaves_nothing_behind(
    model: Mel2Mel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("timbrel.bundles.bundle.write_sums", full)
    with pytest.raises(OSError, match="No space left"):
        write(model, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_card_names_instruments_training_and_licence(model: Mel2Mel, tmp_path: Path) -> None:
    training = {
        "steps": 123,
        "validation": {
            "centred_correlation": 0.875,
            "error_db": 3.25,
            "centred_correlation/harp": 0.75,
            "error_db/harp": 4.25,
        },
    }
    write(model, tmp_path / "bundle", training=training)
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert card.startswith("# small\n")
    assert "2 instruments in 3 dimensions" in card
    assert "| grand piano | 0 | nan | nan |" in card  # not measured
    assert "| harp | 46 | 0.750 | 4.2 |" in card
    assert "| mean | | 0.875 | 3.2 |" in card
    assert "| steps | 123 |" in card
    assert f"| parameters | {n_parameters(model)} |" in card
    assert "Licence of the weights: CC0." in card
    assert "Made by chance." in card
    config = json.loads((tmp_path / "bundle" / "config.json").read_text())
    assert config["training"]["validation"] == training["validation"]


def test_the_head_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = Mel2Mel(Mel2MelConfig(n_instruments=2, timbre_size=3, hidden_size=8, head_size=5))
    assert model.head is not None
    torch.nn.init.normal_(model.head.down.weight)
    write(model, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert load_mel2mel(bundle).config.head_size == 5
    past, future = torch.randn(2, 1, 7, 8)
    timbre = torch.randn(1, 1, 3)
    (found,) = open_session(bundle, MEL_FILE, 1).run(
        None,
        {
            "past": past.numpy(),
            "future": future.numpy(),
            "timbre": timbre.numpy(),
            FILM_INPUT: np.zeros((1, 1, 32), np.float32),
        },
    )
    with torch.no_grad():
        expected = model.mel(past, future, timbre).numpy()
        without = model.output(model.film2(torch.cat([past, future], -1), timbre)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - without).max() > 0.1


def test_vectors_that_are_no_linear_function_of_the_timbre_are_exported(tmp_path: Path) -> None:
    torch.manual_seed(7)
    model = Mel2Mel(Mel2MelConfig(n_instruments=2, timbre_size=3, hidden_size=8, film_size=6))
    for film in (model.film1, model.film2):
        assert film.bent is not None
        torch.nn.init.normal_(film.bent.down.weight)
    write(model, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert load_mel2mel(bundle).config.film_size == 6
    roll, timbre = torch.rand(2, 11, 176), torch.randn(2, 1, 3)
    state = np.zeros((1, 2, 8), np.float32)
    given = {"roll": roll.numpy(), "timbre": timbre.numpy(), "hidden_in": state, "cell_in": state}
    film = np.zeros((1, 1, 16), np.float32)
    past, *_ = open_session(bundle, PAST_FILE, 1).run(None, {**given, FILM_INPUT: film})
    (future,) = open_session(bundle, FUTURE_FILE, 1).run(None, {**given, FILM_INPUT: film})
    parts = {"past": past, "future": future, "timbre": timbre.numpy()}
    film = np.zeros((1, 1, 32), np.float32)
    (found,) = open_session(bundle, MEL_FILE, 1).run(None, {**parts, FILM_INPUT: film})
    with torch.no_grad():
        np.testing.assert_allclose(found, model(roll, timbre).numpy(), atol=1e-5)
        moved = model(roll, timbre + 1).numpy() - found
        # As far again would change as much, were the vectors linear in the timbre.
        vectors = [model.film2.bent(timbre + step) for step in range(3)]
    assert np.abs(moved).max() > 0.1
    assert (vectors[2] - 2 * vectors[1] + vectors[0]).abs().max() > 0.1


def test_written_bundle_loads(model: Mel2Mel, tmp_path: Path) -> None:
    write(model, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", kind="mel2mel")
    assert [i.name for i in bundle.instruments] == ["grand piano", "harp"]
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "config.json",
        "future.onnx",
        "mel.onnx",
        "past.onnx",
        "weights.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
