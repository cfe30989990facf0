"""What a step of Mel2Mel computes: the carried state, the cut context, what counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.small_data import ATTRIBUTION, LICENSE, TWO_INSTRUMENTS, small_recipe
from timbrel.bundles.bundle import load_bundle
from timbrel.errors import InputError
from timbrel.geometry import MelConfig
from timbrel.measures.correlation import log_mel_measures
from timbrel.mel.export import write_mel2mel_bundle
from timbrel.mel.losses import tanh_log_abs_loss
from timbrel.progress import silent
from timbrel.training.dataset import MelBatch
from timbrel.training.mel_validation import validation_mels
from timbrel.training.tasks.mel2mel import Mel2MelBatch, Mel2MelTask


@pytest.fixture
def task(small_data: Path) -> Mel2MelTask:
    torch.manual_seed(4)
    options = {
        "crop_frames": 64,
        "crops_per_visit": 4,
        "hops": (64,),
        "contexts": (32,),
    }
    recipe = small_recipe(options=options)
    return Mel2MelTask(recipe, small_data, rank=0, world=1, progress=silent)


def batch_of(roll: np.ndarray, *, fresh: bool) -> MelBatch:
    """Four lanes that all play one roll, (64 + 32, 176)."""
    return MelBatch(
        roll=np.stack([roll] * 4),
        mel=np.full((4, 64, 80), -4.0, np.float32),
        instrument=np.array([0, 1, 0, 1]),
        weight=np.ones((4, 64), np.float32),
        fresh=np.full(4, fresh),
    )


def random_roll(n_frames: int) -> np.ndarray:
    random = np.random.default_rng(5)
    return random.random((n_frames, 176), np.float32) * (random.random((n_frames, 176)) > 0.95)


def test_starts_at_the_mean_of_the_data(task: Mel2MelTask) -> None:
    bias = task.model.output.bias.detach().numpy()
    assert -11.5 < bias.mean() < -3
    assert bias.std() > 0.1
    np.testing.assert_array_equal(bias, task._train.mean_mel())


def test_step_computes_what_the_whole_network_does(task: Mel2MelTask) -> None:
    roll = random_roll(96).astype(np.float32)
    batch = batch_of(roll, fresh=True)
    with torch.no_grad():
        loss = task.loss(task.wrapped(), Mel2MelBatch(batch, None), step=0)
        timbre = task.model.embedding(torch.from_numpy(batch.instrument))
        whole = task.model(torch.from_numpy(batch.roll), timbre)[:, :64]
        expected = tanh_log_abs_loss(whole, torch.from_numpy(batch.mel)).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_a_head_grows_on_a_bundle_without_one(
    small_data: Path, task: Mel2MelTask, tmp_path: Path
) -> None:
    options = {"crop_frames": 64, "hops": (64,), "contexts": (32,)}

    def wider(**sizes: Any) -> Mel2MelTask:
        recipe = small_recipe(options=options, model={"hidden_size": 16} | sizes)
        return Mel2MelTask(recipe, small_data, rank=0, world=1, progress=silent)

    write_mel2mel_bundle(
        task.model,
        tmp_path / "start",
        name="start",
        mel=MelConfig(),
        instruments=TWO_INSTRUMENTS,
        gain=1.0,
        license=LICENSE,
        attribution=ATTRIBUTION,
        training={},
    )
    start = load_bundle(tmp_path / "start")
    grown, bent = wider(head_size=3), wider(head_size=3, film_size=4)
    assert grown.start(start) == "the head"
    assert bent.start(start) == "the head and the layer before the FiLM vectors"
    batch = batch_of(random_roll(96).astype(np.float32), fresh=True)
    with torch.no_grad():
        given = Mel2MelBatch(batch, None)
        losses = [float(one.loss(one.wrapped(), given, step=0)) for one in (task, grown, bent)]
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-6)
    with pytest.raises(InputError, match="its hidden_size is"):
        wider(head_size=3, hidden_size=5).start(start)


def test_the_places_of_the_instruments_stay_where_the_recipe_wants_it(small_data: Path) -> None:
    batch = batch_of(random_roll(96).astype(np.float32), fresh=True)
    for fixed in (True, False):
        options = {"crop_frames": 64, "hops": (64,), "contexts": (32,), "fixed_space": fixed}
        recipe = small_recipe(options=options)
        task = Mel2MelTask(recipe, small_data, rank=0, world=1, progress=silent)
        task.loss(task.wrapped(), Mel2MelBatch(batch, None), step=0).backward()
        gradient = task.model.embedding.weight.grad
        assert gradient is not None
        assert bool(gradient.any()) is not fixed
        assert task.model.film1.dense.weight.grad is not None


def test_state_is_carried_from_crop_to_crop(task: Mel2MelTask) -> None:
    roll = random_roll(64 + 64 + 32).astype(np.float32)
    with torch.no_grad():
        task.loss(task.wrapped(), Mel2MelBatch(batch_of(roll[:96], fresh=True), None), step=0)
        second = batch_of(roll[64:], fresh=False)
        carried = task.loss(task.wrapped(), Mel2MelBatch(second, None), step=1)
        timbre = task.model.embedding(torch.from_numpy(second.instrument))
        whole = task.model(torch.from_numpy(np.stack([roll] * 4)), timbre)[:, 64:128]
        expected = tanh_log_abs_loss(whole, torch.from_numpy(second.mel)).mean()
        anew = Mel2MelBatch(batch_of(roll[64:], fresh=True), None)
        forgotten = task.loss(task.wrapped(), anew, step=1)
    assert float(carried) == pytest.approx(float(expected), rel=1e-6)
    assert float(forgotten) != pytest.approx(float(expected), rel=1e-4)


def test_state_is_forgotten_in_fresh_lanes_alone(task: Mel2MelTask) -> None:
    roll = random_roll(96).astype(np.float32)
    task.load_state({"hidden": torch.full((1, 4, 16), 0.9), "cell": torch.full((1, 4, 16), 3.0)})
    batch = batch_of(roll, fresh=False)
    batch.fresh[1] = True
    with torch.no_grad():
        task.loss(task.wrapped(), Mel2MelBatch(batch, None), step=0)
        mixed = task.state()["hidden"][0]
        task.loss(task.wrapped(), Mel2MelBatch(batch_of(roll, fresh=True), None), step=0)
        anew = task.state()["hidden"][0]
    # Lanes 1 and 3 play the same instrument: only what they remember differs.
    torch.testing.assert_close(mixed[1], anew[1])
    assert (mixed[3] - anew[3]).abs().max() > 1e-6


def test_what_does_not_count_has_no_gradient(task: Mel2MelTask) -> None:
    batch = batch_of(random_roll(96).astype(np.float32), fresh=True)
    batch.weight[:] = 0
    loss = task.loss(task.wrapped(), Mel2MelBatch(batch, None), step=0)
    loss.backward()
    assert loss == 0
    for parameter in task.model.parameters():
        assert parameter.grad is None or not parameter.grad.any()
    batch.weight[:, 10] = 1
    assert task.loss(task.wrapped(), Mel2MelBatch(batch, None), step=0) > 0


def test_truncation_is_drawn_by_the_step(small_data: Path) -> None:
    recipe = small_recipe()
    task, other = (
        Mel2MelTask(recipe, small_data, rank=rank, world=2, progress=silent) for rank in (0, 1)
    )
    drawn = [task._truncation(step) for step in range(200)]
    assert drawn == [other._truncation(step) for step in range(200)]
    assert {hop for hop, _ in drawn} == {64, 32, 16}
    assert {context for _, context in drawn} == {16, 32, 64}
    for step in (0, 1, 2):
        assert task.batch(step).music.roll.shape == (2, 64 + drawn[step][1], 176)


def test_validation_measures_each_instrument(task: Mel2MelTask) -> None:
    task.model.eval()
    found = task.validate(task.model)
    with torch.no_grad():
        true, predicted = validation_mels(task.model, task._valid)
    assert len(true) == len(predicted) == 2
    for name, a, b in zip(TWO_INSTRUMENTS, true, predicted, strict=True):
        assert a.shape == b.shape
        measures = log_mel_measures(a, b)
        assert found.measures[f"correlation/{name}"] == measures.correlation
        assert found.measures[f"error_db/{name}"] == measures.error_db
    assert found.picture is not None
    assert found.picture[0].shape == found.picture[1].shape == (1000, 80)
    # The true mels are those of the clip, which is shorter than an excerpt may be.
    (clip,) = (c for c in task._valid.clips if c.instrument == "trumpet")
    n_frames = clip.n_samples // 128
    np.testing.assert_array_equal(true[1][:n_frames], true[1][n_frames : 2 * n_frames])
    np.testing.assert_array_equal(true[1][:n_frames], task._valid.mel(1, 0, n_frames))


def test_a_critic_judges_what_counts_from_its_step_on(small_data: Path) -> None:
    options = {"crop_frames": 64, "hops": (64,), "contexts": (32,)}
    options |= {"adversarial_from": 2, "adversarial_weight": 0.05, "feature_weight": 0.1}
    torch.manual_seed(4)
    task = Mel2MelTask(small_recipe(options=options), small_data, rank=0, world=1, progress=silent)
    plain = Mel2MelTask(
        small_recipe(options=options | {"adversarial_from": 0}),
        small_data,
        rank=0,
        world=1,
        progress=silent,
    )
    plain.model.load_state_dict(task.model.state_dict())
    losses = []
    for one in (task, plain):
        one._state = tuple(torch.zeros_like(part) for part in one._state)
        losses.append(
            [float(one.loss(one.wrapped(), one.batch(3), step).detach()) for step in (1, 3)]
        )
    (before, after), (alone, _) = losses
    assert before == pytest.approx(alone, rel=1e-6)
    assert after > alone + 0.01
    assert plain.critic_loss() is None
    assert float(task.critic_loss().detach()) > 0
    # Nothing is to be learnt of frames that do not count.
    batch = task.batch(3)
    batch.music.weight[:] = 0
    loss = task.loss(task.wrapped(), batch, step=3)
    made, true, _ = task._last
    np.testing.assert_array_equal(made.numpy(), true.numpy())
    task.model.zero_grad()
    loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.model.parameters())


def test_a_critic_wants_music(small_data: Path) -> None:
    options = {"adversarial_from": 2, "music": False, "single_notes": 8}
    with pytest.raises(InputError, match="without music"):
        Mel2MelTask(small_recipe(options=options), small_data, rank=0, world=1, progress=silent)
