"""The engine as WebAssembly, in Node and in Chromium, against the reference."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from wasm_harness import (
    BUILT,
    PLAIN,
    RELAXED,
    decoded,
    run_in_chromium,
    run_in_node,
    write_case,
)

from support.small_wavenet import mel_of, predicted, samples_of, small_wavenet
from timbrel.vocoder.wavenet_stream import engine_config, engine_weights

STREAMS, FRAMES = 3, 6
TOLERANCES = {"float32": (1e-4, 1e-5), "int16": (2e-2, 2e-3), "int8": (1.5, 0.15)}

pytestmark = pytest.mark.skipif(
    not (BUILT / RELAXED).is_file(), reason="the WebAssembly is not built; run: make wasm"
)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    model = small_wavenet()
    return predicted(model, samples_of(model, FRAMES, STREAMS), mel_of(model, FRAMES, STREAMS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = small_wavenet()
    sizes = asdict(model.config)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    path = tmp_path_factory.mktemp("wasm")
    write_case(
        path,
        engine_config(sizes),
        engine_weights(weights, sizes),
        mel=mel_of(model, FRAMES, STREAMS),
        forced=samples_of(model, FRAMES, STREAMS),
        seed=7,
    )
    return path


def result_of(where: str, folder: Path, module: str) -> dict:
    if shutil.which(where) is None:
        pytest.skip(f"{where} is not installed")
    if where == "node":
        return run_in_node(folder, module)
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    return run_in_chromium(folder, module)


@pytest.mark.parametrize("where", ["node", "chromium"])
@pytest.mark.parametrize("module", [PLAIN, RELAXED])
def test_predictions_are_those_of_the_reference(
    where: str, module: str, folder: Path, expected: np.ndarray
) -> None:
    if module == RELAXED and not result_of(where, folder, PLAIN)["relaxed"]:
        pytest.skip(f"this {where} does not know relaxed SIMD")
    results = result_of(where, folder, module)
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
