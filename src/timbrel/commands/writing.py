"""Audio files of a stream, written block by block: of the loudness that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timbrel.audio_stream import AudioStream, Block, split_parts
from timbrel.commands.outputs import Target
from timbrel.errors import printable
from timbrel.files import make_folder
from timbrel.loudness import LoudnessMeter
from timbrel.mastering import Mastering, fitted_mastering, mastered
from timbrel.progress import Progress, silent
from timbrel.sound import AudioWriter, audio_path
from timbrel.spool import Spool

_UNBOUNDED = "32f"  # the bit depth that holds what is louder than full scale


@dataclass(frozen=True)
class FileOptions:
    """How the sound of a score becomes files."""

    sample_rate: int | None = None  # Hz, to which they are resampled; the stream's where it is None
    bit_depth: str | None = None  # see `AudioWriter`


def render_file(
    stream: AudioStream,
    target: Target,
    options: FileOptions | None = None,
    *,
    progress: Progress = silent,
) -> Mastering:
    """Write a stream of `Synthesizer` to a file, and its tracks to theirs if they have some.

    Folders are created; files appear when they are complete. Where a loudness was asked for, the
    sound waits in a temporary file until it is measured, unless it goes to standard output, a pipe
    or a device while it is made.

    Parameters
    ----------
    progress
        Wraps the blocks.

    Returns
    -------
    mastering : Mastering
        The gain of the mix, and what was measured behind it.
    """
    with ExitStack() as stack:
        for path in target.paths:
            make_folder(path.parent)
        # The files are closed before they are moved to where they belong.
        places = [stack.enter_context(audio_path(path)) for path in target.paths]
        with ExitStack() as opened:
            writers = _Writers(stream, places, options or FileOptions(), opened)
            blocks = progress(
                stream.unmastered(),
                stream.n_blocks,
                printable(target.mix.name),
                sound_s=stream.duration_s,
            )
            if stream.loudness_lufs is None or places[0] == target.mix:
                return _written_at_once(stream, blocks, writers)
            return _written_in_two_passes(stream, blocks, writers, places[0])


class _Writers:
    """The mix's file and those of the tracks."""

    def __init__(
        self, stream: AudioStream, places: Sequence[Path], options: FileOptions, opened: ExitStack
    ) -> None:
        self._stream, self._places, self._options, self._opened = stream, places, options, opened
        self._mix = self._open(places[0], stream.channels)
        self._tracks: list[AudioWriter] = []

    def write_pre_fader(self, block: Block) -> None:
        """Write the tracks of a block if they are to be as they were computed."""
        if block.tracks.ndim < 3:
            self._write_tracks(block.tracks)

    def write_parts(self, parts: np.ndarray) -> None:
        """Write the mix, and the tracks if they are parts of it."""
        mix, tracks = split_parts(parts, self._stream.channels)
        self._mix.write(mix)
        if len(tracks):
            self._write_tracks(tracks)

    def _write_tracks(self, tracks: np.ndarray) -> None:
        channels = self._stream.channels if tracks.ndim == 3 else 1
        if not self._tracks:
            self._tracks = [self._open(place, channels) for place in self._places[1:]]
        for writer, sound in zip(self._tracks, tracks, strict=False):
            is_bounded = self._options.bit_depth != _UNBOUNDED
            writer.write(np.clip(sound, -1, 1) if is_bounded else sound)

    def _open(self, place: Path, channels: int) -> AudioWriter:
        writer = AudioWriter(
            place,
            self._stream.sample_rate,
            channels,
            file_rate=self._options.sample_rate,
            n_samples=self._stream.length,
            bit_depth=self._options.bit_depth,
            dither=True,
        )
        return self._opened.enter_context(writer)


def _written_at_once(stream: AudioStream, blocks: Iterable[Block], writers: _Writers) -> Mastering:
    meter = LoudnessMeter(stream.sample_rate, stream.channels)

    def parts() -> Iterator[np.ndarray]:
        for block in blocks:
            writers.write_pre_fader(block)
            yield block.parts

    rate, channels = stream.sample_rate, stream.channels
    for loud in mastered(parts(), rate, channels, gain_db=stream.gain_db):
        writers.write_parts(loud)
        meter.add(loud[:, :channels])
    return Mastering(stream.gain_db, meter.measured)


def _written_in_two_passes(
    stream: AudioStream, blocks: Iterable[Block], writers: _Writers, beside: Path
) -> Mastering:
    rate, channels = stream.sample_rate, stream.channels
    assert stream.loudness_lufs is not None
    meter = LoudnessMeter(rate, channels)
    with ExitStack() as stack:
        spool = None
        for block in blocks:
            writers.write_pre_fader(block)
            parts = block.parts
            spool = spool or stack.enter_context(Spool(beside, parts.shape[1]))
            spool.write(parts)
            meter.add(block.mix)
        assert spool is not None
        mastering = fitted_mastering(
            meter.measured,
            lambda: (parts[:, :channels] for parts in spool),
            rate,
            channels,
            loudness_lufs=stream.loudness_lufs,
        )
        for loud in mastered(spool, rate, channels, gain_db=mastering.gain_db):
            writers.write_parts(loud)
    return mastering
