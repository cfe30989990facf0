"""The network: streaming, what it hears ahead, and that all keys are alike."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.small_transcriber import small_transcriber
from timbrel.bundles.weights import n_parameters
from timbrel.errors import InputError
from timbrel.transcription.network import Transcriber
from timbrel.transcription.sizes import MAX_BEND_CENTS, VELOCITY, TranscriberConfig


@pytest.fixture(scope="module")
def model() -> Transcriber:
    return small_transcriber()


def spectra_of(model: Transcriber, n_frames: int, batch: int = 1) -> torch.Tensor:
    torch.manual_seed(5)
    config = model.config
    return 4 * torch.rand(batch, len(config.windows), n_frames, config.n_bands)


@torch.no_grad()
def test_blocks_of_any_length_give_what_the_whole_gives(model: Transcriber) -> None:
    spectra = spectra_of(model, 60)
    whole, last = model(spectra)
    assert whole.shape == (1, 60, 88, 5)
    states, parts, first = None, [], 0
    for size in (1, 2, 30, 7, 20):
        values, states = model(spectra[:, :, first : first + size], states)
        parts.append(values)
        first += size
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)
    for a, b in zip(states, last, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@torch.no_grad()
def test_hears_just_so_many_frames_ahead(model: Transcriber) -> None:
    ahead, frame = model.config.frames_ahead, 30
    spectra = spectra_of(model, frame + ahead + 10)
    first, _ = model(spectra)
    for place, is_heard in ((frame + ahead, True), (frame + ahead + 1, False)):
        changed = spectra.clone()
        changed[:, :, place] += 3
        second, _ = model(changed)
        # What is said of a frame comes with the one so many frames later.
        differs = not torch.equal(first[:, frame + ahead], second[:, frame + ahead])
        assert differs == is_heard


@torch.no_grad()
def test_what_is_learnt_of_one_key_is_known_of_all(model: Transcriber) -> None:
    model = deepcopy(model)
    assert model.context is not None
    model.context.tell.weight.zero_()  # it hears all keys, those at the ends of the keyboard, too
    config = model.config
    spectra = spectra_of(model, 40)
    spectra[..., :60] = spectra[..., -60:] = 0  # so that nothing is cut off
    keys = 5
    higher = torch.roll(spectra, keys * config.bands_per_semitone, dims=-1)
    low, _ = model(spectra)
    high, _ = model(higher)
    reach = config.kernel_keys // 2 * len(config.dilations) + 3
    inner = low[:, :, reach : 88 - reach - keys]
    torch.testing.assert_close(high[:, :, reach + keys : 88 - reach], inner, atol=1e-4, rtol=0)
    assert (inner[:, 10:, :, 0].std(dim=2) > 1e-3).all()


@torch.no_grad()
def test_velocities_and_bends_keep_their_limits(model: Transcriber) -> None:
    values, _ = model(100 * spectra_of(model, 20))
    assert values[..., 3].min() >= 0
    assert values[..., 3].max() <= 1
    assert values[..., 4].abs().max() <= MAX_BEND_CENTS


def test_the_default_is_small_and_says_how_late_it_is() -> None:
    config = TranscriberConfig()
    assert n_parameters(Transcriber(config)) < 1_000_000
    assert config.frames_ahead == 2 + 3 + 6 + 8 + 8 + 0 + 3
    assert config.latency_s == pytest.approx((30 * 256 + 2048) / 16_000)


@torch.no_grad()
def test_blocks_begin_as_the_identity() -> None:
    torch.manual_seed(0)
    block = Transcriber(TranscriberConfig()).blocks[1]
    values = torch.rand(1, 48, 20, 88)
    made, _ = block(values, torch.zeros(1, 48, block.memory, 88))
    np.testing.assert_array_equal(made[:, :, block.delay :], values[:, :, : 20 - block.delay])


@pytest.mark.parametrize(
    "changes",
    [{"dilations": (1, 2)}, {"ahead": (9, 0, 0, 0, 0, 0)}, {"windows": (4095,)}],
)
def test_impossible_sizes_are_refused(changes: dict) -> None:
    with pytest.raises(InputError):
        TranscriberConfig(**changes)


@torch.no_grad()
def test_a_context_tells_all_keys_what_one_has_heard(model: Transcriber) -> None:
    spectra = spectra_of(model, 40)
    changed = spectra.clone()
    changed[:, :, :10, :20] += 3  # of the lowest keys, and long over
    first, second = model(spectra)[0], model(changed)[0]
    highest = np.abs((first - second)[0, -1, -20:].numpy()).max()
    assert highest > 1e-4
    deaf = Transcriber(replace(model.config, context_size=0)).eval()
    deaf.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(deaf(spectra)[0][0, -1, -20:], deaf(changed)[0][0, -1, -20:])


def test_velocities_are_read_beside_the_blocks_and_change_nothing_else(model: Transcriber) -> None:
    spectra = spectra_of(model, 40)
    plain = Transcriber(replace(model.config, reader_size=0)).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        read, unread = model(spectra)[0], plain(spectra)[0]
    others = [head for head in range(5) if head != VELOCITY]
    torch.testing.assert_close(read[..., others], unread[..., others], atol=0, rtol=0)
    assert (read[..., VELOCITY] - unread[..., VELOCITY]).abs().mean() > 1e-3
    reader = model.reader
    assert reader is not None
    values = spectra.new_ones(1, model.config.hidden_size, 40, 88, requires_grad=True)
    stacked = model.stacked(spectra)
    reader(stacked, values, torch.zeros((1, *reader.state_shape)))[0].sum().backward()
    assert values.grad is None
