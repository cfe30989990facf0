"""Running a bundle of the autoencoder: audio of any length → codes → audio, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
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
from timbrel.notes.sampling import Decoder, QueueDecoder
from timbrel.notes.sizes import AutoencoderConfig
from timbrel.progress import Progress, silent
from timbrel.sound import read_audio

KIND = "notes-autoencoder"
ENCODER_FILE = "encoder.onnx"
CHUNK_FRAMES = 64
_SILENCE = 1e-4
_CODES_FORMAT = 1


@dataclass(frozen=True)
class Clip:
    """Codes of a clip, and how long it was."""

    name: str
    codes: np.ndarray  # (frames, code_size) float32
    n_samples: int


class NoteCodec:
    """Encoder and decoder of a bundle.

    Parameters
    ----------
    bundle
        Of kind "notes-autoencoder".
    threads
        Of the encoder.

    Raises
    ------
    InputError
        If a network of the bundle cannot be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        check_keys(bundle.model, get_type_hints(AutoencoderConfig), bundle.file(CONFIG_FILE))
        self.bundle = bundle
        self.config = AutoencoderConfig(**bundle.model)
        self.sample_rate = bundle.sample_rate
        self.hop_length, self.code_size = self.config.hop_length, self.config.code_size
        self._encoder = open_session(bundle, ENCODER_FILE, threads)
        self.identity = bundle_hash(bundle.path)

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

    def encode(self, audio: np.ndarray, *, progress: Progress = silent) -> np.ndarray:
        """Codes of audio of any length: float32, shape (frames, code_size).

        What does not fill the last frame is filled with silence. Chunks are encoded with so much
        around them that the codes are those of the whole.
        """
        hop, context = self.hop_length, self.config.context_frames
        n_frames = -(-len(audio) // hop)
        levels = compress(np.pad(audio, (0, n_frames * hop - len(audio)))).astype(np.float32)
        chunks = []
        starts = range(0, n_frames, CHUNK_FRAMES)
        for start in progress(starts, len(starts), "encoding"):
            stop = min(start + CHUNK_FRAMES, n_frames)
            first, last = max(start - context, 0), min(stop + context, n_frames)
            (codes,) = self._encoder.run(None, {"levels": levels[None, first * hop : last * hop]})
            chunks.append(codes[0, start - first : stop - first])
        return np.concatenate(chunks or [np.zeros((0, self.code_size), np.float32)])

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
        from safetensors.numpy import load_file

        weights = load_file(self.bundle.file(WEIGHTS_FILE))
        prefix = "decoder."
        return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}

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
            Of each sound, (frames, code_size).
        numbers
            Of the sounds; 0, 1, 2 … where it is None.
        seed, temperature
            See `timbrel.notes.sampling.Decoder`.
        progress
            Wraps the frames.
        """
        longest = max((len(some) for some in codes), default=0)
        if longest == 0:
            return [np.zeros(0, np.float32) for _ in codes]
        padded = np.zeros((len(codes), longest, self.code_size), np.float32)
        for row, some in zip(padded, codes, strict=True):
            row[: len(some)] = some
        numbers = range(len(codes)) if numbers is None else numbers
        stream = self.decoder().stream(numbers, seed=seed, temperature=temperature)
        sound_s = sum(map(len, codes)) * self.hop_length / self.sample_rate
        frames = progress(range(longest), longest, "decoding", sound_s=sound_s)
        audio = np.concatenate([stream.process(padded[:, i : i + 1]) for i in frames], axis=1)
        return [row[: len(some) * self.hop_length] for row, some in zip(audio, codes, strict=True)]

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
