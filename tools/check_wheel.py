"""Check an installed Timbrel: that all its data came along, and that the engine runs.

Run it with the Python that Timbrel is installed in, from another folder than the sources'.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

import timbrel
from timbrel import Synthesizer
from timbrel.bundle import load_bundle, shipped_bundles
from timbrel.vocoder.benchmark import PUBLISHED, random_weights
from timbrel.vocoder.engine import PRECISIONS, Engine, instruction_sets
from timbrel.vocoder.wavenet_stream import engine_config

DATA = ("examples/prelude.mid", "examples/duet.mid", "evaluation/excerpts.csv", "py.typed")


def main() -> None:
    """Fail loudly if something is missing."""
    package = files("timbrel")
    for name in DATA:
        assert package.joinpath(name).is_file(), f"{name} is missing"
    models = [load_bundle(name).name for name in shipped_bundles()]
    assert "mel2mel" in models
    with package.joinpath("examples/prelude.mid").open("rb") as file:
        audio = Synthesizer.load().render(file.name, duration_s=1.0)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() > 0.01
    for isa in instruction_sets():
        for precision in PRECISIONS:
            engine = Engine(
                engine_config(PUBLISHED), random_weights(), precision=precision, isa=isa
            )
            session = engine.session([0])
            session.feed(np.zeros((1, 4, 80), np.float32))
            drawn = session.sample(128)
            assert len(np.unique(drawn)) > 10, (isa, precision)
    print(f"timbrel {timbrel.__version__}: {', '.join(models)}; {', '.join(instruction_sets())}")


if __name__ == "__main__":
    main()
