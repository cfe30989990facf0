"""Training of the translation network, a small one on small data, and its export."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from support.notes_fixtures import TRAINED_SIZES
from support.small_data import ATTRIBUTION, LICENSE, TWO_INSTRUMENTS
from timbrel.bundles.bundle import CARD_FILE, load_bundle
from timbrel.errors import InputError
from timbrel.progress import silent
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe
from timbrel.training.tasks.translation_network import TranslationNetworkTask
from timbrel.training.trainer import Trainer
from timbrel.translation_network.translator import NetworkTranslator

SIZES = {"code_size": 8, "hop_length": 200, **TRAINED_SIZES}
DOMAINS = list(TWO_INSTRUMENTS)
WEIGHTS = ("weight", "bias")
DETUNED = {"crop_frames": 40, "detune_semitones": 0.5}  # crops of half a second
RECIPE = Path(__file__).parents[3] / "recipes" / "translation-network.yaml"


def recipe(**changes: Any) -> Recipe:
    short = {"crop_frames": 8, "classifier_size": 16, "detune_semitones": 0.0}
    options = short | changes.pop("options", {})
    given: dict[str, Any] = {
        "task": "translation-network",
        "steps": 20,
        "batch_size": 4,
        "learning_rate": 0.01,
        "model": SIZES,
        "options": options,
        "warmup_steps": 2,
        "precision": "float32",
        "validate_every": 20,
        "checkpoint_every": 10,
        "status": "experimental",
    }
    return Recipe(**given | changes)


def task_of(data: Path, wanted: Recipe, *, rank: int = 0, world: int = 1) -> TranslationNetworkTask:
    torch.manual_seed(1)
    return TranslationNetworkTask(wanted, data, rank=rank, world=world, progress=silent)


@pytest.fixture(autouse=True)
def few_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrel.training.tasks.translation_network._VALID_BATCHES", 1)


@pytest.mark.usefixtures("one_thread")
def test_a_network_learns_goes_on_and_is_exported(small_data: Path, tmp_path: Path) -> None:
    def run(name: str, **how: Any) -> Path:
        train(recipe(), small_data, tmp_path / name, say=lambda _: None, device="cpu", **how)
        return tmp_path / name

    run("run", steps=1)
    run("run", resume=True, steps=10)
    run("run", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    first, *_, last = (line["loss"] for line in lines if line["kind"] == "train")
    assert last < 0.9 * first
    found = [line for line in lines if line["kind"] == "valid"]
    for domain in DOMAINS:
        assert found[-1][f"nll/{domain}"] < found[0][f"nll/{domain}"]
    nlls = [found[-1][f"nll/{domain}"] for domain in DOMAINS]
    assert found[-1]["nll"] == pytest.approx(np.mean(nlls))
    assert 0 <= found[-1]["classifier_accuracy"] <= 1

    # A run that was stopped goes on as if it had not been, its classifier too.
    whole = torch.load(run("whole") / "checkpoint.pt", weights_only=True)
    parts = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    for part in ("model", "critic"):
        expected = whole[part] if part == "model" else whole[part]["model"]
        resumed = parts[part] if part == "model" else parts[part]["model"]
        for name, weight in expected.items():
            torch.testing.assert_close(resumed[name], weight, rtol=0, atol=0, msg=name)

    export_run(tmp_path / "run", tmp_path / "model")
    bundle = load_bundle(tmp_path / "model", kind="translation-network")
    assert (bundle.config["domains"], bundle.sample_rate) == (DOMAINS, 16_000)
    assert (bundle.license, bundle.attribution) == (LICENSE, ATTRIBUTION)
    card = bundle.file(CARD_FILE).read_text()
    assert "2 domains: grand piano, trumpet." in card
    assert "| status | experimental |" in card
    assert NetworkTranslator(bundle, "trumpet").codec.code_size == 8


def confusion(task: TranslationNetworkTask, codes: Tensor) -> Tensor:
    labels = torch.arange(len(codes)) % 2
    return functional.cross_entropy(task.critic(codes), labels)


def test_the_encoder_is_rewarded_for_what_the_classifier_loses(small_data: Path) -> None:
    """The gradient of the loss is that of the likelihood, less that of the classifier's loss."""
    gradients: dict[float, list[Tensor]] = {}
    for weight in (0.0, 0.3):
        task = task_of(small_data, recipe(options={"confusion_weight": weight}))
        batch = task.batch(0)
        task.loss(task.model, batch, 0).backward()
        gradients[weight] = [p.grad.clone() for p in task.model.encoder.parameters()]
        idle = {n for n, p in task.model.named_parameters() if p.grad is None}
        assert idle == {f"decoders.{i}.layers.3.residual.{n}" for i in (0, 1) for n in WEIGHTS}
        assert task.has_idle_parameters
    context = task.config.context_frames
    own = confusion(task, task.model.encoder(batch.heard)[:, context:-context])
    expected = torch.autograd.grad(own, list(task.model.encoder.parameters()))
    for with_it, without, of_classifier in zip(
        gradients[0.3], gradients[0.0], expected, strict=True
    ):
        torch.testing.assert_close(with_it - without, -0.3 * of_classifier, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_classifier_and_encoder_pull_in_opposite_directions(small_data: Path) -> None:
    """A step of the classifier lowers its loss on the same codes; one of the encoder raises it."""
    wanted = recipe(options={"confusion_weight": 1e4}, warmup_steps=0, learning_rate=0.002)
    task = task_of(small_data, wanted)
    trainer = Trainer(wanted, task, torch.device("cpu"), 1, is_new=True)
    batch = task.batch(0)
    context = task.config.context_frames

    def loss_now() -> float:
        with torch.no_grad():
            return float(confusion(task, task.model.encoder(batch.heard)[:, context:-context]))

    judged = task.critic_loss
    losses = []

    def watched() -> Tensor | None:
        losses.append(loss_now())  # after the step of the encoder, before the classifier's
        return judged()

    task.critic_loss = watched  # type: ignore[method-assign]
    before = loss_now()
    classifier = {name: weight.clone() for name, weight in task.critic.state_dict().items()}
    trainer.advance(batch)
    assert losses[0] > before + 1e-4
    encoder = task.model.encoder.state_dict()
    kept = {name: weight.clone() for name, weight in encoder.items()}
    assert any(not torch.equal(classifier[n], w) for n, w in task.critic.state_dict().items())
    # The classifier alone: as in each step, on the codes that the network has given.
    optimizer = torch.optim.Adam(task.critic.parameters(), 0.002)
    task.critic.requires_grad_(True)
    of_codes = []
    for _ in range(3):
        loss = judged()
        assert loss is not None
        of_codes.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert of_codes[0] > of_codes[1] > of_codes[2]
    assert all(torch.equal(kept[name], weight) for name, weight in encoder.items())


def test_the_encoder_is_given_the_crop_with_a_detuned_segment(small_data: Path) -> None:
    task = task_of(small_data, recipe(batch_size=8, options=DETUNED))
    plain = task_of(small_data, recipe(batch_size=8, options={"crop_frames": 40}))
    batch, same = task.batch(3), plain.batch(3)
    margin, length = task.config.context_frames * 200, 40 * 200
    assert batch.levels.shape == (8, length)
    assert batch.heard.shape == (8, length + 2 * margin)
    torch.testing.assert_close(batch.levels, same.levels)  # the target is the original
    torch.testing.assert_close(same.heard[:, margin:-margin], same.levels)
    n_changed = 0
    for detuned, original in zip(batch.heard, same.heard, strict=True):
        changed = torch.nonzero(detuned != original).flatten()
        if len(changed):  # but in silence
            n_changed += 1
            assert margin <= changed[0]
            assert changed[-1] < margin + length
            assert changed[-1] - changed[0] < 0.5 * 16_000
    assert n_changed >= 4


def test_a_batch_is_a_function_of_the_step_and_of_all_domains(small_data: Path) -> None:
    wanted = recipe()
    task = task_of(small_data, wanted)
    whole = task.batch(5)
    torch.testing.assert_close(task.batch(5).heard, whole.heard)
    assert not torch.equal(task.batch(6).levels, whole.levels)
    halves = [task_of(small_data, wanted, rank=rank, world=2).batch(5) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat([half.heard for half in halves]), whole.heard)
    # Each domain has a decoder of its own, which its crops alone reach.
    nll, _ = task._predicted(task.model, whole)
    nll[1::2].sum().backward()
    first, second = (decoder.logits.weight.grad for decoder in task.model.decoders)
    assert not first.any()
    assert second.any()


def without_sound(data: Path, instrument: str) -> None:
    """Have the manifest say that an instrument's clips for validation are silent."""
    lines = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    for line in lines:
        if (line["instrument"], line["split"]) == (instrument, "valid"):
            line["peak"] = 0.0
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (data / "manifest.jsonl").write_text(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"domains": ["trumpet"]}}, "needs two domains or more; there is one"),
        ({"options": {"domains": ["trumpet", "kazoo"]}}, "no instrument 'kazoo'; it has: grand"),
        ({"options": {"domains": ["trumpet", "trumpet"]}}, "names 'trumpet' twice"),
        ({"options": {"domains": "trumpet"}}, "'domains' must be a list of texts, not 'trumpet'"),
        ({"options": {"detune_semitones": 0.5}}, r"a crop must last 0\.5 s or more"),
        ({"options": {"confusion_weight": -0.1}}, "'confusion_weight' must not be negative"),
        ({"options": {"classifier_size": 0}}, "'classifier_size' must be 1 or more"),
        ({"options": {"colour": 3}}, "unknown key 'colour'"),
        ({"model": {"n_domains": 3}}, "n_domains is 3, but there are 2 domains"),
        ({"batch_size": 3}, "must be a multiple of the 2 domains, not 3"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    changes: dict, words: str, small_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        train(recipe(**changes), small_data, tmp_path / "run", say=lambda _: None, device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_domain_must_have_sound(small_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    without_sound(data, "trumpet")
    with pytest.raises(InputError, match="no sound of 'trumpet' for the split 'valid'; leave it"):
        task_of(data, recipe())


def test_the_recipe_can_be_begun_and_has_the_published_size(small_data: Path) -> None:
    wanted = read_recipe(RECIPE)
    assert wanted.batch_size % len(wanted.options["domains"]) == 0
    known = replace(wanted, options=wanted.options | {"domains": DOMAINS})
    with torch.device("meta"):
        task = task_of(small_data, known)
    encoder, decoder = (
        sum(p.numel() for p in part.parameters())
        for part in (task.model.encoder, task.model.decoders[0])
    )
    assert (encoder, decoder) == (1_982_528, 6_003_840)
    assert task.config.hop_length / 16_000 == 0.05
    assert task.config.receptive_field == 8187
    assert task._n_samples == 12_000
