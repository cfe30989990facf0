"""The optimisers: what Muon takes, how far it goes, and that a run goes on as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support.small_data import small_recipe
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.loop import train
from timbrel.training.optimizer import Muon, Optimizer, hidden_matrices
from timbrel.training.recipe import Recipe
from timbrel.vocoder.parallel import ParallelVocoder, ParallelVocoderConfig
from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig


def muon_recipe(**changes: Any) -> Recipe:
    return replace(small_recipe(), optimizer="muon", **changes)


def test_muon_takes_the_hidden_matrices_of_a_wavenet() -> None:
    model = WaveNet(WaveNetConfig(n_layers=3, n_cycle=3, residual_size=8, skip_size=16))
    names = {id(p): name for name, p in model.named_parameters()}
    taken = [names[id(p)] for p in hidden_matrices(model)]
    layer = ["taps.0.weight", "taps.1.weight", "condition.weight", "skip.weight"]
    expected = [
        *(f"layers.{i}.{part}" for i in range(2) for part in [*layer, "residual.weight"]),
        *(f"layers.2.{part}" for part in layer),
        "hidden.weight",
    ]
    assert taken == expected


def test_muon_takes_no_vector_and_no_end_of_a_parallel_vocoder() -> None:
    model = ParallelVocoder(ParallelVocoderConfig(width=16, n_blocks=2, lookahead=5))
    trained = [p for p in model.parameters() if p.requires_grad]
    taken = list(hidden_matrices(model))
    assert 0 < len(taken) < len(trained)
    for parameter in taken:
        rows = parameter.flatten(1)
        assert min(rows.shape) > 1


def test_muon_moves_a_kernel_by_an_orthogonal_matrix_and_a_bias_as_adam_does() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.Conv1d(6, 8, 4), nn.Linear(8, 2))
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = Optimizer(model, muon_recipe(learning_rate=0.01, matrix_learning_rate=0.05))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step(0.002)  # a fifth of the recipe's rate: warming up
    moved = [p.detach() - old for p, old in zip(model.parameters(), before, strict=True)]
    for index in (0, 1, 3, 4, 5):  # all but the convolution's kernel
        torch.testing.assert_close(
            moved[index].abs(), torch.full_like(moved[index], 0.002), rtol=1e-3, atol=1e-6
        )
    # Five steps of Newton and Schulz bring the singular values near one, scaled to Adam's size.
    scale = 0.05 / 5 * 0.2 * 24**0.5
    values = torch.linalg.svdvals(moved[2].flatten(1)) / scale
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_steps_as_that_of_torch_does() -> None:
    """Matrices of three shapes, two of them alike, over some steps with weight decay."""
    torch.manual_seed(0)
    shapes = [(8, 12), (8, 12), (12, 8), (6, 6)]
    ours = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    steppers = (
        Muon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for stepper in steppers:
            stepper.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)  # of steps of .06 in bfloat16


def test_adamw_shrinks_weights_and_adam_does_not() -> None:
    def after(optimizer: str, decay: float) -> torch.Tensor:
        model = nn.Linear(2, 2)
        nn.init.ones_(model.weight)
        wanted = replace(small_recipe(), optimizer=optimizer, weight_decay=decay)
        part = Optimizer(model, wanted)
        model.weight.grad, model.bias.grad = torch.zeros(2, 2), torch.zeros(2)
        part.step(0.1)
        return model.weight.detach()

    torch.testing.assert_close(after("adam", 0.0), torch.ones(2, 2))
    torch.testing.assert_close(after("adamw", 0.5), torch.full((2, 2), 0.95))


@pytest.mark.usefixtures("one_thread")
def test_a_run_with_muon_learns_and_goes_on_as_if_undisturbed(
    small_data: Path, tmp_path: Path
) -> None:
    wanted = muon_recipe(steps=8, warmup_steps=2, decay_steps=0, validate_every=8)
    once, twice = tmp_path / "once", tmp_path / "twice"
    train(wanted, small_data, once, say=lambda _: None)
    train(wanted, small_data, twice, say=lambda _: None, steps=5)
    train(wanted, small_data, twice, say=lambda _: None, resume=True)
    one, two = load_checkpoint(once), load_checkpoint(twice)
    assert len(one["optimizer"]["parts"]) == 2
    for name, value in one["model"].items():
        assert torch.equal(value, two["model"][name]), name
