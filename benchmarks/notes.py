"""How fast notes are encoded and decoded, on one thread, with random weights. Writes JSON.

The decoder in the native engine is timed for some numbers of streams; beside it, in the same run,
the same with queues in NumPy, and the reference in PyTorch, which computes its whole receptive
field anew for each sample. Samples are
counted over all streams; both the time on the wall and that of the processor are given, because
they differ where others use the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timbrel.constants import SAMPLE_RATE
from timbrel.notes.autoencoder import Autoencoder
from timbrel.notes.codec import NoteCodec
from timbrel.notes.export import write_autoencoder_bundle
from timbrel.notes.sizes import AutoencoderConfig
from timbrel.training.recipe import read_recipe

RECIPES = Path(__file__).parents[1] / "recipes"
SIZES = {"preset": "notes.yaml", "published": "notes-published.yaml"}
STREAMS = (1, 8)
REFERENCE_SAMPLES = 1
ENGINE_TIMES = 4  # as many codes: it is faster


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/notes.json"))
    parser.add_argument("--frames", type=int, default=1, help="codes that are decoded")
    parser.add_argument("--seconds", type=float, default=4.0, help="of audio that are encoded")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    results = [
        result
        for size, recipe in SIZES.items()
        for result in _measure(size, recipe, arguments.frames, arguments.seconds)
    ]
    content = {"torch": torch.__version__, "results": results}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(content, indent=2) + "\n")
    print(json.dumps(content, indent=2))


@torch.no_grad()
def _measure(size: str, recipe: str, n_frames: int, seconds: float) -> list[dict[str, Any]]:
    config = AutoencoderConfig(**read_recipe(RECIPES / recipe).model)
    model = Autoencoder(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, size)
        write_autoencoder_bundle(
            model,
            path,
            name=size,
            sample_rate=16_000,
            license="none",
            attribution="Random.",
            training={},
        )
        codec = NoteCodec.load(path)
        engine, queues = codec.decoder(), codec.reference_decoder()
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * SAMPLE_RATE))
    results = [{"what": "encode", **_timed(lambda: codec.encode(audio), len(audio))}]
    n_context = config.receptive_field
    levels = torch.zeros(1, -(-n_context // config.hop_length) * config.hop_length)
    codes = torch.zeros(1, levels.shape[1] // config.hop_length, config.code_size)

    def reference() -> None:
        for _ in range(REFERENCE_SAMPLES):
            model.decoder(levels, codes)

    results.append({"what": "decode, reference", **_timed(reference, REFERENCE_SAMPLES)})

    cases = [("engine", engine, ENGINE_TIMES * n_frames), ("queues in NumPy", queues, n_frames)]
    for words, decoder, n in cases:
        for n_streams in STREAMS:
            stream = decoder.stream(range(n_streams))
            some = np.zeros((n_streams, n, config.code_size), np.float32)
            n_samples = n_streams * n * config.hop_length
            results.append(
                {
                    "what": f"decode, {words}",
                    "streams": n_streams,
                    **_timed(lambda s=stream, c=some: s.process(c), n_samples),
                }
            )
    return [{"size": size, **result} for result in results]


def _timed(work: Callable[[], Any], n_samples: int) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "samples_per_s": round(n_samples / wall, 1),
        "samples_per_processor_s": round(n_samples / processor, 1),
        "real_time_factor": round(wall * SAMPLE_RATE / n_samples, 3),
    }


if __name__ == "__main__":
    main()
