"""Runs the engine's WebAssembly in Node or in Chromium on a case: configuration, weights, mel."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "wasm"  # where `make wasm` puts it
PLAIN, RELAXED = "wavenet.wasm", "wavenet-relaxed.wasm"
_IN_PAGE = """async (module) => {
    const { runCase } = await import("./run_case.mjs");
    const bytes = await (await fetch(module)).arrayBuffer();
    const given = await (await fetch("case.json")).json();
    return runCase(await import("./wavenet.mjs"), bytes, given);
}"""


def write_case(
    folder: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    *,
    mel: np.ndarray,
    forced: np.ndarray,
    seed: int = 0,
) -> None:
    """Put all that a page or Node needs into a folder."""
    case = {
        "config": config,
        "weights": {name: encoded(values) for name, values in weights.items()},
        "mel": encoded(mel),
        "forced": encoded(forced),
        "streams": len(mel),
        "seed": seed,
    }
    (folder / "case.json").write_text(json.dumps(case))
    for path in (BUILT / PLAIN, BUILT / RELAXED, BUILT / "wavenet.mjs"):
        shutil.copy(path, folder)
    shutil.copy(ROOT / "native" / "wasm" / "run_case.mjs", folder)
    (folder / "index.html").write_text("<!doctype html><title>engine</title>")


def run_in_node(folder: Path, module: str) -> dict[str, Any]:
    """Run a case; needs `node`."""
    files = [folder / "wavenet.mjs", folder / module, folder / "case.json"]
    done = subprocess.run(
        ["node", folder / "run_case.mjs", *files], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def run_in_chromium(folder: Path, module: str) -> dict[str, Any]:
    """Run a case in a page; needs the package playwright and the program `chromium`."""
    from playwright.sync_api import sync_playwright

    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/index.html")
        found = page.evaluate(_IN_PAGE, module)
        browser.close()
        server.shutdown()
    return found


def encoded(array: np.ndarray) -> str:
    """Single-precision numbers as text."""
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


def decoded(text: str) -> np.ndarray:
    """What `encoded` made text of, flat."""
    return np.frombuffer(base64.b64decode(text), np.float32)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""
