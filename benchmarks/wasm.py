"""How fast the WaveNet engine samples as WebAssembly, in Node and in Chromium. Writes JSON.

One stream, the published sizes, random weights. Run `make wasm` before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from timbrel.constants import N_MELS, SAMPLE_RATE
from timbrel.vocoder.benchmark import PUBLISHED, random_weights
from timbrel.vocoder.wavenet_stream import engine_config

sys.path.append(str(Path(__file__).parents[1] / "tools"))

from wasm_harness import PLAIN, RELAXED, run_in_chromium, run_in_node, write_case

_FRAMES = 120


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/wasm.json"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--in", dest="where", choices=["node", "chromium"], default="chromium")
    arguments = parser.parse_args()

    run = {"node": run_in_node, "chromium": run_in_chromium}[arguments.where]
    results = []
    with tempfile.TemporaryDirectory() as name:
        mel = np.random.default_rng(0).uniform(-1, 1, (1, _FRAMES + 3, N_MELS))
        write_case(
            Path(name), engine_config(PUBLISHED), random_weights(), mel=mel, forced=np.ones((1, 1))
        )
        for module in (PLAIN, RELAXED):
            runs = [run(Path(name), module)["samplesPerS"] for _ in range(arguments.runs)]
            for precision in runs[0]:
                speed = statistics.median(found[precision] for found in runs)
                results.append(
                    {
                        "module": module,
                        "in": arguments.where,
                        "precision": precision,
                        "samples_per_s": round(speed, 1),
                        "times_real_time": round(speed / SAMPLE_RATE, 3),
                    }
                )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
