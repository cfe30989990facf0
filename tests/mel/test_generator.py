"""The windowed stream: what its definition says, however it is cut, and as PyTorch computes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import FRAME_RATE
from timbrel.bundles.bundle import Bundle, WindowConfig, weights_id
from timbrel.bundles.session import open_session
from timbrel.errors import InputError
from timbrel.mel.generator import (
    FUTURE_FILE,
    MEL_FILE,
    PAST_FILE,
    MelGenerator,
)
from timbrel.mel.mel2mel import Mel2Mel
from timbrel.score.piano_roll import PianoRoll
from timbrel.score.score import Note
from timbrel.score.sounding import STRETCH
from timbrel.timbre.timbre import Timbre

N_FRAMES = 300  # no multiple of the hop
MOVING = Timbre((0.0, 1.0, 2.0), ((-1.0, 0.5), (1.0, 1.5), (0.0, -2.0)))
STILL = Timbre.constant((0.4, -0.7))


def fitted(bundle: Bundle, *, seed: int = 0) -> Timbre:
    """A timbre with FiLM vectors of its own, by chance."""
    random = np.random.default_rng(seed)
    film = random.normal(0, 0.5, 6 * 16)
    return Timbre.constant((0.4, -0.7), film=film, fitted_to=weights_id(bundle))


def own_timbre(
    timbre: torch.Tensor, first: torch.Tensor | None, second: torch.Tensor | None = None
) -> torch.Tensor:
    """A timbre with FiLM vectors of its own for one of the layers, as torch takes it."""
    own = [torch.zeros(*timbre.shape[:2], size) for size in (32, 64)]
    given = [
        zeros if part is None else part for part, zeros in zip((first, second), own, strict=True)
    ]
    return torch.cat([timbre, *given], dim=-1)


def roll_of(notes: Iterable[Note], *, n_frames: int | None = None) -> PianoRoll:
    """A roll at the default models' frame rate."""
    return PianoRoll(notes, FRAME_RATE, n_frames=n_frames)


def random_roll(seed: int, *, n_frames: int = N_FRAMES) -> PianoRoll:
    """Twenty random notes, the first of them at once."""
    random = np.random.default_rng(seed)
    seconds = n_frames / FRAME_RATE
    starts = random.uniform(0, seconds - 0.05, 20)
    starts[0] = 0.0
    notes = [
        Note(int(pitch), int(velocity), start, min(start + length, seconds))
        for pitch, velocity, start, length in zip(
            random.integers(21, 109, 20),
            random.integers(1, 128, 20),
            starts,
            random.uniform(0.05, 0.5, 20),
            strict=True,
        )
    ]
    return roll_of(notes, n_frames=n_frames)


def streamed(
    bundle: Bundle,
    rolls: list[PianoRoll],
    timbres: list[Timbre],
    *,
    n_frames: int = N_FRAMES,
    block_frames: int = 64,
) -> np.ndarray:
    """The whole stream, (tracks, frames, n_mels)."""
    blocks = MelGenerator(bundle).stream(rolls, timbres, n_frames, block_frames=block_frames)
    return np.concatenate(list(blocks), axis=1)


def windowed_by_torch(
    model: Mel2Mel, roll: PianoRoll, timbre: Timbre, window: WindowConfig
) -> np.ndarray:
    """The definition, hop by hop."""
    hop, fade, step = window.hop, min(window.hop, window.context), min(window.hop, STRETCH)
    share = (torch.arange(fade)[:, None] + 0.5) / fade

    def points(frames: np.ndarray) -> torch.Tensor:
        parts = timbre.at(frames / FRAME_RATE), timbre.film_at(frames / FRAME_RATE)
        return torch.from_numpy(np.concatenate(parts, axis=-1))[None]

    mels, state, earlier = [], None, None
    for start in range(-hop, N_FRAMES, hop):
        seen = torch.from_numpy(roll.window(start, start + hop + window.context))[None]
        held = points(np.array([start]))  # (1, 1, size of the point)
        moving = points(start + np.arange(hop) // step * step)
        window_future = model.future(model.features(seen, held))
        future = window_future[:, :hop].clone()
        if earlier is not None:
            future[:, :fade] = share * future[:, :fade] + (1 - share) * earlier
            past, state = model.past(model.features(seen[:, :hop], moving), state)
            mels.append(model.mel(past, future, moving)[0])
        earlier = window_future[:, hop : hop + fade]
    return torch.cat(mels)[:N_FRAMES].numpy()


@pytest.mark.parametrize("block_frames", [16, 64, 256, 4096])
def test_blocks_of_any_size_give_the_same_mel(tiny_bundle: Bundle, block_frames: int) -> None:
    rolls, timbres = [random_roll(0), random_roll(1)], [MOVING, STILL]
    one_block = streamed(tiny_bundle, rolls, timbres, block_frames=304)
    assert one_block.shape == (2, N_FRAMES, 80)
    mel = streamed(tiny_bundle, rolls, timbres, block_frames=block_frames)
    np.testing.assert_allclose(mel, one_block, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("window", [WindowConfig(16, 32), WindowConfig(8, 3)])
@pytest.mark.parametrize("timbre", [STILL, MOVING])
def test_the_stream_is_what_torch_computes_hop_by_hop(
    tiny_bundle: Bundle, tiny_model: Mel2Mel, timbre: Timbre, window: WindowConfig
) -> None:
    roll = random_roll(2)
    mel = streamed(replace(tiny_bundle, window=window), [roll], [timbre])[0]
    expected = windowed_by_torch(tiny_model, roll, timbre, window)
    np.testing.assert_allclose(mel, expected, atol=1e-4)
    assert mel.std() > 0.05  # there is something to compare


@torch.no_grad()
def test_film_vectors_of_a_timbres_own_are_played_as_torch_plays_them(
    tiny_bundle: Bundle, tiny_model: Mel2Mel
) -> None:
    roll, own = random_roll(2), fitted(tiny_bundle)
    moving = Timbre(
        (0.5, 1.5),
        ((0.4, -0.7), (1.0, 0.0)),
        ((0.0,) * len(own.film[0]), own.film[0]),
        own.fitted_to,
    )
    plain = streamed(tiny_bundle, [roll], [STILL])[0]
    for timbre in (own, moving):
        mel = streamed(tiny_bundle, [roll], [timbre])[0]
        expected = windowed_by_torch(tiny_model, roll, timbre, tiny_bundle.window)
        np.testing.assert_allclose(mel, expected, atol=1e-4)
        assert np.abs(mel - plain)[200:].mean() > 0.1
    # Others in the same batch are not touched.
    both = streamed(tiny_bundle, [roll, roll], [own, STILL])
    np.testing.assert_allclose(both[1], plain, atol=1e-5)


def test_a_timbre_that_was_fitted_to_another_model_is_refused(tiny_bundle: Bundle) -> None:
    own = fitted(tiny_bundle)
    for other in (replace(own, fitted_to="0123"), replace(own, film=(own.film[0][:-1],))):
        with pytest.raises(InputError, match="fitted to another model than tiny"):
            streamed(tiny_bundle, [random_roll(0)], [other])


@torch.no_grad()
def test_with_context_enough_the_stream_is_the_whole_network(
    tiny_bundle: Bundle, tiny_model: Mel2Mel
) -> None:
    context = 2 * N_FRAMES
    roll = random_roll(4)
    wide = replace(tiny_bundle, window=WindowConfig(hop=16, context=context))
    mel = streamed(wide, [roll], [STILL])[0]
    # Of each window, the silence after the piece is as long as the piece at least: what the
    # backward LSTM starts from is forgotten before it comes to the first note.
    whole = torch.from_numpy(roll.window(0, N_FRAMES + context))[None]
    expected = tiny_model(whole, torch.from_numpy(STILL.at(np.zeros(1))))[0, :N_FRAMES]
    np.testing.assert_allclose(mel, expected, atol=1e-5)
    narrow = replace(tiny_bundle, window=WindowConfig(hop=16, context=0))
    assert np.abs(streamed(narrow, [roll], [STILL])[0] - expected.numpy()).max() > 1e-2


def test_before_a_tracks_first_note_there_is_silence(tiny_bundle: Bundle) -> None:
    first = 50
    rolls = [random_roll(0), roll_of([Note(60, 100, first / FRAME_RATE, 2.0)]), roll_of([])]
    mel = streamed(tiny_bundle, rolls, 3 * [STILL], block_frames=16)
    window_frames = 4  # a window of the mel reaches so far
    silent = mel == np.float32(tiny_bundle.mel.log_floor)
    assert not silent[0].any()
    assert silent[1, : first - window_frames].all()
    assert not silent[1, first - window_frames :].any()
    assert silent[2].all()


def test_nothing_later_than_the_context_is_heard_early(tiny_bundle: Bundle) -> None:
    early = [Note(60, 100, 0.0, 1.0)]
    late = [*early, Note(72, 100, 160 / FRAME_RATE, 2.0)]
    first, second = (streamed(tiny_bundle, [roll_of(n)], [STILL])[0] for n in (early, late))
    np.testing.assert_array_equal(first[:96], second[:96])  # the hop that ends 64 frames before
    assert np.abs(first[96:160] - second[96:160]).max() > 1e-4


def test_tracks_at_once_are_the_tracks_alone(tiny_bundle: Bundle) -> None:
    rolls = [random_roll(seed) for seed in range(3)]
    timbres = [MOVING, STILL, Timbre.constant((2.0, 2.0))]
    together = streamed(tiny_bundle, rolls, timbres)
    for roll, timbre, mel in zip(rolls, timbres, together, strict=True):
        np.testing.assert_allclose(mel, streamed(tiny_bundle, [roll], [timbre])[0], atol=1e-5)


def test_a_roll_is_silent_beyond_its_end(tiny_bundle: Bundle) -> None:
    notes = [Note(60, 100, 0.1, 0.5)]
    short, long = roll_of(notes), roll_of(notes, n_frames=1000)
    np.testing.assert_array_equal(
        streamed(tiny_bundle, [short], [STILL]), streamed(tiny_bundle, [long], [STILL])
    )


def test_a_stream_that_begins_later_has_heard_so_much_silence(tiny_bundle: Bundle) -> None:
    start, silence = 320, 96
    notes = [Note(60, 100, 2.6, 3.0), Note(64, 70, 2.7, 4.0)]
    generator = MelGenerator(tiny_bundle)
    for timbre in (STILL, MOVING):
        later = generator.begin([roll_of(notes)], [timbre], start=start, silence=silence).next(12)
        shifted = [n._replace(start_s=n.start_s - 1.792, end_s=n.end_s - 1.792) for n in notes]
        begun = generator.begin([roll_of(shifted)], [timbre.shifted(-1.792)])
        np.testing.assert_allclose(later, begun.next(18)[:, silence:], atol=1e-5)
        without = generator.begin([roll_of(notes)], [timbre], start=start).next(12)
        assert np.abs(without - later).max() > 1e-4


def test_what_sounds_already_where_a_stream_begins_is_not_silent(tiny_bundle: Bundle) -> None:
    held = roll_of([Note(60, 100, 1.0, 9.0), Note(72, 100, 5.0, 9.0)])
    mel = MelGenerator(tiny_bundle).begin([held], [STILL], start=160).next(1)
    assert (mel > tiny_bundle.mel.log_floor).all()


def test_a_stream_can_be_begun_again(tiny_bundle: Bundle) -> None:
    generator = MelGenerator(tiny_bundle)
    first, second = (
        np.concatenate(list(generator.stream([random_roll(6)], [STILL], 100)), axis=1)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("block_frames", [0, -16, 1, 24, 100])
def test_blocks_must_be_whole_hops(tiny_bundle: Bundle, block_frames: int) -> None:
    with pytest.raises(InputError, match=f"{block_frames} frames is not a multiple of the hop, 16"):
        streamed(tiny_bundle, [random_roll(0)], [STILL], block_frames=block_frames)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 16, 333])
def test_the_past_of_the_bundle_is_that_of_torch(
    tiny_bundle: Bundle, tiny_model: Mel2Mel, n_frames: int
) -> None:
    generator = torch.Generator().manual_seed(n_frames)
    roll = torch.rand(3, n_frames, 176, generator=generator)
    timbre = torch.randn(3, n_frames, 2, generator=generator)
    film = torch.randn(3, n_frames, 32, generator=generator)
    hidden, cell = torch.randn(2, 1, 3, 16, generator=generator).tanh()
    found = open_session(tiny_bundle, PAST_FILE, 1).run(
        ["past", "hidden", "cell"],
        {
            "roll": roll.numpy(),
            "timbre": timbre.numpy(),
            "film": film.numpy(),
            "hidden_in": hidden.numpy(),
            "cell_in": cell.numpy(),
        },
    )
    past, state = tiny_model.past(
        tiny_model.features(roll, own_timbre(timbre, film)), (hidden, cell)
    )
    for value, expected in zip(found, (past, *state), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("n_frames", [1, 48, 333])
def test_the_future_of_the_bundle_is_that_of_torch(
    tiny_bundle: Bundle, tiny_model: Mel2Mel, n_frames: int
) -> None:
    generator = torch.Generator().manual_seed(n_frames)
    roll = torch.rand(3, n_frames, 176, generator=generator)
    timbre = torch.randn(3, 1, 2, generator=generator)
    film = torch.randn(3, 1, 32, generator=generator)
    hidden, cell = torch.randn(2, 1, 3, 16, generator=generator).tanh()
    (found,) = open_session(tiny_bundle, FUTURE_FILE, 1).run(
        ["future"],
        {
            "roll": roll.numpy(),
            "timbre": timbre.numpy(),
            "film": film.numpy(),
            "hidden_in": hidden.numpy(),
            "cell_in": cell.numpy(),
        },
    )
    future = tiny_model.future(tiny_model.features(roll, own_timbre(timbre, film)), (hidden, cell))
    np.testing.assert_allclose(found, future, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("timbre_frames", [1, 21])
def test_the_mel_of_the_bundle_is_that_of_torch(
    tiny_bundle: Bundle, tiny_model: Mel2Mel, timbre_frames: int
) -> None:
    generator = torch.Generator().manual_seed(timbre_frames)
    past, future = torch.randn(2, 3, 21, 16, generator=generator).tanh()
    timbre = torch.randn(3, timbre_frames, 2, generator=generator)
    film = torch.randn(3, timbre_frames, 64, generator=generator)
    given = {"past": past, "future": future, "timbre": timbre, "film": film}
    (mel,) = open_session(tiny_bundle, MEL_FILE, 1).run(
        ["mel"], {name: value.numpy() for name, value in given.items()}
    )
    expected = tiny_model.mel(past, future, own_timbre(timbre, None, film))
    np.testing.assert_allclose(mel, expected, atol=1e-4)
