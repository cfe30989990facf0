"""Write the graphs of Mel2Mel bundles anew, as this Timbrel exports them; weights stay as they are.

    python tools/export_again.py src/timbrel/models/mel2mel*

Bundles that were exported before timbres could hold FiLM vectors need it to play such timbres. The
old graphs and the new ones are compared on a random roll first, with every instrument.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from timbrel.bundles.bundle import Bundle, load_bundle, write_sums
from timbrel.bundles.graph import without_weights
from timbrel.bundles.weights import WEIGHTS_FILE
from timbrel.files import atomic_path
from timbrel.mel.export import graphs_of
from timbrel.mel.generator import MelGenerator
from timbrel.mel.mel2mel import load_mel2mel
from timbrel.score.performance_roll import roll_of
from timbrel.score.score import Note, Track
from timbrel.timbre.timbre import Timbre

_TOLERANCE = 1e-5
_FRAMES = 500
_TRACKS_AT_ONCE = 8


def export_again(bundle: Bundle) -> float:
    """Replace a bundle's graphs; gives the largest difference of the mels, in nepers."""
    weights = bundle.file(WEIGHTS_FILE).read_bytes()
    graphs = {
        name: without_weights(graph, weights, WEIGHTS_FILE)
        for name, graph in graphs_of(load_mel2mel(bundle), bundle.mel.floor).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for path in bundle.path.iterdir():
            (made / path.name).write_bytes(graphs.get(path.name) or path.read_bytes())
        write_sums(made)
        difference = float(np.abs(_mels(load_bundle(made)) - _mels(bundle)).max())
    if difference > _TOLERANCE:
        raise SystemExit(f"{bundle.path}: would sound different, by {difference:.1e}")
    for name, content in graphs.items():
        with atomic_path(bundle.file(name)) as temporary:
            temporary.write_bytes(content)
    write_sums(bundle.path)
    return difference


def _mels(bundle: Bundle) -> np.ndarray:
    """What a bundle's instruments make of random notes, (instruments, frames, n_mels)."""
    random = np.random.default_rng(0)
    starts = np.sort(random.uniform(0, 3.5, 30)).tolist()
    notes = [
        Note(int(random.integers(36, 90)), int(random.integers(10, 128)), start, start + 0.4)
        for start in starts
    ]
    track = Track("random", 0, 0, tuple(notes))
    roll = roll_of(bundle.roll, track, notes, bundle.mel.frame_rate)
    generator, mels = MelGenerator(bundle), []
    for start in range(0, len(bundle.instruments), _TRACKS_AT_ONCE):
        some = bundle.instruments[start : start + _TRACKS_AT_ONCE]
        timbres = [Timbre.constant(one.embedding) for one in some]
        blocks = generator.stream([roll] * len(some), timbres, _FRAMES)
        mels.append(np.concatenate(list(blocks), axis=1))
    return np.concatenate(mels)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path, help="folders of Mel2Mel bundles")
    for path in parser.parse_args().bundles:
        difference = export_again(load_bundle(path, kind="mel2mel"))
        print(f"{path}: exported again; the mels differ by {difference:.1e} at most")


if __name__ == "__main__":
    main()
