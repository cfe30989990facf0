"""The engine as WebAssembly, in Node and in Chromium, against the reference and its golden logits."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from small_wavenet import mel_of, predicted, samples_of, small_wavenet

from timbrel.vocoder.wavenet_stream import engine_config, engine_weights

BUILT = Path(__file__).parents[2] / "build" / "wasm"
RUNNER = Path(__file__).with_name("run_wasm.mjs")
MODULES = ("wavenet.wasm", "wavenet-relaxed.wasm")
STREAMS, FRAMES = 3, 6
TOLERANCES = {"float32": (1e-4, 1e-5), "int16": (2e-2, 2e-3), "int8": (1.5, 0.15)}

pytestmark = pytest.mark.skipif(
    not (BUILT / MODULES[1]).is_file(), reason="the WebAssembly is not built; run: make wasm"
)


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    model = small_wavenet()
    return predicted(model, samples_of(model, FRAMES, STREAMS), mel_of(model, FRAMES, STREAMS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a page needs: the modules, the runner, and a case."""
    model = small_wavenet()
    sizes = asdict(model.config)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    case = {
        "config": engine_config(sizes),
        "weights": {name: encoded(w) for name, w in engine_weights(weights, sizes).items()},
        "mel": encoded(mel_of(model, FRAMES, STREAMS)),
        "forced": encoded(samples_of(model, FRAMES, STREAMS)),
        "streams": STREAMS,
        "seed": 7,
    }
    path = tmp_path_factory.mktemp("wasm")
    (path / "case.json").write_text(json.dumps(case))
    for name in (*MODULES, "wavenet.mjs"):
        shutil.copy(BUILT / name, path)
    shutil.copy(RUNNER, path)
    (path / "index.html").write_text("<!doctype html><title>engine</title>")
    return path


@pytest.fixture(scope="module")
def in_node(folder: Path) -> Callable[[str], dict]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")

    def run(module: str) -> dict:
        files = [folder / "wavenet.mjs", folder / module, folder / "case.json"]
        done = subprocess.run(
            [node, folder / "run_wasm.mjs", *files], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def in_chromium(folder: Path) -> Callable[[str], dict]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")

    def run(module: str) -> dict:
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with playwright.sync_playwright() as p:
                browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page()
                page.goto(f"http://127.0.0.1:{server.server_address[1]}/index.html")
                found = page.evaluate(
                    """async (module) => {
                        const { runCase } = await import("./run_wasm.mjs");
                        const bytes = await (await fetch(module)).arrayBuffer();
                        const given = await (await fetch("case.json")).json();
                        return runCase(await import("./wavenet.mjs"), bytes, given);
                    }""",
                    module,
                )
                browser.close()
            server.shutdown()
        return found

    return run


@pytest.mark.parametrize("where", ["in_node", "in_chromium"])
@pytest.mark.parametrize("module", MODULES)
def test_predictions_are_those_of_the_reference(
    where: str, module: str, expected: np.ndarray, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(where)
    if module == MODULES[1] and not run(MODULES[0])["relaxed"]:
        pytest.skip("relaxed SIMD is not known here")
    results = run(module)
    for precision, (largest, mean) in TOLERANCES.items():
        found = decoded(results["predictions"][precision]).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, atol=largest, rtol=0)
        assert abs(found - expected).mean() < mean
        drawn = decoded(results["samples"][precision])
        assert drawn.shape == (STREAMS * FRAMES * 32,)
        assert len(np.unique(drawn)) > 20
    assert results["errors"] == [
        *["more samples are asked for than the conditioning is enough for"] * 3,
        "the weight 'layers.0.taps.2.weight' is missing",
        "there is no precision 'int4'",
    ]
