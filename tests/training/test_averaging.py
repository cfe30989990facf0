"""Averaged weights: the statistics of norms go with them, and the latest ones come back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from timbrel.errors import InputError
from timbrel.training.averaging import AveragedWeights, averaged_tensors, set_averaged


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)
    network = nn.Sequential(*layers).train()
    network(torch.randn(8, 2))  # the norm has seen something
    return network


def test_trained_weights_and_statistics_are_averaged(network: nn.Sequential) -> None:
    network[0].bias.requires_grad_(False)
    norm = network[1]
    wanted = [network[0].weight, norm.weight, norm.bias, *network[2].parameters()]
    wanted += [norm.running_mean, norm.running_var]
    found = averaged_tensors(network)
    assert [id(tensor) for tensor in found] == [id(tensor) for tensor in wanted]
    assert len(averaged_tensors(nn.BatchNorm1d(3, track_running_stats=False))) == 2


def test_a_network_computes_with_the_averaged_statistics(network: nn.Sequential) -> None:
    tensors = averaged_tensors(network)
    before = [tensor.detach().clone() for tensor in tensors]
    average = [torch.full_like(tensor, 0.25) for tensor in tensors]
    with AveragedWeights(network, average) as lent, torch.no_grad():
        # (0.75 − 0.25) / √0.25 · 0.25 + 0.25 = 0.5 from the norm, and 3 · 0.5 · 0.25 + 0.25
        assert float(lent(torch.ones(1, 2))) == pytest.approx(0.625, abs=1e-4)
    assert network.training
    for tensor, value in zip(tensors, before, strict=True):
        torch.testing.assert_close(tensor, value, rtol=0, atol=0)


def test_an_average_of_another_model_is_refused(network: nn.Sequential) -> None:
    weights_alone = [p.detach().clone() for p in network.parameters()]
    with pytest.raises(InputError, match="averaged weights are not those of this model"):
        set_averaged(network, weights_alone)
    narrow = [tensor[..., :1] for tensor in averaged_tensors(network)]
    with pytest.raises(InputError, match="averaged weights are not those of this model"):
        set_averaged(network, narrow)
