"""Check an installed Timbrel: that all its data came along, and that the engine runs.

Run it with the Python that Timbrel is installed in, from another folder than the sources'. With
``--page`` the page must be there, too, and be served.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import urllib.request
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
    if "--page" in sys.argv[1:]:
        check_page()
    print(f"timbrel {timbrel.__version__}: {', '.join(models)}; {', '.join(instruction_sets())}")


def check_page() -> None:
    """Serve the page and ask for all of it."""
    from timbrel.web.page import page_files
    from timbrel.web.server import make_server

    with make_server(page_files(), port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = urllib.request.urlopen(server.url).read()
        assert b"<title>Timbrel</title>" in index
        manifest = json.load(urllib.request.urlopen(f"{server.url}page.json"))
        paths = [manifest["runtime"], *(tune["path"] for tune in manifest["tunes"])]
        for entry in manifest["models"]:
            paths += [listed["path"] for listed in entry["files"].values()]
        assert any(entry["map"] for entry in manifest["models"])
        for path in paths:
            content = urllib.request.urlopen(server.url + path).read()
            if path.split("?")[0].endswith(".gz"):
                content = gzip.decompress(content)
            assert content, path
        server.shutdown()


if __name__ == "__main__":
    main()
