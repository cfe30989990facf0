"""Check an installed Timbrel: that all its data came along, and that the engine runs.

Run it with the Python that Timbrel is installed in, from another folder than the sources'. With
``--page`` the page must be there, too, and be served; with ``--only-page`` nothing else is checked.
"""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import urllib.request
from importlib.resources import files

import numpy as np

import timbrel
from timbrel import Synthesizer
from timbrel.bundles.bundle import load_bundle, shipped_bundles
from timbrel.engine.wavenet import Engine, instruction_sets, precisions
from timbrel.vocoder.benchmark import PUBLISHED, random_weights
from timbrel.vocoder.wavenet_stream import engine_config

DATA = ("examples/prelude.mid", "examples/duet.mid", "evaluation/excerpts.csv", "py.typed")

WAVENET_BUILDS = {"wavenet.wasm", "wavenet-relaxed.wasm"}  # of the page's engine


def main() -> None:
    """Fail loudly if something is missing."""
    if "--only-page" in sys.argv[1:]:
        check_page()
        return
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
        for precision in precisions(isa):
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
    """Let `timbrel serve` serve the page and ask for all of it."""
    command = [sys.executable, "-m", "timbrel", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split(" ")[0]
        try:
            check_answers(url)
        finally:
            process.terminate()
    print(f"the page is served whole; network: {'yes' if has_network() else 'none'}")


def check_answers(url: str) -> None:
    """Ask a server for all of the page."""
    index = urllib.request.urlopen(url).read()
    assert b"<title>Timbrel</title>" in index
    manifest = json.load(urllib.request.urlopen(f"{url}page.json"))
    assert set(manifest["wavenet"]) == WAVENET_BUILDS
    paths = [manifest["runtime"], *(tune["path"] for tune in manifest["tunes"])]
    paths += [listed["path"] for listed in manifest["wavenet"].values()]
    for entry in manifest["models"]:
        paths += [listed["path"] for listed in entry["files"].values()]
    assert any(entry["map"] for entry in manifest["models"])
    for path in paths:
        content = urllib.request.urlopen(url + path).read()
        if path.split("?")[0].endswith(".gz"):
            content = gzip.decompress(content)
        assert content, path


def has_network() -> bool:
    """Whether there is a way out of this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    main()
