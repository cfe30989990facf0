"""Build the page into src/timbrel/web/static/: needs the extra "page", which brings Node.

Beside what Vite makes of web/ it holds ONNX Runtime, compressed, and what the page's timbre maps
show, measured from the shipped models.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from timbrel.bundle import bundle_hash, load_bundle, shipped_bundles
from timbrel.evaluation.timbre_space import TimbreMap, timbre_map
from timbrel.web.page import MAPS_FILE, STATIC

WEB = Path(__file__).parents[1] / "web"
RUNTIME = WEB / "node_modules" / "onnxruntime-web"
MAP_SIZE = 33  # points of a map's side
MEASURED = WEB.parent / "build" / MAPS_FILE  # kept from build to build


def main() -> None:
    """Build all of it."""
    npm("run", "build")  # empties the folder
    version = json.loads((RUNTIME / "package.json").read_text())["version"]
    wasm = RUNTIME / "dist" / "ort-wasm-simd-threaded.wasm"
    target = STATIC / "assets" / f"onnxruntime-{version}.wasm.gz"
    target.write_bytes(gzip.compress(wasm.read_bytes(), 9, mtime=0))
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps(measured_maps(MEASURED)))
    shutil.copy(MEASURED, STATIC)


def npm(*arguments: str) -> None:
    """Run the npm that the extra "page" installed beside this Python."""
    folder = Path(sys.executable).parent
    path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
    subprocess.run(
        [folder / "npm", *arguments], cwd=WEB, check=True, env=os.environ | {"PATH": path}
    )


def measured_maps(known: Path) -> dict[str, Any]:
    """The maps of all models, of their plane or a projection; those in `known` are kept."""
    maps = json.loads(known.read_text()) if known.is_file() else {}
    found = {}
    for name in shipped_bundles("mel2mel"):
        bundle = load_bundle(name)
        identity = bundle_hash(bundle.path)
        found[name] = maps.get(name, {})
        if found[name].get("bundle") == identity and "projection" in found[name]:
            continue
        measured = timbre_map(bundle, size=MAP_SIZE, through_instruments=True)
        found[name] = {
            "bundle": identity,
            "x": measured.axes[0].round(4).tolist(),
            "y": measured.axes[1].round(4).tolist(),
            "centroid_hz": measured.centroid_hz.round(0).astype(int).tolist(),
            "energy_db": measured.energy_db.round(2).tolist(),
            "projection": projection(measured),
        }
    return found


def projection(measured: TimbreMap) -> dict[str, Any] | None:
    """How a point of more than two dimensions comes to its place on the map."""
    if measured.basis.shape[1] == 2:
        return None
    return {
        "centre": measured.centre.tolist(),
        "basis": measured.basis.tolist(),
        "explained": round(measured.explained, 3),
    }


if __name__ == "__main__":
    main()
