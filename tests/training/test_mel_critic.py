"""The critic of mels: what it judges, and that it learns to tell smooth mels from rough ones."""

from __future__ import annotations

import torch
from torch import Tensor

from timbrel.geometry import MelConfig
from timbrel.training.mel_critic import MelCritic
from timbrel.vocoder.discriminators import adversarial_loss, discriminator_loss

MEL = MelConfig(n_mels=32)


def mels(roughness: float, seed: int) -> tuple[Tensor, Tensor]:
    """Mels whose bands fluctuate by so many nepers about what the roll says, and the rolls."""
    generator = torch.Generator().manual_seed(seed)
    roll = (torch.rand(4, 24, 10, generator=generator) > 0.8).float()
    mel = -6 + roll.mean(dim=-1, keepdim=True) + torch.zeros(4, 24, 32)
    return mel + roughness * torch.randn(4, 24, 32, generator=generator), roll


def test_judges_patches_of_every_length_of_mel() -> None:
    critic = MelCritic(MEL, roll_size=10)
    for n_frames in (1, 24, 99):
        ((judged, features),) = critic(torch.zeros(2, n_frames, 32), torch.zeros(2, n_frames, 10))
        assert judged.shape == (2, 1, n_frames, 4)
        assert [one.shape[-1] for one in features] == [16, 8, 4]


def test_the_score_counts() -> None:
    torch.manual_seed(1)
    critic = MelCritic(MEL, roll_size=10)
    mel, roll = mels(0.5, seed=2)
    assert not torch.allclose(critic(mel, roll)[0][0], critic(mel, torch.zeros_like(roll))[0][0])


def test_learns_that_originals_fluctuate() -> None:
    torch.manual_seed(1)
    critic = MelCritic(MEL, roll_size=10)
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.003)
    for step in range(100):
        true, roll = mels(0.5, seed=step)
        smooth, _ = mels(0.0, seed=step)
        loss = discriminator_loss(critic(true, roll), critic(smooth, roll))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    true, roll = mels(0.5, seed=1000)
    smooth, _ = mels(0.0, seed=1000)
    with torch.no_grad():
        taken = [float(adversarial_loss(critic(mel, roll))) for mel in (true, smooth)]
    assert taken[0] < 0.3
    assert taken[1] > 0.5
