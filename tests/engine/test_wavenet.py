"""The native engine against the reference: logits, distributions, and the same bytes always."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EXAMPLES
from support.philox import philox_uniform
from support.small_wavenet import KERNELS, engine_of, mel_of, predicted, samples_of, small_wavenet
from timbrel.corpus.soundfont import render_score
from timbrel.engine.mulaw import mu_law_encode
from timbrel.engine.wavenet import AUTO, CATEGORICAL, Engine, instruction_sets, precisions
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.mel.spectrogram import mel_spectrogram
from timbrel.score.midi import read_midi
from timbrel.vocoder.mel_scale import normalised
from timbrel.vocoder.wavenet import OUTPUTS, WaveNet, WaveNetConfig

ISAS = instruction_sets()
# Largest and mean error of the small models' logits, whose standard deviation is about 1.
TOLERANCES = {
    "float32": (1e-4, 1e-5),
    "int16": (2e-2, 2e-3),
    "int8": (1.5, 0.15),
    "bfloat16": (0.5, 0.05),
}


def test_every_machine_has_the_portable_kernels() -> None:
    assert ISAS[0] == "portable"


@pytest.mark.parametrize(("isa", "precision"), KERNELS)
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_forced_predictions_are_those_of_the_reference(
    isa: str, precision: str, kernel_size: int
) -> None:
    model = small_wavenet(kernel_size=kernel_size)
    samples, mel = samples_of(model, 8, 2), mel_of(model, 8, 2)
    session = engine_of(model, precision, isa).session([0, 1])
    session.feed(mel)
    found, expected = session.force(samples), predicted(model, samples, mel)
    assert 0.5 < expected.std() < 5
    largest, mean = TOLERANCES[precision]
    np.testing.assert_allclose(found, expected, atol=largest, rtol=0)
    assert abs(found - expected).mean() < mean
    if precision == "int8":  # that it is this precision indeed
        assert abs(found - expected).max() > 1e-4


@pytest.mark.skipif("amx" not in ISAS, reason="this processor has no AMX")
@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
@pytest.mark.parametrize("n_streams", [1, 2, 3, 8, 11])
def test_tiles_predict_as_the_reference(precision: str, n_streams: int) -> None:
    """Sizes of whole tiles, some of several steps, in uneven blocks."""
    model = small_wavenet(residual_size=128, skip_size=192)
    samples, mel = samples_of(model, 6, n_streams), mel_of(model, 6, n_streams)
    found = {}
    for isa in ("amx", "avx512"):
        if precision in precisions(isa):
            session = engine_of(model, precision, isa).session(range(n_streams))
            session.feed(mel)
            found[isa] = session.force(samples)
    expected = predicted(model, samples, mel)
    scale = expected.std()
    assert scale > 0.5
    largest, mean = TOLERANCES[precision]
    np.testing.assert_allclose(found["amx"], expected, atol=largest * scale, rtol=0)
    assert abs(found["amx"] - expected).mean() < mean * scale
    if "avx512" in found:  # the same integers are summed, but gates have 11 bits
        apart = abs(found["amx"] - found["avx512"]) / scale
        assert 0 < apart.max() < 0.2
        assert apart.mean() < 0.03


@pytest.mark.skipif("amx" not in ISAS, reason="this processor has no AMX")
@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("strides", [(4, 8), (3, 5)])
def test_tiles_give_the_same_bytes_for_any_number_of_streams(
    precision: str, kernel_size: int, strides: tuple[int, int]
) -> None:
    """One stream is multiplied by vectors, and two samples share a tile, but for a frame's ends."""
    model = small_wavenet(
        residual_size=64, skip_size=128, kernel_size=kernel_size, strides=strides, n_cycle=3
    )
    engine = engine_of(model, precision, "amx")
    samples, mel = samples_of(model, 5, 8), mel_of(model, 5, 8)
    whole = engine.session(range(8))
    whole.feed(mel)
    expected = whole.force(samples)
    for n in (1, 2, 3, 7):
        session = engine.session(range(n))
        session.feed(mel[:n])
        cuts = [0, 1, 2, 9, 31, samples.shape[1]]
        pieces = [session.force(samples[:n, start:stop]) for start, stop in pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected[:n])


@pytest.mark.parametrize("output", list(OUTPUTS))
@pytest.mark.parametrize("isa", ISAS)
def test_every_output_predicts_as_the_reference(isa: str, output: str) -> None:
    model = small_wavenet(output=output)
    samples, mel = samples_of(model, 5), mel_of(model, 5)
    session = engine_of(model, isa=isa).session([0])
    session.feed(mel)
    np.testing.assert_allclose(
        session.force(samples), predicted(model, samples, mel), atol=1e-4, rtol=0
    )


@pytest.fixture(scope="module")
def trumpet(soundfont: Path) -> np.ndarray:
    """Half a second of sound: 64 frames."""
    score = read_midi(EXAMPLES / "duet.mid").excerpt(4.0)
    audio = render_score(score, 56, soundfont, sample_rate=16_000)[8_000:16_192]
    assert np.sqrt(np.mean(audio**2)) > 0.01
    return audio


def test_the_published_sizes_on_sound(trumpet: np.ndarray) -> None:
    torch.manual_seed(0)
    model = WaveNet(WaveNetConfig()).eval()
    levels, config = mu_law_encode(trumpet)[None], MelConfig()
    mel = normalised(mel_spectrogram(trumpet, config), config)
    mel = np.concatenate([mel[:1], mel, mel[-1:], mel[-1:]])[None, :67]
    expected = predicted(model, levels, mel)
    for isa in ISAS:
        tolerances = {"float32": 1e-3, "int16": 1e-2, "int8": 0.3, "bfloat16": 0.1}
        for precision in precisions(isa):
            # As many as share a tile, and one alone.
            for n in (1, 3):
                session = engine_of(model, precision, isa).session(range(n))
                session.feed(np.repeat(mel, n, axis=0))
                found = session.force(np.repeat(levels, n, axis=0))
                atol = tolerances[precision]
                np.testing.assert_allclose(found, np.repeat(expected, n, axis=0), atol=atol, rtol=0)


@pytest.mark.parametrize(("isa", "precision"), KERNELS)
@pytest.mark.parametrize("output", list(OUTPUTS))
def test_cuts_copies_threads_and_streams_change_no_byte(
    isa: str, precision: str, output: str
) -> None:
    model = small_wavenet(output=output)
    engine = engine_of(model, precision, isa)
    n_frames, hop = 12, model.config.hop_length
    mel = mel_of(model, n_frames, 7)
    whole = engine.session(range(7), seed=9)
    whole.feed(mel)
    expected = whole.sample(n_frames * hop)
    assert expected.std() > 0.01
    # In odd pieces, fed bit by bit, on three threads, with a copy that takes over.
    session = engine.session(range(7), seed=9, threads=3)
    pieces = []
    cuts = [3, 4, 1, 5]
    for start, stop in zip(np.cumsum([0, *cuts]), np.cumsum(cuts), strict=False):
        session.feed(mel[:, start:stop])
    fed = sum(cuts)
    for n in (1, 6, 31, 32, 33, 50):
        pieces.append(session.sample(n))
    kept = session.copy()
    session.sample(5)  # the copy does not notice
    del session
    kept.feed(mel[:, fed:])
    pieces.append(kept.sample(kept.ready))
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected)
    # Each stream alone, by its number.
    for stream in (0, 6):
        alone = engine.session([stream], seed=9)
        alone.feed(mel[stream : stream + 1])
        np.testing.assert_array_equal(alone.sample(n_frames * hop)[0], expected[stream])


def test_seeds_and_streams_draw_other_numbers() -> None:
    model = small_wavenet()
    engine = engine_of(model)
    mel = mel_of(model, 4)

    def drawn(stream: int, seed: int) -> np.ndarray:
        session = engine.session([stream], seed=seed)
        session.feed(mel)
        return session.sample(session.ready)

    assert (drawn(0, 0) != drawn(0, 1)).mean() > 0.5
    assert (drawn(0, 0) != drawn(1, 0)).mean() > 0.5


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_levels_are_drawn_from_the_predicted_distribution(isa: str, temperature: float) -> None:
    model = small_wavenet()
    engine = engine_of(model, isa=isa)
    n = 20_000
    mel = np.repeat(mel_of(model, 1), n, axis=0)
    session = engine.session(range(n), temperature=temperature)
    session.feed(mel)
    levels = mu_law_encode(session.sample(1)[:, 0])
    forced = engine.session([0])
    forced.feed(mel[:1])
    logits = torch.from_numpy(forced.force(np.array([[128]]))[0, 0])
    expected = torch.softmax(logits / temperature, -1).numpy()
    counts = np.bincount(levels, minlength=256)
    # Where twenty and more are expected, the counts lie within five standard deviations.
    often = expected * n > 20
    assert often.sum() > 20
    deviation = abs(counts - expected * n)[often] / np.sqrt(expected[often] * n)
    assert deviation.max() < 5


def test_gaussian_samples_have_the_predicted_mean_and_deviation() -> None:
    model = small_wavenet(output="gaussian")
    engine = engine_of(model)
    n = 20_000
    mel = np.repeat(mel_of(model, 1), n, axis=0)
    with torch.no_grad():
        model.last.weight.mul_(0.1)
        model.last.bias.copy_(torch.tensor([0.2, -3.0]))
    engine = engine_of(model)
    session = engine.session(range(n), temperature=0.5)
    session.feed(mel)
    drawn = session.sample(1)[:, 0]
    mean, log_scale = predicted(model, np.zeros((1, 32), np.float32), mel[:1])[0, 0]
    assert drawn.mean() == pytest.approx(mean, abs=4 * np.exp(log_scale) / np.sqrt(n))
    assert drawn.std() == pytest.approx(0.5 * np.exp(log_scale), rel=0.03)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("output", [name for name in OUTPUTS if name != CATEGORICAL])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_amplitudes_are_those_that_the_reference_draws(
    isa: str, output: str, temperature: float
) -> None:
    """Sample by sample, by the same random numbers, each from what was drawn before."""
    model = small_wavenet(output=output)
    n_scales = 1 if output == "gaussian" else model.config.n_mixtures
    with torch.no_grad():  # so calm that differences do not grow from sample to sample
        model.input.dense.weight.mul_(0.02)
        model.last.weight.mul_(0.3)
        model.last.bias[-n_scales:] -= 3
    mel = mel_of(model, 3, 2)
    session = engine_of(model, isa=isa).session([5, 2**40], seed=9, temperature=temperature)
    session.feed(mel)
    found = session.sample(session.ready)
    uniform = torch.from_numpy(philox_uniform(9, [5, 2**40], found.shape[1]))
    expected = model.generate(torch.from_numpy(mel), uniform, temperature=temperature).numpy()
    assert 0.01 < expected.std() < 0.5
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=0)


def test_by_itself_the_precision_is_the_fastest_for_levels_and_exact_for_amplitudes() -> None:
    assert engine_of(small_wavenet(), AUTO).precision in ("int8", "int16")
    for output in OUTPUTS:
        if output != CATEGORICAL:
            assert engine_of(small_wavenet(output=output), AUTO).precision == "float32"


def test_logistic_samples_come_from_their_components() -> None:
    model = small_wavenet(output="mixture-of-logistics")
    with torch.no_grad():
        model.last.weight.zero_()
        model.last.bias.copy_(
            torch.tensor([0.0, np.log(3.0), -50.0, -0.5, 0.5, 0.0, -5.0, -6.0, 0.0])
        )
    n = 20_000
    session = engine_of(model).session(range(n))
    session.feed(np.repeat(mel_of(model, 1), n, axis=0))
    drawn = session.sample(1)[:, 0]
    assert (drawn > 0).mean() == pytest.approx(0.75, abs=0.02)
    for low, scale in ((True, np.exp(-5)), (False, np.exp(-6))):
        part = drawn[(drawn < 0) == low]
        assert part.mean() == pytest.approx(-0.5 if low else 0.5, abs=0.001)
        assert part.std() == pytest.approx(scale * np.pi / np.sqrt(3), rel=0.05)


def test_sampling_is_teacher_forcing_of_what_was_sampled() -> None:
    model = small_wavenet()
    engine = engine_of(model)
    mel = mel_of(model, 6)
    session = engine.session([0], temperature=1e-3)  # so cold that the likeliest level is taken
    session.feed(mel)
    levels = mu_law_encode(session.sample(session.ready))
    best = predicted(model, levels, mel).argmax(-1)
    assert (best == levels).mean() > 0.99
    assert len(np.unique(levels)) > 5


def test_a_decoder_of_another_kind() -> None:
    """Taps of raw samples, sigmoid first, conditioning in the output layer, a skip from the start.

    The formulas of NSynth's decoder, written out sample by sample.
    """
    random = np.random.default_rng(0)
    r, s, m, hop, n_levels, taps = 12, 20, 6, 16, 256, 3
    dilations = [1, 2, 4]

    def array(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights = {
        "input.weight": array(r, taps),
        "input.bias": array(r),
        "input.values": (np.arange(256, dtype=np.float32) - 128) / 128,
        "skip_start.weight": array(s, r),
        "skip.bias": array(s),
        "hidden.weight": array(s, s),
        "hidden.bias": array(s),
        "hidden.condition.weight": array(s, m),
        "last.weight": array(n_levels, s),
        "last.bias": array(n_levels),
        "interpolation": np.ones((1, hop), np.float32),
        "decode": np.linspace(-1, 1, 256, dtype=np.float32),
    }
    for i in range(3):
        weights |= {f"layers.{i}.taps.{k}.weight": array(2 * r, r) for k in range(3)}
        weights |= {
            f"layers.{i}.condition.weight": array(2 * r, m),
            f"layers.{i}.condition.bias": array(2 * r),
            f"layers.{i}.skip.weight": array(s, r),
        }
        if i < 2:
            weights |= {
                f"layers.{i}.residual.weight": array(r, r),
                f"layers.{i}.residual.bias": array(r),
            }
    config = {
        "dilations": dilations,
        "kernel_size": 3,
        "residual_size": r,
        "skip_size": s,
        "n_mels": m,
        "hop_length": hop,
        "n_around": 1,
        "input_taps": taps,
        "sigmoid_first": True,
        "output_condition": True,
        "skip_start": True,
    }
    n = 3 * hop
    levels = random.integers(0, 256, n)
    codes = random.standard_normal((3, m)).astype(np.float32)

    def shifted(x: np.ndarray, by: int) -> np.ndarray:
        return np.concatenate([np.zeros((by, x.shape[1]), x.dtype), x])[: len(x)]

    values = shifted(weights["input.values"][levels][:, None], 1)
    x = weights["input.bias"] + sum(
        shifted(values, taps - 1 - k) * weights["input.weight"][:, k] for k in range(taps)
    )
    skip = x @ weights["skip_start.weight"].T + weights["skip.bias"]
    z = np.repeat(codes, hop, axis=0)
    for i, dilation in enumerate(dilations):
        gates = (
            z @ weights[f"layers.{i}.condition.weight"].T + weights[f"layers.{i}.condition.bias"]
        )
        for k in range(3):
            gates = (
                gates + shifted(x, (2 - k) * dilation) @ weights[f"layers.{i}.taps.{k}.weight"].T
            )
        gated = np.tanh(gates[:, r:]) / (1 + np.exp(-gates[:, :r]))
        skip = skip + gated @ weights[f"layers.{i}.skip.weight"].T
        if i < 2:
            x = x + gated @ weights[f"layers.{i}.residual.weight"].T
            x = x + weights[f"layers.{i}.residual.bias"]
    hidden = np.maximum(skip, 0) @ weights["hidden.weight"].T + weights["hidden.bias"]
    hidden = np.maximum(hidden + z @ weights["hidden.condition.weight"].T, 0)
    expected = hidden @ weights["last.weight"].T + weights["last.bias"]

    for isa in ISAS:
        session = Engine(config, weights, precision="float32", isa=isa).session([0])
        session.feed(codes[None])
        assert session.ready == n
        np.testing.assert_allclose(session.force(levels[None])[0], expected, atol=1e-4)


def test_wide_layers_do_not_overflow() -> None:
    """512 channels, all activations and weights at their largest."""
    model = small_wavenet(residual_size=512, skip_size=512, n_layers=2)
    with torch.no_grad():
        for layer in model.layers:
            for tap in layer.taps:
                tap.weight.fill_(0.01)
        model.input.weight.fill_(1.0)
    samples, mel = samples_of(model, 2), mel_of(model, 2)
    expected = predicted(model, samples, mel)
    for isa in ISAS:
        for precision in ("int16", "int8"):
            session = engine_of(model, precision, isa).session([0])
            session.feed(mel)
            # 8 bits leave out what all levels have in common.
            error = abs(_centred(session.force(samples)) - _centred(expected))
            assert error.mean() < 0.05 * expected.std()


def _centred(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=-1, keepdims=True)


def test_bytes_a_sample_are_those_of_the_weights() -> None:
    model = WaveNet(WaveNetConfig())
    # The first layer's products with the levels are looked up.
    older = sum(2 * 64 * 64 / min(2 ** (i % 10), 8) for i in range(1, 20))
    each = 19 * 2 * 64 * 64 + 20 * 256 * 64 + 19 * 64 * 64 + 2 * 256 * 256
    assert engine_of(model, "float32").bytes_a_sample == 4 * (older + each)
    # And a scale for each row of a layer and of the head, and an offset where inputs have signs.
    scales = 4 * (19 * (2 * 128 + 2 * 64) + 2 * 256)
    engine = engine_of(model, "int8")
    assert engine.bytes_a_sample == older + each + scales
    engine.stream_weights(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "no precision 'int4'; known: auto, float32, int16, int8, bfloat16"),
        (
            {"precision": "bfloat16", "isa": "portable"},
            "bfloat16 needs a processor with AMX, and its instruction set; portable has: float32, "
            "int16, int8",
        ),
        ({"isa": "mmx"}, "no instruction set 'mmx'; it has: portable"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Engine({}, {}, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_size": 0}, "kernel_size is 0; it must lie between 1 and 16"),
        ({"residual_size": 100_000}, "residual_size is 100000"),
        ({"dilations": []}, "the number of layers is 0"),
        ({"dilations": [0, 1]}, "a dilation is 0"),
        ({"output": "gaussian"}, "input_taps of at least 1"),
        ({"output": "cauchy"}, "output 'cauchy' is not known"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"skip_size": 41}, "the weight 'hidden.bias' holds 40 numbers, not 41"),
        ({"output_condition": True}, "the weight 'hidden.condition.weight' is missing"),
        ({"layer_condition": False}, "'layers.0.condition.weight' does not belong"),
        ({"skip_size": "wide"}, "a value of the configuration has the wrong type"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    model = small_wavenet()
    good = engine_arguments(model)
    with pytest.raises(InputError, match=message):
        Engine({**good[0], **changes}, good[1])


def test_weights_that_are_not_finite_are_refused() -> None:
    config, weights = engine_arguments(small_wavenet())
    weights["last.bias"] = weights["last.bias"] * np.nan
    with pytest.raises(InputError, match=r"'last\.bias' holds a value that is not finite"):
        Engine(config, weights)


def test_sessions_refuse_what_cannot_be() -> None:
    engine = engine_of(small_wavenet())
    for arguments, message in [
        ({"streams": []}, "at least one stream"),
        ({"streams": range(100_000_000)}, "streams need .* GB of memory"),
        ({"streams": [0], "temperature": 0.0}, "temperature of 0 is not possible"),
        ({"streams": [0], "temperature": float("nan")}, "temperature of nan"),
        ({"streams": [0], "threads": 0}, "threads must be 1 or more, not 0"),
        ({"streams": [0], "seed": -1}, "seed of -1"),
    ]:
        with pytest.raises(InputError, match=message):
            engine.session(**arguments)
    session = engine.session([0, 1])
    for mel, message in [
        (np.zeros((2, 5, 11)), "not of shape"),
        (np.zeros((1, 5, 12)), "not of shape"),
        (np.zeros((2, 60)), "incompatible|not of shape"),
        (np.full((2, 5, 12), np.inf), "not finite"),
    ]:
        with pytest.raises(InputError, match=message):
            session.feed(mel)
    with pytest.raises(InputError, match="more samples are asked for"):
        session.sample(1)
    session.feed(np.zeros((2, 4, 12)))
    assert session.ready == 32
    with pytest.raises(InputError, match="not one of the levels"):
        session.force(np.full((2, 3), 256))
    with pytest.raises(InputError, match="a row of samples for each stream"):
        session.force(np.zeros((1, 3)))
    assert session.position == 0


def engine_arguments(model: WaveNet) -> tuple[dict, dict]:
    from dataclasses import asdict

    from timbrel.vocoder.wavenet_stream import engine_config, engine_weights

    sizes = asdict(model.config)
    weights = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    return engine_config(sizes), engine_weights(weights, sizes)
