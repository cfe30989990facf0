"""Build the page into src/timbrel/web/static/: needs the extra "page", which brings Node.

Beside what Vite makes of web/ it holds ONNX Runtime and the WaveNet engine, compressed, and what
the page's timbre maps show, measured from the shipped models. The WaveNet engine is left out where
its compiler is missing, which the extra "wasm" brings.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import build_wasm

from timbrel.bundles.bundle import Bundle, bundle_hash, load_bundle, shipped_bundles
from timbrel.evaluation.instrument_map import instrument_map
from timbrel.evaluation.timbre_space import timbre_map
from timbrel.web.page import MAPS_FILE, STATIC, WAVENET_FOLDER

WEB = Path(__file__).parents[1] / "web"
RUNTIME = WEB / "node_modules" / "onnxruntime-web"
MAP_SIZE = 33  # points of a map's side
# Kept from build to build:
MEASURED = WEB.parent / "build" / MAPS_FILE
ENGINE = WEB.parent / "build" / "wasm"


def main() -> None:
    """Build all of it."""
    npm("run", "build")  # empties the folder
    version = json.loads((RUNTIME / "package.json").read_text())["version"]
    wasm = RUNTIME / "dist" / "ort-wasm-simd-threaded.wasm"
    target = STATIC / "assets" / f"onnxruntime-{version}.wasm.gz"
    compress(wasm, target)
    add_wavenet_engine(STATIC / WAVENET_FOLDER)
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps(measured_maps(MEASURED)))
    shutil.copy(MEASURED, STATIC)


def compress(path: Path, target: Path) -> None:
    """Write a file as gzip, the same bytes each time."""
    target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def add_wavenet_engine(target: Path) -> None:
    """Build the WaveNet engine, which the page loads when a WaveNet is to make a WAV."""
    if importlib.util.find_spec("ziglang") is None:
        print("without ziglang the page has no WaveNet engine; pip install '.[wasm]' brings it")
        return
    modules = [ENGINE / name for name in build_wasm.BUILDS]
    sources = [Path(build_wasm.__file__), *build_wasm.NATIVE.rglob("*.*")]
    newest = max(path.stat().st_mtime for path in sources)
    if not all(path.is_file() and path.stat().st_mtime > newest for path in modules):
        build_wasm.build(ENGINE)
    target.mkdir()
    for module in modules:
        compress(module, target / f"{module.name}.gz")


def npm(*arguments: str) -> None:
    """Run the npm that the extra "page" installed beside this Python."""
    folder = Path(sys.executable).parent
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    subprocess.run(
        [folder / "npm", *arguments], cwd=WEB, check=True, env=os.environ | {"PATH": path}
    )


def measured_maps(known: Path) -> dict[str, Any]:
    """The maps of all models; those in `known` are kept."""
    maps = json.loads(known.read_text()) if known.is_file() else {}
    found = {}
    for name in shipped_bundles("mel2mel"):
        bundle = load_bundle(name)
        is_plane = len(bundle.instruments[0].embedding) == 2
        kept = maps.get(name, {})
        if kept.get("bundle") == bundle_hash(bundle.path) and ("x" in kept) == is_plane:
            found[name] = kept
            continue
        measure = measured_plane if is_plane else measured_instruments
        found[name] = {"bundle": bundle_hash(bundle.path), **measure(bundle)}
    return found


def measured_plane(bundle: Bundle) -> dict[str, Any]:
    """A grid over a timbre space of two dimensions."""
    measured = timbre_map(bundle, size=MAP_SIZE)
    return {
        "x": measured.axes[0].round(4).tolist(),
        "y": measured.axes[1].round(4).tolist(),
        "centroid_hz": measured.centroid_hz.round(0).astype(int).tolist(),
        "energy_db": measured.energy_db.round(2).tolist(),
    }


def measured_instruments(bundle: Bundle) -> dict[str, Any]:
    """The instruments of a space of more dimensions, laid out in three."""
    measured = instrument_map(bundle, dimensions=3)
    return {
        "places": measured.places.round(4).tolist(),
        "centroid_hz": measured.centroid_hz.round(0).astype(int).tolist(),
        "energy_db": measured.energy_db.round(2).tolist(),
    }


if __name__ == "__main__":
    main()
