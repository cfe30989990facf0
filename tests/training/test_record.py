"""Killed, edited and resumed: what is exported is true, or going on is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from support.small_data import ATTRIBUTION, LICENSE, run_timbrel, small_recipe
from timbrel.bundles.bundle import CARD_FILE, Bundle, load_bundle
from timbrel.errors import InputError
from timbrel.training.checkpoint import load_checkpoint
from timbrel.training.export import export_run
from timbrel.training.loop import train
from timbrel.training.recipe import Recipe, read_recipe, write_recipe
from timbrel.training.record import CHANGEABLE
from timbrel.training.task import Validation
from timbrel.training.tasks.mel2mel import Mel2MelTask

pytestmark = pytest.mark.usefixtures("one_thread")


def quick(**changes: Any) -> Recipe:
    """Sixteen steps, of which some are already done where a test goes on."""
    given = {"steps": 16, "warmup_steps": 2, "decay_steps": 4, "validate_every": 100}
    return small_recipe(**given | changes)


def run_on(recipe: Recipe, data: Path, run: Path, **options: Any) -> list[str]:
    """Train, and give what was said."""
    said: list[str] = []
    train(recipe, data, run, device="cpu", say=said.append, **options)
    return said


def card_of(run: Path, folder: Path, **options: Any) -> tuple[Bundle, str]:
    """The bundle of a run, and its card."""
    shutil.rmtree(folder, ignore_errors=True)
    export_run(run, folder, **options)
    bundle = load_bundle(folder)
    return bundle, bundle.file(CARD_FILE).read_text()


@pytest.fixture(scope="module")
def begun(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after six steps; tests take copies."""
    run = tmp_path_factory.mktemp("runs") / "begun"
    run_on(quick(), small_data, run, steps=6)
    return run


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def files_of(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 8}, "batch_size: 4, the recipe says 8"),
        ({"options": {"crop_frames": 64, "crops_per_visit": 2}}, "options.crops_per_visit: 4"),
        ({"options": {"crop_frames": 64}}, "options.crops_per_visit: 4, the recipe says None"),
        ({"model": {"hidden_size": 8}}, "model.hidden_size: 16, the recipe says 8"),
        ({"seed": 4}, "seed: 3, the recipe says 4"),
        ({"optimizer": "muon"}, "optimizer: adam, the recipe says muon"),
        ({"precision": "bfloat16"}, "precision: float32"),
        ({"start_from": "mel2mel"}, "start_from: , the recipe says mel2mel"),
    ],
)
def test_what_decides_the_model_cannot_change_in_a_run(
    changes: dict[str, Any], words: str, small_data: Path, run: Path
) -> None:
    before = files_of(run)
    with pytest.raises(InputError) as refused:
        run_on(quick(**changes), small_data, run, resume=True)
    assert words in str(refused.value)
    assert "begin another run with start_from" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert files_of(run) == before


def test_the_command_line_refuses_it_in_one_line(
    small_data: Path, run: Path, tmp_path: Path
) -> None:
    write_recipe(tmp_path / "edited.yaml", quick(batch_size=8))
    code, said = run_timbrel(
        "train", tmp_path / "edited.yaml", "--data", small_data, "-o", run, "--resume"
    )
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert "batch_size: 4, the recipe says 8" in said
    assert read_recipe(run / "recipe.yaml").batch_size == 4


def test_other_data_are_refused(small_data: Path, run: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    manifest = data / "manifest.jsonl"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[1:]))
    before = files_of(run)
    with pytest.raises(InputError, match="the run was trained on other data"):
        run_on(quick(), data, run, resume=True)
    assert files_of(run) == before


def test_other_rates_and_steps_are_logged_and_on_the_card(
    small_data: Path, run: Path, tmp_path: Path
) -> None:
    said = run_on(quick(learning_rate=0.005, steps=8), small_data, run, resume=True)
    assert "goes on with steps 16 → 8 after step 6" in said
    assert "goes on with learning_rate 0.01 → 0.005 after step 6" in said
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"kind": "change", "step": 6, "learning_rate": [0.01, 0.005]} in lines
    assert load_checkpoint(run)["step"] == 8
    bundle, card = card_of(run, tmp_path / "bundle")
    words = "steps 16 → 8 after step 6; learning_rate 0.01 → 0.005 after step 6"
    assert bundle.training["changes"] == words
    assert f"| changes | {words} |" in card
    assert bundle.training["steps"] == 8
    assert bundle.training["sequences per step"] == 4
    # Going on once more with the same changes nothing more.
    assert not [
        line
        for line in run_on(quick(learning_rate=0.005, steps=8), small_data, run, resume=True)
        if "goes on" in line
    ]
    assert card_of(run, tmp_path / "bundle")[0].training["changes"] == words


def test_all_that_can_change_is_a_key_of_recipes() -> None:
    assert set(CHANGEABLE) <= set(vars(quick()))


def test_a_card_does_not_believe_edited_files(run: Path, tmp_path: Path) -> None:
    before, _ = card_of(run, tmp_path / "bundle")
    write_recipe(run / "recipe.yaml", quick(batch_size=64, status="excellent"))
    notes = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(notes | {"license": "public domain"}))
    with (run / "log.jsonl").open("a") as log:
        log.write('{"kind": "valid", "step": 9, "error_db": 0.0}\n')
    after, _ = card_of(run, tmp_path / "bundle")
    assert after.config == before.config
    assert after.training["validation"]["step"] == 6


def test_a_log_ends_where_the_checkpoint_is(small_data: Path, run: Path) -> None:
    """What was logged after the last checkpoint is done again, and is not there twice."""
    with (run / "log.jsonl").open("a") as log:
        log.write('{"kind": "valid", "step": 9, "error_db": 0.0}\n{"kind": "tra')  # killed here
    run_on(quick(), small_data, run, resume=True)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "valid"] == [6, 16]


def test_a_checkpoint_without_a_record_is_refused(small_data: Path, run: Path) -> None:
    content = load_checkpoint(run)
    del content["record"]
    torch.save(content, run / "checkpoint.pt")
    with pytest.raises(InputError, match="does not say what the run was trained by"):
        run_on(quick(), small_data, run, resume=True)


def test_licence_and_attribution_are_the_datas(small_data: Path, run: Path, tmp_path: Path) -> None:
    bundle, card = card_of(run, tmp_path / "bundle")
    assert (bundle.license, bundle.attribution) == (LICENSE, ATTRIBUTION)
    assert ATTRIBUTION in card

    # What a run begins with is named beside what it goes on with.
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    settings = json.loads((data / "data.json").read_text())
    other = {"license": "CC BY 4.0", "attribution": "Played by someone else."}
    (data / "data.json").write_text(json.dumps(settings | other))
    run_on(quick(start_from=str(tmp_path / "bundle")), data, tmp_path / "next", steps=2)
    second, _ = card_of(tmp_path / "next", tmp_path / "second")
    assert second.license == "CC BY 4.0 (the weights it began with: CC0)"
    assert second.attribution == "Played by someone else. Of no use."
    assert second.training["start"] == "bundle (steps: 6); before it, random"

    run_on(quick(start_from=str(tmp_path / "bundle")), small_data, tmp_path / "same", steps=2)
    third, _ = card_of(tmp_path / "same", tmp_path / "third")
    assert (third.license, third.attribution) == (LICENSE, ATTRIBUTION)

    for key in other:
        del settings[key]
    (data / "data.json").write_text(json.dumps(settings))
    run_on(quick(), data, tmp_path / "unstated", steps=2)
    assert card_of(tmp_path / "unstated", tmp_path / "fourth")[0].license == "not stated"


def test_the_best_validation_is_kept_beside_the_last(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([3.0, 1.0, 2.0, 1.5])
    monkeypatch.setattr(
        Mel2MelTask, "validate", lambda *_: Validation({"error_db": next(errors), "other": 9.0})
    )
    run, wanted = tmp_path / "run", quick(validate_every=2, checkpoint_every=2)
    said = run_on(wanted, small_data, run, steps=6)
    assert [line.endswith("the best so far") for line in said if line.startswith("valid")] == [
        True,
        True,
        False,
    ]
    # A run that goes on still knows what was the best.
    run_on(wanted, small_data, run, steps=8, resume=True)
    best, last = (card_of(run, tmp_path / str(b), best=b)[0] for b in (True, False))
    assert (best.training["steps"], last.training["steps"]) == (4, 8)
    assert best.training["validation"] == {"step": 4, "error_db": 1.0, "other": 9.0}
    assert last.training["validation"]["error_db"] == 1.5
    assert load_checkpoint(run)["record"]["best"]["step"] == 4
    weights = [(tmp_path / str(b) / "weights.safetensors").read_bytes() for b in (True, False)]
    assert weights[0] != weights[1]


def test_a_run_without_a_validation_has_no_best(run: Path, tmp_path: Path) -> None:
    (run / "best.pt").unlink()
    with pytest.raises(InputError, match=r"holds no best\.pt"):
        export_run(run, tmp_path / "bundle", best=True)
