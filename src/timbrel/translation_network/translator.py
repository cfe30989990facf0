"""A bundle of a translation network at work: recordings → the sound of a domain, without PyTorch.

The encoder runs as ONNX, the domain's decoder in the native engine, both as for notes
(`timbrel.notes.codec`), chunk by chunk, in memory that does not depend on the length.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from typing import get_type_hints

import numpy as np

from timbrel.audio_stream import AudioStream, Block
from timbrel.bundles.bundle import CONFIG_FILE, Bundle, check_keys, load_bundle
from timbrel.errors import InputError
from timbrel.mastering import measured_loudness
from timbrel.notes.codec import CHUNK_FRAMES, WaveNetCodec
from timbrel.render_options import LOUDEST_LUFS, SOFTEST_LUFS
from timbrel.transcription.recording import Recording
from timbrel.translation_network.sizes import TranslationNetworkConfig

KIND = "translation-network"


class NetworkTranslator:
    """Plays recordings as the sound of one domain.

    Parameters
    ----------
    bundle
        Of kind "translation-network".
    domain
        The name of one of its domains.
    threads
        Of the encoder.

    Raises
    ------
    InputError
        If the bundle has no such domain, or its networks cannot be run.
    """

    def __init__(self, bundle: Bundle, domain: str, *, threads: int = 1) -> None:
        where = bundle.file(CONFIG_FILE)
        check_keys(bundle.model, get_type_hints(TranslationNetworkConfig), where)
        config = TranslationNetworkConfig(**bundle.model)
        domains = domain_names(bundle)
        if len(domains) != config.n_domains:
            raise InputError(f"{where}: names {len(domains)} of {config.n_domains} domains")
        if domain not in domains:
            known = ", ".join(domains)
            raise InputError(f"{bundle.path}: has no domain '{domain}'; it has: {known}")
        prefix = f"decoders.{domains.index(domain)}."
        self.codec = WaveNetCodec(bundle, config, decoder=prefix, threads=threads)
        self.bundle, self.domain = bundle, domain

    @classmethod
    def load(
        cls, name_or_path: str | os.PathLike, domain: str, *, threads: int = 1
    ) -> NetworkTranslator:
        """Load a bundle's folder."""
        return cls(load_network(name_or_path), domain, threads=threads)

    def translate(
        self,
        recording: Recording,
        *,
        loudness_lufs: float | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> AudioStream:
        """Prepare to play a recording as the domain: the sound is computed while it is read.

        Parameters
        ----------
        recording
            What `timbrel.transcription.recording.look_into` found in an audio file.
        loudness_lufs
            Of the sound; where it is None, that of the recording.
        temperature, seed
            See `timbrel.notes.sampling.Decoder`.

        Raises
        ------
        InputError
            If the recording is silent.
        """
        if recording.is_silent:
            raise InputError(f"{recording.path}: is silent; there is nothing to translate")
        codec = self.codec
        rate = codec.sample_rate
        n_samples = max(round(recording.duration_s * rate), 1)
        own_lufs = _loudness(recording, rate)
        wanted_lufs = own_lufs if loudness_lufs is None else loudness_lufs

        def play() -> Iterator[Block]:
            stream = codec.decoder().stream([0], seed=seed, temperature=temperature)
            left = n_samples
            for codes in codec.encode_blocks(_exactly(recording.blocks(rate), n_samples)):
                mix = stream.process(codes[None])[0, :left, None]
                left -= len(mix)
                yield Block(mix, np.zeros((0, len(mix)), np.float32))

        return AudioStream(
            length=n_samples,
            sample_rate=rate,
            channels=1,
            n_blocks=math.ceil(n_samples / (CHUNK_FRAMES * codec.hop_length)),
            n_voices=1,
            notes_left_out=0,
            timbres=(),
            loudness_lufs=wanted_lufs,
            gain_db=wanted_lufs - own_lufs,  # a decoder is about as loud as what is heard
            _play=play,
        )


def load_network(name_or_path: str | os.PathLike) -> Bundle:
    """Load the bundle of a translation network.

    Raises
    ------
    InputError
        If there is no such bundle, or it is of another kind.
    """
    return load_bundle(name_or_path, kind=KIND)


def domain_names(bundle: Bundle) -> list[str]:
    """The names of a bundle's domains, in the order of their decoders."""
    return [str(name) for name in bundle.config["domains"]]


def _loudness(recording: Recording, sample_rate: int) -> float:
    """The loudness of a recording in mono, within what can be asked for."""
    blocks = (block[:, None] for block in recording.blocks(sample_rate))
    found = measured_loudness(blocks, sample_rate, 1)
    return float(np.clip(found.integrated_lufs, SOFTEST_LUFS, LOUDEST_LUFS))


def _exactly(blocks: Iterable[np.ndarray], n_samples: int) -> Iterator[np.ndarray]:
    """Blocks of so many samples in all: a resampler may give one more or one less."""
    left = n_samples
    for block in blocks:
        yield block[:left]
        left -= len(block[:left])
    yield np.zeros(left, np.float32)
