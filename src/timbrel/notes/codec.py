"""Running a bundle of the autoencoder: audio of any length → codes → audio, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from timbrel.bundles.bundle import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Bundle,
    bundle_hash,
    check_keys,
    load_bundle,
)
from timbrel.bundles.session import open_session
from timbrel.engine.companding import compress
from timbrel.errors import InputError
from timbrel.files import atomic_path
from timbrel.notes.code_mel import CodeMel
from timbrel.notes.sampling import Conditioning, Decoder, QueueDecoder
from timbrel.notes.sizes import SPECTRUM_MEL, AutoencoderConfig, NoteAutoencoderConfig
from timbrel.progress import Progress, silent
from timbrel.sound import read_audio
from timbrel.vocoder.post_filter import PostFilter, PostFilterPass

KIND = "notes-autoencoder"
ENCODER_FILE = "encoder.onnx"
CHUNK_FRAMES = 64
_SILENCE = 1e-4
_CODES_FORMAT = 1
# Exponent of magnitudes of which mixes are means: logarithms (an exponent of 0) make what only one
# sound has too soft, and magnitudes make of a mix two sounds at once.
_COMPRESSION = 0.3


@dataclass(frozen=True)
class Clip:
    """Codes of a clip, and how long it was."""

    name: str
    codes: np.ndarray  # (frames, code_size) float32
    n_samples: int


class WaveNetCodec:
    """The encoder of a bundle, and one of its decoders.

    Parameters
    ----------
    bundle
        Holds the encoder's graph, and the weights.
    config
        The sizes of both.
    decoder
        What the names of the decoder's weights begin with.
    threads
        Of the encoder.

    Raises
    ------
    InputError
        If a network of the bundle cannot be run.
    """

    def __init__(
        self,
        bundle: Bundle,
        config: AutoencoderConfig,
        *,
        decoder: str = "decoder.",
        threads: int = 1,
    ) -> None:
        self.bundle, self.config = bundle, config
        self.sample_rate = bundle.sample_rate
        self.hop_length, self.code_size = config.hop_length, config.code_size
        self._decoder_prefix = decoder
        self._encoder = open_session(bundle, ENCODER_FILE, threads)

    def encode(self, audio: np.ndarray, *, progress: Progress = silent) -> np.ndarray:
        """Codes of audio of any length: float32, shape (frames, code_size).

        What does not fill the last frame is filled with silence. Chunks are encoded with so much
        around them that the codes are those of the whole.
        """
        n_chunks = -(-len(audio) // (CHUNK_FRAMES * self.hop_length))
        chunks = progress(self.encode_blocks([audio]), n_chunks, "encoding")
        return np.concatenate([np.zeros((0, self.code_size), np.float32), *chunks])

    def encode_blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes of audio that comes in blocks of any lengths, in memory for some chunks.

        Every chunk has CHUNK_FRAMES codes, but for the last one; together they are those of
        `encode`.
        """
        hop, context = self.hop_length, self.config.context_frames
        held = np.zeros(0, np.float32)  # from `behind` frames before the next chunk on
        behind = 0
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) >= (behind + CHUNK_FRAMES + context) * hop:
                yield self._codes(held, behind, CHUNK_FRAMES)
                held, behind = self._after_a_chunk(held, behind)
        n_frames = -(-len(held) // hop) - behind
        held = np.pad(held, (0, (behind + n_frames) * hop - len(held)))
        while n_frames > 0:
            yield self._codes(held, behind, min(n_frames, CHUNK_FRAMES))
            held, behind = self._after_a_chunk(held, behind)
            n_frames -= CHUNK_FRAMES

    def _codes(self, held: np.ndarray, behind: int, n_frames: int) -> np.ndarray:
        """Codes of some frames of audio, which begin behind others; at the end is what follows."""
        last = (behind + n_frames + self.config.context_frames) * self.hop_length
        levels = compress(held[:last]).astype(np.float32)
        (codes,) = self._encoder.run(None, {"levels": levels[None]})
        return codes[0, behind : behind + n_frames]

    def _after_a_chunk(self, held: np.ndarray, behind: int) -> tuple[np.ndarray, int]:
        """What the next chunk needs of the audio, and how many frames of it lie behind."""
        kept = min(behind + CHUNK_FRAMES, self.config.context_frames)
        return held[(behind + CHUNK_FRAMES - kept) * self.hop_length :], kept

    def decoder(self) -> Decoder:
        """The decoder with the bundle's weights, in the native engine."""
        from timbrel.notes.engine_decoder import EngineDecoder

        return EngineDecoder(self._decoder_weights(), self.config)

    def reference_decoder(self) -> QueueDecoder:
        """The same in NumPy, slowly."""
        return QueueDecoder(
            self._decoder_weights(),
            dilations=self.config.decoder_dilations,
            hop_length=self.hop_length,
        )

    def _decoder_weights(self) -> dict[str, np.ndarray]:
        return self._weights(self._decoder_prefix)

    def _weights(self, prefix: str) -> dict[str, np.ndarray]:
        """Those whose names begin so, without that."""
        from safetensors.numpy import load_file

        weights = load_file(self.bundle.file(WEIGHTS_FILE))
        return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


class NoteCodec(WaveNetCodec):
    """Encoder and decoder of a bundle of kind "notes-autoencoder".

    Parameters
    ----------
    bundle
        Of that kind.
    threads
        Of the encoder.

    Raises
    ------
    InputError
        If a network of the bundle cannot be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        where = bundle.file(CONFIG_FILE)
        sizes = {"spectrum_size": 0} | bundle.model  # of which older bundles say nothing
        check_keys(sizes, get_type_hints(NoteAutoencoderConfig), where)
        super().__init__(bundle, NoteAutoencoderConfig(**sizes), threads=threads)
        self.identity = bundle_hash(bundle.path)
        self._post_filter = PostFilter.of_bundle(bundle.config, where)
        if self._post_filter is not None and not sizes["spectrum_size"]:
            raise InputError(
                f"{where}: has a post-filter, but no 'spectrum_size': nothing tells its mel"
            )

    @classmethod
    def load(cls, name_or_path: str | os.PathLike, *, threads: int = 1) -> NoteCodec:
        """Load a shipped model by its name, or a bundle's folder."""
        return cls(load_bundle(name_or_path, kind=KIND), threads=threads)

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """Audio of a file, mono, at the model's rate: float32, shape (samples,).

        Raises
        ------
        InputError
            If the file cannot be read, or is empty or silent.
        """
        audio, _ = read_audio(path, sample_rate=self.sample_rate)
        if len(audio) == 0:
            raise InputError(f"{path}: is empty")
        if not np.isfinite(audio).all():
            raise InputError(f"{path}: holds samples that are not finite")
        if np.abs(audio).max() < _SILENCE:
            raise InputError(f"{path}: is silent; there is nothing to encode")
        return audio

    def decode(
        self,
        codes: Sequence[np.ndarray],
        *,
        numbers: Sequence[int] | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        progress: Progress = silent,
    ) -> list[np.ndarray]:
        """Audio of some codes, side by side: float32, shape (frames · hop_length,) each.

        Parameters
        ----------
        codes
            Of each sound, (frames, code_size), or as `with_mels` gives them.
        numbers
            Of the sounds; 0, 1, 2 … where it is None.
        seed, temperature
            See `timbrel.notes.sampling.Decoder`.
        progress
            Wraps the frames.
        """
        codes = [self.with_mels(c) if c.shape[1] == self.code_size else c for c in codes]
        longest = max((len(some) for some in codes), default=0)
        if longest == 0:
            return [np.zeros(0, np.float32) for _ in codes]
        padded = np.zeros((len(codes), longest, self.code_size), np.float32)
        for row, some in zip(padded, codes, strict=True):
            row[: len(some)] = some[:, : self.code_size]
        numbers = range(len(codes)) if numbers is None else numbers
        stream = self.decoder().stream(numbers, seed=seed, temperature=temperature)
        sound_s = sum(map(len, codes)) * self.hop_length / self.sample_rate
        frames = progress(range(longest), longest, "decoding", sound_s=sound_s)
        audio = np.concatenate([stream.process(padded[:, i : i + 1]) for i in frames], axis=1)
        sounds = [
            row[: len(some) * self.hop_length] for row, some in zip(audio, codes, strict=True)
        ]
        return self._held(sounds, codes)

    @cached_property
    def _mel_of(self) -> CodeMel:
        """Read when it is first wanted: encoding alone needs no weights of a decoder."""
        return CodeMel(self._weights("spectrum."), Conditioning(self._decoder_weights()))

    def with_mels(self, codes: np.ndarray) -> np.ndarray:
        """Codes with the mels that they tell, side by side, where the sound is held to a mel.

        What is mixed of such, or stretched, is mixed in both: the mel half way between two is the
        mean of theirs, and not what the mean of their codes would tell. The mean is of compressed
        magnitudes.

        Parameters
        ----------
        codes
            Shape (frames, code_size).

        Returns
        -------
        ndarray of float32, shape (frames, code_size + hops · n_mels); or the codes as they are
        """
        if self._post_filter is None:
            return codes
        compressed = np.exp(_COMPRESSION * self._mel_of(codes[None]))
        return np.concatenate([codes, compressed.reshape(len(codes), -1)], axis=1)

    def _held(self, sounds: list[np.ndarray], codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Sounds, held to the mels beside their codes, and as loud as before.

        How loud all is, the decoder knows better than what tells the mel.
        """
        if self._post_filter is None:
            return sounds
        least = np.exp(_COMPRESSION * SPECTRUM_MEL.log_floor)
        held = []
        for sound, some in zip(sounds, codes, strict=True):
            compressed = some[None, :, self.code_size :].reshape(1, -1, SPECTRUM_MEL.n_mels)
            mel = (np.log(np.maximum(compressed, least)) / _COMPRESSION).astype(np.float32)
            audio = sound[None]
            for _ in range(self._post_filter.passes):
                audio = PostFilterPass(1, SPECTRUM_MEL).process(audio, mel, last=True)
            held.append(_as_loud(audio[0], sound))
        return held

    def save_codes(self, path: str | os.PathLike, clips: Sequence[Clip]) -> None:
        """Write codes as an .npz file that says which model made them."""
        arrays: dict[str, Any] = {
            "format": np.array(_CODES_FORMAT),
            "model": np.array(self.bundle.name),
            "model_sha256": np.array(self.identity),
            "names": np.array([clip.name for clip in clips]),
            "n_samples": np.array([clip.n_samples for clip in clips], np.int64),
            "n_frames": np.array([len(clip.codes) for clip in clips], np.int64),
            "codes": np.concatenate([clip.codes for clip in clips]).astype(np.float32),
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def load_codes(self, path: str | os.PathLike) -> list[Clip]:
        """Read what `save_codes` wrote.

        Raises
        ------
        InputError
            If the file holds no codes, or those of another model.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as found:
                content = {name: found[name] for name in found.files}
            version = int(content["format"])
            names, n_samples = content["names"].tolist(), content["n_samples"].tolist()
            n_frames, codes = content["n_frames"], content["codes"]
            made_by, identity = str(content["model"]), str(content["model_sha256"])
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        except Exception as error:  # zip files and arrays can be damaged in many ways
            raise InputError(f"{path}: holds no codes of Timbrel ({error})") from None
        if version != _CODES_FORMAT:
            raise InputError(f"{path}: has format {version}; this Timbrel reads {_CODES_FORMAT}")
        if identity != self.identity:
            raise InputError(
                f"{path}: holds codes of another model ('{made_by}', not these weights of "
                f"'{self.bundle.name}'); give --model, or encode the clips again"
            )
        if codes.shape != (n_frames.sum(), self.code_size) or not np.isfinite(codes).all():
            raise InputError(f"{path}: is damaged (its codes do not fit together)")
        parts = np.split(codes, np.cumsum(n_frames)[:-1])
        return [Clip(*values) for values in zip(names, parts, n_samples, strict=True)]


def _as_loud(audio: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A sound with the mean square of another one, but not beyond full scale."""
    level, peak = np.sqrt(np.square(audio).mean()), np.abs(audio).max()
    if not peak:
        return audio
    return audio * np.float32(min(np.sqrt(np.square(other).mean()) / level, 1 / peak))
