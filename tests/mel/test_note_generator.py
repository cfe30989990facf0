"""Streams of a Mel2Mel with a network of single notes, beside what PyTorch computes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from timbrel.bundles.bundle import Bundle, load_bundle, weights_id, write_sums
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel import note_generator
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.film import FilmSizes
from timbrel.mel.generator import MelGenerator
from timbrel.mel.mel2mel import Mel2Mel, Mel2MelConfig, load_mel2mel
from timbrel.mel.note_generator import FILM_INPUT, NOTES_FILE
from timbrel.score.performance_roll import PerformanceRoll
from timbrel.score.score import Note
from timbrel.score.sounding import sounding_notes
from timbrel.timbre.timbre import Timbre

N_FRAMES = 160
ROLLS = (
    PerformanceRoll((Note(60, 80, 0.1, 0.5), Note(67, 100, 0.3, 0.9)), 125.0),
    PerformanceRoll((Note(48, 60, 0.4, 0.45),), 125.0),
)
STILL, OTHER = Timbre.constant((0.4, -0.7)), Timbre.constant((-0.3, 0.2))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(2)
    sizes = Mel2MelConfig(2, roll="performance", hidden_size=8, note_units=12, timbre_units=6)
    model = Mel2Mel(sizes)
    torch.nn.init.normal_(model.output.weight, std=0.1)
    path = tmp_path_factory.mktemp("bundle") / "notes"
    write_mel2mel_bundle(
        model,
        path,
        name="notes",
        mel=MelConfig(),
        gain=0.5,
        instruments={"one": 0, "two": 1},
        window={"hop": 16, "context": 16},
        license="MIT",
        attribution="Not trained.",
        training={},
    )
    return load_bundle(path)


def streamed(bundle: Bundle, timbres: list[Timbre], *, block_frames: int = 32) -> np.ndarray:
    blocks = MelGenerator(bundle).stream(ROLLS, timbres, N_FRAMES, block_frames=block_frames)
    return np.concatenate(list(blocks), axis=1)


def alone_by_torch(
    bundle: Bundle, point: Sequence[float] | np.ndarray, roll: PerformanceRoll
) -> np.ndarray:
    told = [sounding_notes(roll, 0, N_FRAMES)]
    timbre = torch.tensor(point, dtype=torch.float32)[None]
    alone = load_mel2mel(bundle).alone(told, timbre, N_FRAMES, bundle.mel.floor)
    assert alone is not None
    return alone[0].detach().numpy()


def said_alone(bundle: Bundle, timbres: list[Timbre]) -> np.ndarray:
    """What single notes add: a model whose other layers say nothing gives nothing else."""
    generator = MelGenerator(bundle)
    stream = generator.begin(ROLLS, timbres)
    now = np.zeros(N_FRAMES // generator.timbre_frames)
    timbre = np.stack([np.concatenate([one.at(now), one.film_at(now)], axis=1) for one in timbres])
    alone = stream._alone(N_FRAMES // 16, timbre)
    assert alone is not None
    return alone


def test_notes_are_what_the_network_says(bundle: Bundle) -> None:
    found = said_alone(bundle, [STILL, OTHER])
    for mel, roll, timbre in zip(found, ROLLS, (STILL, OTHER), strict=True):
        true = alone_by_torch(bundle, timbre.points[0], roll)
        np.testing.assert_allclose(mel, true, atol=1e-4)


def test_a_timbre_with_vectors_of_its_own_changes_notes_as_in_the_network(bundle: Bundle) -> None:
    film = np.random.default_rng(0).normal(0, 0.5, FilmSizes.of(bundle.model).total)
    own = Timbre.constant((0.4, -0.7), film=film, fitted_to=weights_id(bundle))
    found = said_alone(bundle, [own, own])
    point = np.concatenate([own.points[0], film])
    for mel, roll in zip(found, ROLLS, strict=True):
        np.testing.assert_allclose(mel, alone_by_torch(bundle, point, roll), atol=1e-4)
    assert np.abs(found - said_alone(bundle, [STILL, STILL])).max() > 0.1


def test_graphs_of_before_play_all_but_vectors_of_a_timbres_own(
    bundle: Bundle, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(bundle.path, tmp_path / "before"))
    graph = onnx.load(path / NOTES_FILE, load_external_data=False)
    film = next(one for one in graph.graph.input if one.name == FILM_INPUT)
    for node in graph.graph.node:
        node.input[:] = ["nothing" if name == FILM_INPUT else name for name in node.input]
    zeros = np.zeros((1, film.type.tensor_type.shape.dim[1].dim_value), np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(zeros, "nothing"))
    film.type.tensor_type.shape.dim[1].dim_value = 6
    (path / NOTES_FILE).write_bytes(graph.SerializeToString())
    write_sums(path)
    before = load_bundle(path)
    np.testing.assert_array_equal(
        streamed(before, [STILL, OTHER]), streamed(bundle, [STILL, OTHER])
    )
    film_size = FilmSizes.of(bundle.model).total
    own = Timbre.constant((0.4, -0.7), film=np.ones(film_size), fitted_to=weights_id(bundle))
    with pytest.raises(InputError, match=r"earlier Timbrel .*; export it again"):
        streamed(before, [own, STILL])


@pytest.mark.parametrize("block_frames", [16, 160])
def test_blocks_change_nothing(bundle: Bundle, block_frames: int) -> None:
    moving = Timbre((0.0, 1.0), ((-1.0, 0.5), (1.0, 1.5)))
    wanted = streamed(bundle, [moving, STILL])
    found = streamed(bundle, [moving, STILL], block_frames=block_frames)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_notes_are_computed_once(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, asked = MelGenerator(bundle), []
    assert generator.notes is not None
    compute = generator.notes._computed
    monkeypatch.setattr(
        generator.notes, "_computed", lambda *given: asked.append(len(given[0])) or compute(*given)
    )
    for _ in range(2):
        list(generator.stream(ROLLS, [STILL, OTHER], N_FRAMES, block_frames=16))
    assert sum(asked) == 3


def test_without_notes_there_is_silence(bundle: Bundle) -> None:
    nothing = PerformanceRoll((), 125.0)
    (mel,) = MelGenerator(bundle).stream([nothing], [STILL], 32, block_frames=32)
    np.testing.assert_allclose(mel, bundle.mel.log_floor, atol=1e-6)


def test_a_moving_timbre_moves_the_notes(bundle: Bundle) -> None:
    first, last = STILL.points[0], OTHER.points[0]
    jump = Timbre((0.0, 0.63, 0.64), (first, first, last))
    moving = streamed(bundle, [jump, jump])
    before, after = streamed(bundle, [STILL, STILL]), streamed(bundle, [OTHER, OTHER])
    np.testing.assert_allclose(moving[:, :72], before[:, :72], atol=1e-5)
    assert np.abs(moving[:, 88:120] - before[:, 88:120]).max() > 0.05
    assert np.abs(moving[:, 96:] - after[:, 96:]).mean() < np.abs(before - after)[:, 96:].mean()


def test_voices_may_be_computed_in_several_threads(bundle: Bundle) -> None:
    generator = MelGenerator(bundle)
    wanted = streamed(bundle, [STILL, OTHER])

    def play(_: int) -> np.ndarray:
        blocks = generator.stream(ROLLS, [STILL, OTHER], N_FRAMES, block_frames=16)
        return np.concatenate(list(blocks), axis=1)

    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(play, range(24)):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_no_more_notes_are_kept_than_a_limit(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note_generator, "_REMEMBERED", 2)
    generator = MelGenerator(bundle)
    blocks = generator.stream(ROLLS, [STILL, OTHER], N_FRAMES, block_frames=16)
    np.testing.assert_allclose(
        np.concatenate(list(blocks), axis=1), streamed(bundle, [STILL, OTHER]), atol=1e-5
    )
    assert generator.notes is not None
    assert len(generator.notes._known) == 2
