"""Write the graphs of bundles anew, as this Timbrel exports them; weights stay as they are.

    python tools/export_again.py src/timbrel/models/mel2mel* src/timbrel/models/parallel*

Bundles that were exported before timbres could hold FiLM vectors need it to play such timbres. What
the old graphs and the new ones make of random notes is compared first.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from timbrel import Synthesizer
from timbrel.bundles.bundle import Bundle, load_bundle, write_sums
from timbrel.bundles.graph import graph_files
from timbrel.bundles.weights import WEIGHTS_FILE
from timbrel.files import atomic_path
from timbrel.mel.export import graphs_of
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.score.channels import DRUM_CHANNEL
from timbrel.score.score import Note, Score, Track
from timbrel.vocoder import parallel_export
from timbrel.vocoder.contrast import Contrast
from timbrel.vocoder.parallel import load_parallel

_TOLERANCE = 1e-4  # of samples
_SECONDS = 4.0
_STANDARD_KIT_KEYS = (36, 38, 42, 46, 49)


def export_again(bundle: Bundle) -> float:
    """Replace a bundle's graphs; gives the largest difference of samples."""
    files = _files_of(bundle)
    if files.pop(WEIGHTS_FILE) != bundle.file(WEIGHTS_FILE).read_bytes():
        raise SystemExit(f"{bundle.path}: its weights would not be the same")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(shutil.copytree(bundle.path, Path(folder) / bundle.name))
        for name, content in files.items():
            (made / name).write_bytes(content)
        write_sums(made)
        difference = float(np.abs(_played(load_bundle(made)) - _played(bundle)).max())
    if difference > _TOLERANCE:
        raise SystemExit(f"{bundle.path}: would sound different, by {difference:.1e}")
    for name, content in files.items():
        with atomic_path(bundle.path / name) as temporary:
            temporary.write_bytes(content)
    write_sums(bundle.path)
    return difference


def _files_of(bundle: Bundle) -> dict[str, bytes]:
    if bundle.kind == "mel2mel":
        mel2mel = load_mel2mel(bundle)
        return graph_files(mel2mel, graphs_of(mel2mel, bundle.mel.floor))
    if bundle.kind == "parallel":
        vocoder = load_parallel(bundle)
        contrast = Contrast.of_bundle(bundle.config, bundle.mel.n_mels, bundle.path)
        return graph_files(vocoder, parallel_export.graphs_of(vocoder, bundle.mel, contrast))
    raise SystemExit(f"{bundle.path}: is of kind {bundle.kind}, not mel2mel or parallel")


def _played(bundle: Bundle) -> np.ndarray:
    """What a bundle makes of random notes, (samples,)."""
    part = {"model": bundle.path} if bundle.kind == "mel2mel" else {"vocoder": bundle.path}
    synthesizer = Synthesizer.load(**part, threads=1)
    random = np.random.default_rng(0)
    starts = np.sort(random.uniform(0, _SECONDS - 0.5, 30)).tolist()
    notes = [
        Note(int(random.integers(36, 90)), int(random.integers(10, 128)), start, start + 0.4)
        for start in starts
    ]
    tracks = [
        Track(one.name, one.program, i, tuple(notes))
        for i, one in enumerate(synthesizer.instruments[:90:11])
    ]
    hits = [Note(_STANDARD_KIT_KEYS[i % 5], 90, s, s + 0.1) for i, s in enumerate(starts)]
    drums = [Track("drums", 0, DRUM_CHANNEL, tuple(hits), is_kit=True)]
    score = Score(tuple(tracks), drum_tracks=tuple(drums))
    return synthesizer.render(score, channels=1, normalize=False, dry=True)[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, help="folders of bundles")
    for path in parser.parse_args().bundles:
        difference = export_again(load_bundle(path))
        print(f"{path}: exported again; samples differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
