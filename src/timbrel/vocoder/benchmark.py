"""The speed of the WaveNet engine on this machine, compared with its limit and with other software.

The network has the published sizes and random weights, on which the speed does not depend. A
result includes everything that sampling needs: conditioning, the network, and drawing the sample.
The floor is the time needed just to load the weights for a sample.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from timbrel.constants import N_MELS, SAMPLE_RATE
from timbrel.engine.wavenet import Engine, instruction_sets, precisions
from timbrel.machine import description
from timbrel.vocoder.wavenet_stream import engine_config, engine_weights

PUBLISHED: dict[str, Any] = {
    "n_layers": 20,
    "n_cycle": 10,
    "residual_size": 64,
    "skip_size": 256,
    "kernel_size": 2,
    "output": "categorical",
    "n_mixtures": 10,
    "n_mels": N_MELS,
    "strides": [8, 16],
}
_STREAMS, _THREADS = (1, 2, 4, 8), (1, 2)
_RUNS = 5  # of which the median counts
_FEWEST = 32  # samples a run
_OTHERS_SHARE = 0.15  # of the time, for the torch reference and for the peer


def measure_wavenet(seconds: float) -> dict[str, Any]:
    """Measure; takes roughly `seconds`.

    Returns
    -------
    dict
        "machine" and "results"; each of these with the keys precision, isa, threads, streams,
        samples_per_s (of all streams together), real_time_factor (time taken / time played, of all
        streams), floor_fraction (of the speed at which the weights can be loaded for each step of
        all streams), weight_bytes (of such a step), and peer_ratio (times the peer package's speed;
        null where it is not installed). The isa of other programs is "torch" or "wavenet-vocoder".
    """
    isas = instruction_sets()
    others = [_torch_reference(seconds * _OTHERS_SHARE), _peer(seconds * _OTHERS_SHARE)]
    peer = others[1]["samples_per_s"] if others[1] else None
    n_cases = sum(len(precisions(isa)) for isa in isas) * len(_STREAMS) * len(_THREADS)
    share = seconds * (1 - 2 * _OTHERS_SHARE) / n_cases
    weights = random_weights()
    results = []
    for isa in reversed(isas):
        for precision in precisions(isa):
            engine = Engine(engine_config(PUBLISHED), weights, precision=precision, isa=isa)
            floor = 1 / _seconds_a_sample(engine.stream_weights, share / 2)
            for threads in _THREADS:
                for streams in _STREAMS:
                    speed = streams / _sampling_time(engine, streams, threads, share)
                    row = _result(precision, isa, threads, streams, speed, floor, peer)
                    results.append(row | {"weight_bytes": round(engine.bytes_a_sample)})
    results.extend(
        other | {"weight_bytes": None, "peer_ratio": _ratio(other["samples_per_s"], peer)}
        for other in others
        if other
    )
    return {"machine": description() | {"sample_rate": SAMPLE_RATE}, "results": results}


def _result(
    precision: str,
    isa: str,
    threads: int,
    streams: int,
    speed: float,
    floor: float | None,
    peer: float | None,
) -> dict[str, Any]:
    return {
        "precision": precision,
        "isa": isa,
        "threads": threads,
        "streams": streams,
        "samples_per_s": round(speed, 1),
        "real_time_factor": SAMPLE_RATE / speed,
        "floor_fraction": None if floor is None else speed / streams / floor,
        "peer_ratio": _ratio(speed, peer),
    }


def _ratio(speed: float, peer: float | None) -> float | None:
    return None if peer is None else speed / peer


def _sampling_time(engine: Engine, streams: int, threads: int, seconds: float) -> float:
    """Seconds for a sample of all streams."""
    session = engine.session(range(streams), threads=threads)
    random = np.random.default_rng(0)

    def sample(n: int) -> None:
        missing = n - session.ready
        if missing > 0:
            n_frames = -(-missing // 128) + 3
            session.feed(random.uniform(-1, 1, (streams, n_frames, N_MELS)).astype(np.float32))
        session.sample(n)

    return _seconds_a_sample(sample, seconds)


def _seconds_a_sample(run: Callable[[int], object], seconds: float) -> float:
    """Median time a sample over some runs that take about `seconds` together."""
    began = time.perf_counter()
    run(_FEWEST)
    took = max(time.perf_counter() - began, 1e-6)
    n = max(_FEWEST, int(_FEWEST * seconds / took / (_RUNS + 1)))
    times = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        run(n)
        times.append((time.perf_counter() - began) / n)
    return statistics.median(times)


def random_weights() -> dict[str, np.ndarray]:
    """Weights of the published sizes, for the engine."""
    random = np.random.default_rng(0)
    layers, r, s = PUBLISHED["n_layers"], PUBLISHED["residual_size"], PUBLISHED["skip_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "input.weight": (256, r),
        "hidden.weight": (s, s),
        "hidden.bias": (s,),
        "last.weight": (256, s),
        "last.bias": (256,),
        f"layers.{layers - 1}.skip.bias": (s,),
    }
    for layer in range(layers):
        shapes |= {f"layers.{layer}.taps.{tap}.weight": (2 * r, r) for tap in range(2)}
        shapes |= {
            f"layers.{layer}.condition.weight": (2 * r, N_MELS),
            f"layers.{layer}.condition.bias": (2 * r,),
            f"layers.{layer}.skip.weight": (s, r),
        }
        if layer < layers - 1:
            shapes |= {
                f"layers.{layer}.residual.weight": (r, r),
                f"layers.{layer}.residual.bias": (r,),
            }
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in shapes.items()
    }
    for i, stride in enumerate(PUBLISHED["strides"]):
        weights[f"upsampling.{i}"] = 1 - abs((np.arange(2 * stride) + 0.5) / stride - 1)
    return engine_weights(weights, PUBLISHED)


def _torch_reference(seconds: float) -> dict[str, Any] | None:
    """The slow sampler that the engine is tested against, on one thread."""
    try:
        import torch
    except ImportError:
        return None
    from timbrel.vocoder.wavenet import WaveNet, WaveNetConfig

    torch.set_num_threads(1)
    model = WaveNet(WaveNetConfig()).eval()
    n, took = 8, 0.0
    while took < seconds / 3:  # the last run takes about twice as long as the one before
        n *= 2
        mel = torch.zeros(1, -(-n // 128) + 3, N_MELS)
        began = time.perf_counter()
        model.generate(mel, torch.rand(1, n))
        took = time.perf_counter() - began
    return _result("float32", "torch", 1, 1, n / took, None, None)


def _peer(seconds: float) -> dict[str, Any] | None:
    """The package wavenet-vocoder with the same sizes, on one thread."""
    try:
        import torch
        from wavenet_vocoder import WaveNet as Peer  # type: ignore[import-not-found]
    except ImportError:
        return None
    torch.set_num_threads(1)
    model = Peer(
        out_channels=256,
        layers=PUBLISHED["n_layers"],
        stacks=2,
        residual_channels=PUBLISHED["residual_size"],
        gate_channels=2 * PUBLISHED["residual_size"],
        skip_out_channels=PUBLISHED["skip_size"],
        kernel_size=2,
        cin_channels=N_MELS,
        gin_channels=-1,
        scalar_input=False,
    ).eval()
    model.make_generation_fast_()
    n, took = 8, 0.0
    with torch.no_grad():
        while took < seconds / 3:
            n *= 2
            condition = torch.zeros(1, N_MELS, n)
            began = time.perf_counter()
            model.incremental_forward(c=condition, T=n, softmax=True, quantize=True)
            took = time.perf_counter() - began
    return _result("float32", "wavenet-vocoder", 1, 1, n / took, None, None)
