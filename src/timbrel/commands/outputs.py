"""Scores → audio files: choosing the paths. `timbrel.commands.writing` writes the files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timbrel.errors import OutputError
from timbrel.files import STDOUT, check_distinct, check_output, fitting_name, is_stream
from timbrel.score.score import Score, Track
from timbrel.sound import audio_format

_LABEL_LENGTH = 40  # of a track's name in the name of its file


@dataclass(frozen=True)
class Target:
    """Where the sound of one score goes."""

    mix: Path
    stems: tuple[Path, ...]  # one for each track, or none

    @property
    def is_live(self) -> bool:
        """Whether the mix goes to standard output, a pipe or a device."""
        return self.mix == STDOUT or is_stream(self.mix)

    @property
    def name(self) -> str:
        return "standard output" if self.mix == STDOUT else str(self.mix)

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.mix, *self.stems)


class Outputs:
    """Where the sounds of some scores will go, checked before any work is done.

    Parameters
    ----------
    files
        MIDI files.
    output
        A file for one score; a folder (one that exists, one with '/' at the end, or a name
        without an extension) for WAV files of any number; '-', a pipe or a device for one score as
        WAV; None for WAV files in the current folder. Folders need not exist yet.
    subfolders
        For each file, where in the folder of outputs its sounds go; none where there are none.
    stems
        A folder for the tracks' own sounds.
    force
        Overwrite files that exist.
    bit_depth
        Of the files; see `AudioWriter`.

    Raises
    ------
    OutputError
        If there is one output for several scores, or of a format that cannot be written.
    """

    def __init__(
        self,
        files: Sequence[Path],
        output: str | os.PathLike | None,
        *,
        subfolders: Sequence[Path] = (),
        stems: Path | None = None,
        force: bool = False,
        bit_depth: str | None = None,
    ) -> None:
        name = os.fspath(output or ".")
        self._files, self._stems, self._force = files, stems, force
        self._subfolders = subfolders or [Path()] * len(files)
        self._path = Path(name)
        is_stdout = name == str(STDOUT)  # but './-' is a folder
        is_single = is_stdout or is_stream(name)
        self._is_folder = not is_single and (
            self._path.is_dir() or name.endswith(("/", os.sep)) or not self._path.suffix
        )
        if self._is_folder:
            return
        if len(files) > 1:
            what = "standard output" if is_stdout else name
            raise OutputError(f"{what}: is one file for {len(files)} sounds; name a folder")
        audio_format(self._path, bit_depth)
        if is_stdout and sys.stdout.isatty():
            raise OutputError("standard output: is a terminal; send it to a program or a file")

    def plan(self, scores: Mapping[int, Score | None]) -> dict[int, Target]:
        """Where each score's sound, or that of each recording, will go.

        Parameters
        ----------
        scores
            What the files hold, by their places; those that could not be read are left out. None
            where there are no tracks to be written.

        Raises
        ------
        OutputError
            If a file exists, cannot be written, or would be written twice.
        """
        targets = {place: self._target(place, score) for place, score in scores.items()}
        for target in targets.values():
            if target.mix != STDOUT:
                check_output(target.mix, force=self._force, may_create=self._is_folder)
            for path in target.stems:
                check_output(path, force=self._force, may_create=True)
        paths = [path for target in targets.values() for path in target.paths]
        check_distinct(paths, "render into folders of their own")
        return targets

    def _target(self, place: int, score: Score | None) -> Target:
        file, subfolder, mix = self._files[place], self._subfolders[place], self._path
        if self._is_folder:
            mix = mix / subfolder / fitting_name(file.stem, ".wav")
        if self._stems is None or score is None:
            return Target(mix, ())
        named = Path(f"{file.stem}.wav") if Target(mix, ()).is_live else mix
        names = (_stem_name(named, *numbered) for numbered in enumerate(score.tracks, 1))
        return Target(mix, tuple(self._stems / subfolder / name for name in names))


def _stem_name(mix: Path, number: int, track: Track) -> str:
    """The name of a track's file: where it is too long, the track's own name is cut first."""
    label = re.sub(r"[^\w-]+", "-", track.name).strip("-").lower()[:_LABEL_LENGTH] or "track"
    numbered = fitting_name(mix.stem, f"-{number:02}{mix.suffix}").removesuffix(mix.suffix)
    whole = fitting_name(f"{numbered}-{label}", mix.suffix).removesuffix(mix.suffix)
    return whole.rstrip("-") + mix.suffix
