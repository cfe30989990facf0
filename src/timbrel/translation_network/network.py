"""The Universal Music Translation Network: one encoder for all domains, a decoder for each.

Mor et al., "A Universal Music Translation Network" (2018). A domain is an instrument, or whatever
else sounds alike. The encoder and the decoders are those of the autoencoder of notes
(`timbrel.notes.autoencoder`). Each decoder learns to make its domain's sound of the codes; if the
codes do not tell of which domain a sound was, then another domain's decoder makes its own sound of
them. A classifier that looks for the domain in the codes, and that the encoder is trained against,
sees to that. This file is the reference; it computes in (batch, time, channel).

All batches are ordered: item i is of domain i modulo the number of domains.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from timbrel.notes.autoencoder import Decoder, TemporalEncoder
from timbrel.translation_network.sizes import TranslationNetworkConfig

_CLASSIFIER_LAYERS = 3


class TranslationNetwork(nn.Module):
    """The encoder and all decoders."""

    def __init__(self, config: TranslationNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TemporalEncoder(config)
        self.decoders = nn.ModuleList(Decoder(config) for _ in range(config.n_domains))

    def forward(self, heard: Tensor, levels: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """Logits of the levels by the decoders of their own domains, and the codes.

        Parameters
        ----------
        heard
            The levels that the encoder is given, (batch, (context + frames + context) ·
            hop_length).
        levels
            Those that the decoders predict, given the ones before, (batch, frames · hop_length).
        context
            Frames at either end that only the encoder is given.

        Returns
        -------
        logits : Tensor, shape (batch, frames · hop_length, 256)
        codes : Tensor, shape (batch, frames, code_size)
        """
        codes = self.encoder(heard)
        codes = codes[:, context : codes.shape[1] - context]
        n = self.config.n_domains
        logits = [
            decoder(levels[domain::n], codes[domain::n])
            for domain, decoder in enumerate(self.decoders)
        ]
        return torch.stack(logits, dim=1).flatten(0, 1), codes


class DomainClassifier(nn.Module):
    """Codes → logits of the domains.

    Convolutions of one frame each, which are matrix products, with ELU between them; the logits
    are averaged over time.
    """

    def __init__(self, code_size: int, n_domains: int, size: int) -> None:
        super().__init__()
        sizes = [code_size, *[size] * _CLASSIFIER_LAYERS]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.output = nn.Linear(size, n_domains)

    def forward(self, codes: Tensor) -> Tensor:
        """From (batch, frames, code_size) to (batch, n_domains)."""
        x = codes
        for layer in self.layers:
            x = functional.elu(layer(x))
        return self.output(x).mean(dim=1)


def domains_of(n_items: int, n_domains: int, device: torch.device) -> Tensor:
    """The domains of a batch's items, int64, shape (n_items,)."""
    return torch.arange(n_items, device=device) % n_domains
