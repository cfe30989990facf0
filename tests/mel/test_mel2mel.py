"""The reference network: sizes, formulas, and its parts against the whole."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from timbrel.bundles.bundle import Bundle
from timbrel.bundles.weights import n_parameters
from timbrel.errors import InputError
from timbrel.mel.mel2mel import FiLM, Mel2Mel, Mel2MelConfig, load_mel2mel

SMALL = Mel2MelConfig(n_instruments=3, timbre_size=4, hidden_size=8)


@pytest.fixture
def model() -> Mel2Mel:
    torch.manual_seed(2)
    return Mel2Mel(SMALL).eval()


def rolls(batch: int, time: int) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.rand(batch, time, 176) * (torch.rand(batch, time, 176) > 0.9)


def test_has_the_published_number_of_parameters() -> None:
    assert n_parameters(Mel2Mel(Mel2MelConfig(n_instruments=10))) == 1_141_604
    ten_d = n_parameters(Mel2Mel(Mel2MelConfig(n_instruments=10, timbre_size=10)))
    # 8 more coordinates of 10 embeddings, and 8 more inputs of 2 · 256 and 2 · 512 outputs.
    assert ten_d == 1_141_604 + 8 * (10 + 512 + 1024)


def test_lstms_start_with_an_open_forget_gate_and_one_bias(model: Mel2Mel) -> None:
    for lstm in (model.forward_lstm, model.backward_lstm):
        torch.testing.assert_close(
            lstm.bias_ih_l0, torch.tensor([0.0] * 8 + [1.0] * 8 + [0.0] * 16), rtol=0, atol=0
        )
        assert torch.count_nonzero(lstm.bias_hh_l0) == 0


def test_second_bias_is_not_trained(model: Mel2Mel) -> None:
    before = model.forward_lstm.bias_ih_l0.detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(rolls(2, 20), model.embedding.weight[:2]).square().sum().backward()
    optimizer.step()
    for lstm in (model.forward_lstm, model.backward_lstm):
        assert torch.count_nonzero(lstm.bias_hh_l0) == 0
    assert (model.forward_lstm.bias_ih_l0 - before).abs().min() > 0  # the first one is
    assert sum("bias_hh" in name for name, p in model.named_parameters() if p.requires_grad) == 0


def test_every_trained_parameter_has_a_gradient(model: Mel2Mel) -> None:
    model(rolls(3, 20), model.embedding.weight).square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_head_begins_as_the_identity_and_learns(model: Mel2Mel) -> None:
    with_head = Mel2Mel(dataclasses.replace(SMALL, head_size=6))
    lacking = with_head.load_state_dict(model.state_dict(), strict=False).missing_keys
    assert all(name.startswith("head.") for name in lacking)
    assert n_parameters(with_head) - n_parameters(model) == (16 * 6 + 6) + (6 * 16 + 16)
    given = rolls(3, 20), model.embedding.weight
    found = with_head(*given)
    torch.testing.assert_close(found, model(*given), rtol=0, atol=0)
    found.square().sum().backward()
    assert with_head.head is not None
    assert with_head.head.down.weight.grad is not None
    assert with_head.head.down.weight.grad.abs().max() > 0


def test_film_is_gamma_times_x_plus_beta() -> None:
    film = FiLM(timbre_size=1, n_features=2)
    with torch.no_grad():
        film.dense.weight.copy_(torch.tensor([[1.0], [2.0], [10.0], [20.0]]))
        film.dense.bias.copy_(torch.tensor([0.5, 0.0, 0.0, 3.0]))
    features = torch.tensor([[[1.0, 1.0], [-2.0, 4.0]]])
    found = film(features, torch.tensor([[[2.0]]]))
    # γ = (2.5, 4), not 1 + γ; β = (20, 43).
    torch.testing.assert_close(found, torch.tensor([[[22.5, 47.0], [15.0, 59.0]]]))
    # Without a timbre the signal passes unchanged at first.
    fresh = FiLM(timbre_size=1, n_features=2)
    torch.testing.assert_close(fresh(features, torch.zeros(1, 1, 1)), features)


def test_whole_is_the_composition_of_the_parts(model: Mel2Mel) -> None:
    roll, timbre = rolls(2, 30), model.embedding.weight[:2]
    features = model.features(roll, timbre)
    past, _ = model.past(features)
    future = model.future(features)
    assert features.shape == past.shape == future.shape == (2, 30, 8)
    found = model.mel(past, future, timbre)
    assert found.shape == (2, 30, 80)
    torch.testing.assert_close(model(roll, timbre), found, rtol=0, atol=0)


def test_equals_pytorchs_bidirectional_lstm(model: Mel2Mel) -> None:
    both = nn.LSTM(8, 8, batch_first=True, bidirectional=True)
    for suffix, lstm in (("", model.forward_lstm), ("_reverse", model.backward_lstm)):
        for name, parameter in lstm.named_parameters():
            getattr(both, name + suffix).data.copy_(parameter)
    features = torch.randn(2, 25, 8)
    expected, _ = both(features)
    found = torch.cat([model.past(features)[0], model.future(features)], dim=-1)
    torch.testing.assert_close(found, expected)


def test_timbre_may_move_over_time(model: Mel2Mel) -> None:
    roll = rolls(1, 12)
    a, b = model.embedding.weight[0], model.embedding.weight[1]
    held = torch.stack([a] * 12)[None]
    torch.testing.assert_close(model(roll, held), model(roll, a[None]))
    moved = torch.stack([a] * 6 + [b] * 6)[None]
    last = model.film2(torch.ones(1, 12, 16), moved)
    torch.testing.assert_close(last[:, 6:], model.film2(torch.ones(1, 6, 16), b[None, None]))
    assert (model(roll, moved) - model(roll, held)).abs().max() > 1e-3


def test_state_carried_over_halves_equals_the_whole(model: Mel2Mel) -> None:
    features = model.features(rolls(2, 41), model.embedding.weight[:2])
    whole, end = model.past(features)
    first, state = model.past(features[:, :17])
    second, state = model.past(features[:, 17:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(state, end)
    anew, _ = model.past(features[:, 17:])
    assert (anew - second).abs().max() > 1e-3  # the state was needed


def test_future_does_not_depend_on_the_past(model: Mel2Mel) -> None:
    features = torch.randn(1, 20, 8)
    torch.testing.assert_close(model.future(features)[:, 7:], model.future(features[:, 7:]))


def test_one_window_with_all_the_context_is_the_plain_future(model: Mel2Mel) -> None:
    features = torch.randn(2, 48, 8)
    windowed = model.windowed_future(features, 32, 32, 16)
    torch.testing.assert_close(windowed, model.future(features)[:, :32])


@pytest.mark.parametrize(("hop", "context"), [(8, 16), (16, 16), (4, 1), (32, 16), (16, 0)])
def test_each_window_sees_its_context_and_no_more(model: Mel2Mel, hop: int, context: int) -> None:
    features = torch.randn(2, 32 + 16, 8)
    windowed = model.windowed_future(features, 32, hop, context)
    assert windowed.shape == (2, 32, 8)
    for start in range(0, 32, hop):
        alone = model.future(features[:, start : start + hop + context])[:, :hop]
        torch.testing.assert_close(windowed[:, start : start + hop], alone)


def test_more_context_is_nearer_to_the_plain_future(model: Mel2Mel) -> None:
    features = torch.randn(2, 128, 8)
    plain = model.future(features)[:, :64]
    errors = [
        float((model.windowed_future(features, 64, 16, context) - plain).detach().abs().max())
        for context in (0, 8, 64)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


def test_weights_of_another_shape_are_refused(tiny_bundle: Bundle) -> None:
    sizes = {**tiny_bundle.model, "n_layers": 2}
    with pytest.raises(InputError, match="n_layers"):
        load_mel2mel(dataclasses.replace(tiny_bundle, config=tiny_bundle.config | {"model": sizes}))
    sizes = {**tiny_bundle.model, "n_mels": 40}
    with pytest.raises(InputError, match="weights"):
        load_mel2mel(dataclasses.replace(tiny_bundle, config=tiny_bundle.config | {"model": sizes}))
